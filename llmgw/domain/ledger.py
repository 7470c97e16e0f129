"""The words of the ledger: one row a request, one row a physical attempt, all money in nano-dollars."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.money import NanoUSD
from llmgw.domain.route import Decision
from llmgw.domain.usage import Usage

if TYPE_CHECKING:
    from llmgw.domain.clock import Nanoseconds

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no i, l, o, u."""
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)
"""Two digits at a time: every answer carries an id, and the library's encoder costs twice as much."""

_BEFORE_2027 = 1_798_761_600_000 * (2**22 - 2**18)
"""Older releases counted 2**22 ids a millisecond since 1970, which lets all of theirs lie below newer ones."""


class AttemptState(StrEnum):
    """``held -> dispatched -> settled | released | orphaned``; the last three are final."""

    HELD = "held"
    DISPATCHED = "dispatched"
    SETTLED = "settled"
    RELEASED = "released"
    ORPHANED = "orphaned"


class CacheVerdict(StrEnum):
    """How the caches answered; ``bypass`` means that they were not asked."""

    EXACT = "exact"
    SEMANTIC = "semantic"
    JOINED = "joined"
    MISS = "miss"
    BYPASS = "bypass"


class Hold(Struct, frozen=True, kw_only=True, gc=False):
    """A physical attempt before its bytes leave: who, where, and the worst case it may cost.

    ``cost`` is None when the target has no known price. ``tags`` is canonical: sorted, comma separated.
    """

    request_id: int
    attempt: int
    started_at: int
    tenant: str
    user: str
    key_id: int
    key_name: str
    tags: str
    surface: str
    stream: bool
    model_asked: str
    provider: str
    model: str
    tier: str
    cost: NanoUSD | None


class Outcome(Struct, frozen=True, kw_only=True, gc=False):
    """How one attempt ended: its final state, its tokens and the money they cost.

    ``cost`` and ``premium_cost`` (the same tokens on the premium tier) are None when no price is known: unknown,
    never zero. ``price`` is the price line used, as compact JSON. Spans are microseconds.
    """

    request_id: int
    attempt: int
    state: AttemptState
    ended_at: int
    status: int
    error: str = ""
    usage: Usage = Usage()
    cost: NanoUSD | None = None
    premium_cost: NanoUSD | None = None
    price: str = ""
    ttft_us: int | None = None
    latency_us: int = 0
    finish_reason: str = ""
    upstream_id: str = ""


class RequestRow(Struct, frozen=True, kw_only=True, gc=False):
    """One request as reports see it. Sums run over its attempts; ``usage`` is that of the attempt that answered.

    ``provider``, ``model`` and ``tier`` are empty when no target was reached. ``error`` is an error code or empty.
    ``saved`` is what the call would have cost that a cache answered.
    """

    id: int
    started_at: int
    tenant: str
    user: str
    key_id: int
    key_name: str
    tags: str
    surface: str
    stream: bool
    model_asked: str
    provider: str = ""
    model: str = ""
    tier: str = ""
    cache: CacheVerdict = CacheVerdict.BYPASS
    status: int = 0
    error: str = ""
    attempts: int = 0
    usage: Usage = Usage()
    cost: NanoUSD | None = None
    premium_cost: NanoUSD | None = None
    ttft_us: int | None = None
    latency_us: int = 0
    finish_reason: str = ""
    saved: NanoUSD = 0
    decision: Decision | None = None


def first_id(now: Nanoseconds) -> int:
    """The lowest request id of a moment. Ids rise with time until the year 2230, where they end with 63 bits."""
    return _BEFORE_2027 + (now // 1_000_000 << 18)


def show_id(number: int) -> str:
    """``req_`` and thirteen base-32 digits: sorts by time, is what headers and commands show."""
    return f"{_first_digits(number >> 20)}{_PAIRS[number >> 10 & 1023]}{_PAIRS[number & 1023]}"


@lru_cache(16)
def _first_digits(number: int) -> str:
    """What the ids of four milliseconds begin with."""
    return f"req_{ALPHABET[number >> 40]}" + "".join(
        _PAIRS[number >> shift & 1023] for shift in (30, 20, 10, 0)
    )


def read_id(text: str) -> int:
    """The number behind a shown id; ValueError when it is none."""
    digits = text.removeprefix("req_").lower()
    if not 0 < len(digits) <= 13:
        raise ValueError(f"not a request id: {text!r}")
    number = 0
    for digit in digits:
        number = number * 32 + ALPHABET.index(digit)
    return number
