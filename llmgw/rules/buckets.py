"""Limits over time: a generic cell rate algorithm whose unused part can be given back, and slots for concurrency.

A bucket fills with what is taken and runs dry at a steady rate. In any stretch of time it lets through at most its
amount at once and what flows off meanwhile: ``amount + amount * stretch / period``. Whole numbers only, so a wait is
exact; nothing here reads a clock.
"""

from __future__ import annotations

from math import exp, log1p
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds
from llmgw.domain.limit import Limit, Measure

if TYPE_CHECKING:
    from collections.abc import Iterable

PERIODS: dict[Measure, Nanoseconds] = {
    Measure.REQUESTS_PER_MINUTE: 60 * 10**9,
    Measure.REQUESTS_PER_DAY: 86_400 * 10**9,
    Measure.TOKENS_PER_MINUTE: 60 * 10**9,
    Measure.TOKENS_PER_DAY: 86_400 * 10**9,
}
REQUESTS = frozenset({Measure.REQUESTS_PER_MINUTE, Measure.REQUESTS_PER_DAY})
TOKENS = frozenset({Measure.TOKENS_PER_MINUTE, Measure.TOKENS_PER_DAY})

Taking = tuple["Bucket", int, int, float]
"""What was taken from a bucket: units, and how far what is held had shrunk by then, in which generation."""

EXACT = 1 - 1e-8
"""Leaves room for rounding, so that a refund is never too large."""
MOST_SHRUNK = 1e6
"""Where rounding would begin to show, some ten million calls without a pause: refunds of that moment are forgone."""


