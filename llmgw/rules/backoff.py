"""Asking once more: how long to wait before, and how often at most, so that retries never become a storm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 10.0
"""Retries that may come at once."""


class Retrying(Struct, frozen=True):
    """``attempts`` more rounds at most; ``budget`` is the share of calls that may be retried. Waits are seconds."""

    attempts: int = 1
    wait_seconds: float = 0.1
    longest_seconds: float = 5
    budget: float = 0.2


def next_wait(before: float, rules: Retrying, pick: Callable[[float, float], float]) -> float:
    """Decorrelated jitter: between the shortest wait and three times the last one; ``pick`` draws between two bounds."""
    shortest = min(rules.wait_seconds, rules.longest_seconds)
    return min(rules.longest_seconds, pick(shortest, max(shortest, 3 * before)))


class RetryBudget:
    """A bucket that each call fills a little and each retry empties by one."""

    __slots__ = ("_left", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = BURST if share else 0.0

    def earn(self) -> None:
        """A call came."""
        if self._left < BURST:
            self._left = min(BURST, self._left + self._share)

    def spend(self) -> bool:
        """Take one retry; False when there is none left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
