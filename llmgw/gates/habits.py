"""Which target each conversation is used to: a provider's prompt cache is worth more than a slightly better guess."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.identity import Key
    from llmgw.domain.route import Target
    from llmgw.providers.base import Glance

MOST = 10_000
"""Conversations remembered; the one that has paused longest goes first."""
LONGEST = 20_000
"""Characters of a text by which a conversation and a question are told from others."""


class _Held(NamedTuple):
    target: Target
    until: Nanoseconds


class Habits:
    """The target of each conversation that has not paused for ``span`` nanoseconds; 0: none is remembered."""

    def __init__(self, span: Nanoseconds) -> None:
        self.span = span
        self._known: OrderedDict[int, _Held] = OrderedDict()

    def of(self, conversation: int, targets: tuple[Target, ...], now: Nanoseconds) -> Target | None:
        """The target that a conversation is used to, if it is among those open to it."""
        held = self._known.get(conversation)
        return None if held is None or now > held.until or held.target not in targets else held.target

    def keep(self, conversation: int, target: Target, now: Nanoseconds) -> None:
        """A conversation goes to a target now."""
        if self.span:
            self._known[conversation] = _Held(target, now + self.span)
            self._known.move_to_end(conversation)
            if len(self._known) > MOST:
                self._known.popitem(last=False)

    def stay(self, conversation: int, target: Target) -> None:
        """A conversation that is remembered is with this target from now on."""
        held = self._known.get(conversation)
        if held is not None:
            self._known[conversation] = _Held(target, held.until)


def conversation_of(key: Key, glance: Glance) -> int:
    """A number that the requests of one conversation share: same key, same instructions, same first words.

    Of long ones the beginning and the length count, so that a megabyte takes no milliseconds.
    """
    said = glance.instructions, glance.first
    return number_of(str(key.id), *(f"{len(each)} {each[:LONGEST]}" for each in said))


def number_of(*words: str) -> int:
    """A number that stands for these words."""
    digest = blake2b("\0".join(words).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
