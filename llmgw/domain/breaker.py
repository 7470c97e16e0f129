"""Whether a target is asked as usual, kept out for a while, or about to be tried again."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds


class State(StrEnum):
    """``half-open``: its time is over, and the next call tries it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Failing(Struct, frozen=True):
    """A target that is left alone: ``failures`` in a row, and ``until`` when (UTC) others go first."""

    provider: str
    model: str
    state: State
    failures: int
    until: Nanoseconds