class Bucket:
    """How much of one limit is in use, counted in units of which one request or token is ``period``.

    ``used`` flows off first. ``held`` is what calls under way have taken and may give back: it flows off when nothing
    used is left, from all of them in proportion. So one number, how far it has shrunk (as a logarithm), tells what is
    left of each, and no refund reaches what others took. A clock that goes back only stops the flow for that moment.
    """

    __slots__ = ("_at", "_generation", "_shrunk", "amount", "capacity", "held", "limit", "period", "used")

    def __init__(self, limit: Limit, now: Nanoseconds) -> None:
        self.limit = limit
        self.period = PERIODS[limit.measure]
        self.amount = limit.amount
        self.capacity = limit.amount * self.period
        self.used = self.held = 0
        self._at = now
        self._generation = 0
        self._shrunk = 0.0

    def recall(self, taken: Iterable[tuple[Nanoseconds, int]], now: Nanoseconds) -> None:
        """Put in use what was taken before, so many units of time ago, the oldest first."""
        first = True
        for age, count in taken:
            if first:
                self._at, first = now - age, False
            self.used = min(self.capacity, self.level(now - age) + count * self.period)
        self.level(now)

    def change(self, limit: Limit, now: Nanoseconds) -> None:
        """Go on with another amount; what is in use stays in use."""
        self.level(now)
        self.limit, self.amount, self.capacity = limit, limit.amount, limit.amount * self.period

    def level(self, now: Nanoseconds) -> int:
        """The units in use, after what has flowed off since the last look."""
        flow = (now - self._at) * self.amount
        self._at = now
        if flow > 0:
            used, held = self.used, self.held
            if flow <= used:
                self.used = used - flow
            else:
                self.used = 0
                flow -= used
                if held:
                    part = flow / held
                    self.held = max(0, held - flow)
                    if part < 1 and self._shrunk < MOST_SHRUNK:
                        self._shrunk -= log1p(-part)
                    else:
                        self._shrunk = 0.0
                        self._generation += 1
        return self.used + self.held

    def take(self, count: int, now: Nanoseconds) -> Taking | None:
        """Take so many, at most the limit; None, and nothing is taken, when they do not fit."""
        units = count * self.period
        flow = (now - self._at) * self.amount
        if 0 <= flow <= self.used:  # as `level` does it; a call more is paid for each limit of each request
            self._at = now
            self.used -= flow
        else:
            self.level(now)
        if self.used + self.held + units > self.capacity:
            return None
        self.held += units
        return self, units, self._generation, self._shrunk

    def wait(self, count: int, now: Nanoseconds) -> Nanoseconds:
        """How long until so many, at most the limit, fit."""
        over = self.level(now) + count * self.period - self.capacity
        return -(-over // self.amount) if over > 0 else 0

    def settle(self, taking: Taking, count: int) -> None:
        """Put what was used in place of what was taken, as of the last look; what has flowed off of it is paid for."""
        _, units, generation, shrunk = taking
        left = 0
        if generation == self._generation:
            off = self._shrunk - shrunk
            left = int(units * exp(-off) * EXACT) if off else units
            left = min(left, self.held)
            self.held -= left
        owed = count * self.period - units + left
        if owed > 0:
            self.used += owed

    def left(self, now: Nanoseconds) -> int:
        """How much would fit now, but for the rounding of refunds."""
        return max(0, (self.capacity - self.level(now) + self.period // 1000) // self.period)

    def dry(self, now: Nanoseconds) -> Nanoseconds:
        """How long until nothing is in use."""
        return -(-self.level(now) // self.amount)


class Slots:
    """Calls under way under one limit."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.used = 0


class Meters(NamedTuple):
    """All that counts one call."""

    requests: tuple[Bucket, ...] = ()
    tokens: tuple[Bucket, ...] = ()
    slots: tuple[Slots, ...] = ()


class Refusal(Struct, frozen=True):
    """What has no room.

    ``wait`` is exact where time alone makes room, and None where only an ending call does (``concurrency``) or nothing
    at all (a prompt that is larger than a limit on tokens). ``held`` is the bucket to watch where the call would fit if
    nothing were held: calls under way may give tokens back sooner than time does.
    """

    limit: Limit
    wait: Nanoseconds | None
    held: Bucket | None = None


class Lease:
    """What one call holds of its limits until it is closed; closing it again does nothing."""

    __slots__ = ("_requests", "_slots", "_tokens")

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """What it holds tokens of."""
        return tuple(taking[0] for taking in self._tokens)

    def __init__(self, requests: list[Taking], tokens: list[Taking], slots: tuple[Slots, ...]) -> None:
        self._requests = requests
        self._tokens = tokens
        self._slots = slots

    def close(self, tokens: int, *, made: bool = True) -> None:
        """Free the slots and count the tokens that were used; a call that was not ``made`` counts as no request."""
        for slots in self._slots:
            slots.used -= 1
        for taking in self._tokens:
            taking[0].settle(taking, tokens)
        if not made:
            for taking in self._requests:
                taking[0].settle(taking, 0)
        self._requests, self._tokens, self._slots = [], [], ()


def admit(meters: Meters, prompt: int, most: int, now: Nanoseconds) -> Lease | Refusal:
    """Take one request, ``most`` tokens and one slot of every meter, or nothing at all.

    ``prompt`` is about how many tokens the call has for certain, ``most`` how many it may come to; where that is more
    than a whole limit the call takes the whole limit, and what it uses beyond is owed. Of several refusals the one
    that lasts longest is told, since only after it the call would pass.
    """
    for bucket in meters.tokens:
        if prompt > bucket.amount:
            return Refusal(bucket.limit, None)
    requests = [bucket.take(1, now) for bucket in meters.requests]
    tokens = [bucket.take(min(most, bucket.amount), now) for bucket in meters.tokens]
    full = [slots for slots in meters.slots if slots.used >= slots.limit.amount]
    if full or None in requests or None in tokens:
        for taking in (*requests, *tokens):
            if taking is not None:
                taking[0].held -= taking[1]
        return _refusal(meters, full, most, now)
    for slots in meters.slots:
        slots.used += 1
    return Lease(cast("list[Taking]", requests), cast("list[Taking]", tokens), meters.slots)


def _refusal(meters: Meters, full: list[Slots], most: int, now: Nanoseconds) -> Refusal:
    waits = [(bucket.wait(1, now), bucket.limit) for bucket in meters.requests]
    waits += [(bucket.wait(min(most, bucket.amount), now), bucket.limit) for bucket in meters.tokens]
    longest, limit = max(waits, key=itemgetter(0), default=(0, None))
    if limit is None or not longest:
        return Refusal(full[0].limit, None)
    return Refusal(limit, longest, None if full else _held(meters, most, now))


def _held(meters: Meters, most: int, now: Nanoseconds) -> Bucket | None:
    """The bucket whose held tokens alone are in the way; None where something else is too."""
    if any(bucket.wait(1, now) for bucket in meters.requests):
        return None
    found = None
    for bucket in meters.tokens:
        units = min(most, bucket.amount) * bucket.period
        if bucket.level(now) + units > bucket.capacity:
            if bucket.used + units > bucket.capacity:
                return None
            found = bucket
    return found


def tightest(buckets: Iterable[Bucket], now: Nanoseconds) -> Bucket | None:
    """The bucket with the smallest share left."""
    return min(buckets, key=lambda bucket: bucket.left(now) / bucket.limit.amount, default=None)
