"""What is left behind of a conversation: the oldest turns, never instructions, the last question or half a call. # D-10"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.trimming import Piece, trim

TOKENS = st.integers(1, 400)


@st.composite
def conversations(draw: st.DrawFn) -> list[Piece]:
    """Instructions anywhere, turns of a question, calls with their results, and answers."""
    pieces = [Piece(tokens=draw(TOKENS), instructs=True)] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 6))):
        pieces.append(Piece(tokens=draw(TOKENS), speaks=True))
        for _ in range(draw(st.integers(0, 3))):
            pieces.append(Piece(tokens=draw(TOKENS)))
            pieces += [
                Piece(tokens=draw(TOKENS), brings=True, speaks=draw(st.booleans()))
                for _ in range(draw(st.integers(0, 2)))
            ]
        if draw(st.booleans()):
            pieces.append(Piece(tokens=draw(TOKENS)))
        if draw(st.integers(0, 5)) == 0:
            pieces.append(Piece(tokens=draw(TOKENS), instructs=True))
    return pieces


@given(conversations(), st.integers(0, 5000))
def test_what_stays_fits_and_makes_sense(pieces: list[Piece], budget: int) -> None:
    """Sent tokens keep to the budget, unless what has to stay is more; results stay with their calls; the newest stay."""
    trimmed = trim(pieces, budget)
    spoken = [at for at, piece in enumerate(pieces) if piece.speaks]
    must = {at for at, piece in enumerate(pieces) if piece.instructs} | {spoken[-1]}
    if trimmed is None:
        nothing_left = trim(pieces, sum(piece.tokens for piece in pieces))
        assert nothing_left is not None
        assert len(nothing_left.kept) == len(pieces)
        return
    kept = set(trimmed.kept)
    assert must <= kept
    assert sum(pieces[at].tokens for at in kept) <= budget
    assert trimmed.tokens == sum(piece.tokens for at, piece in enumerate(pieces) if at not in kept)
    said = [at for at in trimmed.kept if not pieces[at].instructs]
    assert pieces[said[0]].speaks, "what is left begins with the user"
    for at in said:
        if pieces[at].brings:
            before = next(back for back in range(at - 1, -1, -1) if not pieces[back].instructs)
            assert before in kept, "a result without its call"
    last = max(at for at, piece in enumerate(pieces) if not piece.instructs)
    assert last in kept


@given(conversations())
def test_what_fits_is_left_alone(pieces: list[Piece]) -> None:
    """A conversation within its budget loses nothing."""
    trimmed = trim(pieces, sum(piece.tokens for piece in pieces))
    assert trimmed is not None
    assert trimmed.kept == tuple(range(len(pieces)))


def test_the_oldest_turn_goes_first() -> None:
    """Whole turns go before anything of the last one, and no more of them than needed."""
    pieces = [
        Piece(tokens=10, instructs=True),
        Piece(tokens=100, speaks=True),
        Piece(tokens=100),
        Piece(tokens=100, speaks=True),
        Piece(tokens=100),
        Piece(tokens=10, speaks=True),
    ]
    assert trim(pieces, 300).kept == (0, 3, 4, 5)
    assert trim(pieces, 219).kept == (0, 5)
    assert trim(pieces, 20).kept == (0, 5)
    assert trim(pieces, 19) is None


def test_inside_the_last_turn_the_oldest_calls_go() -> None:
    """Where a long run of tools alone is too much, its oldest calls go with their results; the newest is kept."""
    run = [Piece(tokens=50), Piece(tokens=50, brings=True)] * 3
    pieces = [Piece(tokens=10, speaks=True), *run]
    assert trim(pieces, 220).kept == (0, 3, 4, 5, 6)
    assert trim(pieces, 110).kept == (0, 5, 6)
    assert trim(pieces, 109) is None
