"""A circuit breaker: a target that keeps failing is left alone for a growing time, then tried with a single call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.breaker import State

if TYPE_CHECKING:
    from llmgw.domain.clock import Nanoseconds

SECOND = 1_000_000_000

LEAST = 20
"""Calls within the window before their share of failures means anything."""


class Breaking(Struct, frozen=True):
    """When a breaker opens, and for how long; ``failures`` or ``error_rate`` 0: never for that."""

    failures: int = 5
    error_rate: float = 0.5
    window_seconds: float = 60
    open_seconds: float = 5
    longest_seconds: float = 300


class Breaker:
    """The state of one target. Every time is a tick of the caller's clock.

    ``row`` counts failures in a row. Only the call that tries an open target decides whether it closes: what was
    asked before it opened says nothing new.
    """

    __slots__ = (
        "_before",
        "_calls",
        "_closed_at",
        "_failed",
        "_rules",
        "_span",
        "_start",
        "row",
        "trying",
        "until",
    )

    def __init__(self, rules: Breaking) -> None:
        self._rules = rules
        self._span = 0
        self._closed_at = 0
        self.row = 0
        self.trying = False
        self.until: Nanoseconds | None = None
        """When an open breaker lets a call through; None while closed."""
        self._forget(0)

    def _forget(self, now: Nanoseconds) -> None:
        self._start, self._calls, self._failed, self._before = now, 0, 0, (0, 0)

    def state(self, now: Nanoseconds) -> State:
        """Closed, open, or half-open once its time is over."""
        if self.until is None:
            return State.CLOSED
        return State.OPEN if now < self.until else State.HALF_OPEN

    def passes(self, now: Nanoseconds) -> bool:
        """Whether a call may go to the target in its usual place."""
        return self.until is None or (now >= self.until and not self.trying)

    def enter(self) -> bool:
        """A call goes to the target; True when it is the one that tries an open target."""
        if self.until is None or self.trying:
            return False
        self.trying = True
        return True

    def leave(self) -> None:
        """The call that tried the target ended without saying anything of it."""
        self.trying = False

    def succeed(self, now: Nanoseconds, *, tried: bool) -> bool:
        """A call went well; True when that closes the breaker. ``tried`` is what ``enter`` said."""
        if self.until is not None and not tried:
            return False
        self.row = 0
        if self.until is None:
            self._count(now, failed=0)
            return False
        self.until, self.trying, self._closed_at = None, False, now
        self._forget(now)
        return True

    def fail(self, now: Nanoseconds, *, tried: bool) -> bool:
        """A call failed; True when that opens the breaker, also once more."""
        if self.until is not None and not tried:
            return False
        self.row += 1
        if self.until is None:
            self._count(now, failed=1)
            if not self._bad(now):
                return False
        rules = self._rules
        lately = self.until is not None or now - self._closed_at < rules.window_seconds * SECOND
        grown = 2 * self._span if self._span and lately else int(rules.open_seconds * SECOND)
        self._span = min(grown, int(rules.longest_seconds * SECOND))
        self.until, self.trying = now + self._span, False
        return True

    def heal(self, now: Nanoseconds) -> None:
        """The target was seen to be there again: the next call tries it."""
        if self.until is not None:
            self.until = min(self.until, now)

    def put_off(self, now: Nanoseconds) -> bool:
        """The target was seen not to be well: whether a call that would try it now is spared that."""
        if self.until is None or self.trying or now < self.until:
            return False
        self.until = now + self._span
        return True

    def quiet(self, now: Nanoseconds) -> bool:
        """Whether nothing is worth remembering any more."""
        window = self._rules.window_seconds * SECOND
        recent = self._failed or self._before[1] or now - self._closed_at < window
        return self.until is None and not self.row and not recent

    def _count(self, now: Nanoseconds, *, failed: int) -> None:
        """Two windows side by side; the older one counts for the part of it that is not over yet."""
        window = self._rules.window_seconds * SECOND
        passed = now - self._start
        if passed >= window:
            self._before = (self._calls, self._failed) if passed < 2 * window else (0, 0)
            self._start, self._calls, self._failed = now - int(passed % window), 0, 0
        self._calls += 1
        self._failed += failed

    def _bad(self, now: Nanoseconds) -> bool:
        rules = self._rules
        if rules.failures and self.row >= rules.failures:
            return True
        share = 1 - (now - self._start) / (rules.window_seconds * SECOND)
        calls = self._calls + share * self._before[0]
        failed = self._failed + share * self._before[1]
        return bool(rules.error_rate) and calls >= LEAST and failed >= rules.error_rate * calls
