"""How much of its own limits a provider says to leave us."""

from __future__ import annotations

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds


class Allowance(Struct, frozen=True, gc=False):
    """One limit of a provider: ``kind`` is ``requests``, ``tokens``, ``input-tokens``, ``requests-day`` and the like.

    ``limit`` is None where only the rest was told, ``reset`` is the span until all of it is there again, None where
    that was not told.
    """

    kind: str
    remaining: int
    limit: int | None = None
    reset: Nanoseconds | None = None


class Headroom(Struct, frozen=True):
    """What one model of a provider was said to have left at a moment, UTC; ``until`` is when it may be asked again.

    ``until`` is 0 where it may be asked now.
    """

    provider: str
    model: str
    at: Nanoseconds
    until: Nanoseconds = 0
    allowances: tuple[Allowance, ...] = ()
