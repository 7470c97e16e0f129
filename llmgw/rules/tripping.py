"""What the last minute and the last hour were like, and whether that is reason enough to throw the kill switch."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.killswitch import Mode
from llmgw.domain.money import NANO, format_usd

if TYPE_CHECKING:
    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.money import NanoUSD

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

FEWEST = 10
"""Requests a minute below which a share of errors says nothing."""


class Trips(Struct, frozen=True, kw_only=True):
    """When the switch is thrown by itself, and to what. ``error_rate`` is a share, ``spend_rate`` dollars an hour; 0: never."""

    error_rate: float = 0
    spend_rate: float = 0
    mode: Mode = Mode.DEGRADE


class Recent:
    """Requests and errors by the second for a minute, money by the minute for an hour; all of it in memory."""

    def __init__(self) -> None:
        self._requests: deque[list[int]] = deque()
        self._spent: deque[list[int]] = deque()

    def add_request(self, now: Nanoseconds, *, failed: bool) -> None:
        """A request has ended."""
        second = now // SECOND
        if not self._requests or self._requests[-1][0] != second:
            self._expire(now)
            self._requests.append([second, 0, 0])
        last = self._requests[-1]
        last[1] += 1
        last[2] += failed

    def add_spending(self, now: Nanoseconds, cost: NanoUSD) -> None:
        """An attempt has cost money."""
        minute = now // MINUTE
        if not self._spent or self._spent[-1][0] != minute:
            self._expire(now)
            self._spent.append([minute, 0])
        self._spent[-1][1] += cost

    def figures(self, now: Nanoseconds) -> tuple[int, int, NanoUSD]:
        """Requests and errors of the last minute, money of the last hour."""
        self._expire(now)
        return (
            sum(each[1] for each in self._requests),
            sum(each[2] for each in self._requests),
            sum(each[1] for each in self._spent),
        )

    def reason(self, trips: Trips, now: Nanoseconds) -> str:
        """Why the switch should be thrown, with the figures; empty when it should not."""
        requests, errors, spent = self.figures(now)
        if trips.error_rate and requests >= FEWEST and errors / requests >= trips.error_rate:
            return (
                f"{errors} of {requests} requests failed within a minute ({errors / requests:.0%}; "
                f"the limit is {trips.error_rate:.0%})"
            )
        if trips.spend_rate and spent > trips.spend_rate * NANO:
            return f"{format_usd(spent)} spent within an hour (the limit is ${trips.spend_rate:g})"
        return ""

    def clear(self) -> None:
        """Begin to count anew."""
        self._requests.clear()
        self._spent.clear()

    def _expire(self, now: Nanoseconds) -> None:
        while self._requests and self._requests[0][0] <= (now - MINUTE) // SECOND:
            self._requests.popleft()
        while self._spent and self._spent[0][0] <= (now - HOUR) // MINUTE:
            self._spent.popleft()
