"""Which turns of a conversation are left behind so that the rest fits a tier's budget of tokens (D-10).

A turn begins with what the user says and holds everything up to the next: answers, tool calls and their results. Whole
turns go, the oldest first; then, inside the last turn, the oldest calls with their results. Instructions, what the user
said last and what is to be answered now always stay, and nothing is cut in two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence


class Piece(Struct, frozen=True, kw_only=True):
    """One message: its tokens, whether it instructs, whether the user speaks, whether it brings results of tools."""

    tokens: int
    instructs: bool = False
    speaks: bool = False
    brings: bool = False


class Trimmed(Struct, frozen=True):
    """The places of the messages that stay, and the tokens of those that do not."""

    kept: tuple[int, ...]
    tokens: int


def trim(pieces: Sequence[Piece], budget: int) -> Trimmed | None:
    """What stays within ``budget`` tokens; None where what has to stay is already too much."""
    total = sum(piece.tokens for piece in pieces)
    gone: set[int] = set()
    for group in _droppable(pieces):
        if total <= budget:
            break
        total -= sum(pieces[at].tokens for at in group)
        gone.update(group)
    if total > budget:
        return None
    kept = tuple(at for at in range(len(pieces)) if at not in gone)
    return Trimmed(kept, sum(pieces[at].tokens for at in gone))


def _droppable(pieces: Sequence[Piece]) -> list[list[int]]:
    """What may go together, in the order in which it goes."""
    blocks: list[list[int]] = []
    for at, piece in enumerate(pieces):
        if piece.instructs:
            continue
        if piece.brings and blocks:
            blocks[-1].append(at)  # with the calls that it answers
        else:
            blocks.append([at])
    said = [number for number, block in enumerate(blocks) if any(pieces[at].speaks for at in block)]
    starts = [number for number in said if pieces[blocks[number][0]].speaks]
    last = starts[-1] if starts else 0
    turns: list[list[int]] = []
    for number, block in enumerate(blocks[:last]):
        if number in starts or not turns:
            turns.append([])
        turns[-1] += block
    stays = {last, len(blocks) - 1, *said[-1:]} if starts else {len(blocks) - 1}
    return turns + [block for number, block in enumerate(blocks) if number >= last and number not in stays]
