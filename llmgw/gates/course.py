"""The way of one call through its targets: each in its turn, then once more those that failed only for the moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmgw.domain.route import Tier
from llmgw.errors import BudgetExceeded, Unavailable, UpstreamFailed, UpstreamRefused
from llmgw.rules.headroom import SECOND, read_retry

if TYPE_CHECKING:
    from llmgw.domain.route import Target
    from llmgw.errors import GatewayError
    from llmgw.gates.breakers import Breakers
    from llmgw.gates.state import Call, Gateway

FINAL_STATUSES = frozenset({400, 405, 406, 413, 415, 422})
"""What an upstream says of the request itself: another target would say the same, so the caller hears it at once."""

MOMENTARY = frozenset({502, 503, 504, 529})
"""Statuses that may be others a moment later; a connection that fails or breaks counts as 502, silence as 504."""


RANK = {tier: rank for rank, tier in enumerate(Tier)}


class NotHeld(Unavailable):
    """The ledger cannot take an attempt that costs money, so nobody was asked; one that is free may do."""


class Course:
    """The targets of a call in the order they are asked; ``failure`` is the last one."""

    __slots__ = (
        "_again",
        "_at",
        "_ended",
        "_passed",
        "_pause",
        "_refusal",
        "_rounds",
        "_stopped",
        "_wait",
        "failure",
        "spare",
        "targets",
    )

    def __init__(self, targets: list[Target], rounds: int) -> None:
        self.targets = targets
        self.failure: GatewayError | None = None
        self.spare = False
        """Whether an answer is at hand that serves where nobody else has one."""
        self._rounds = rounds
        self._at = 0
        self._again: list[Target] = []
        self._pause = 0.0
        self._wait = 0.0
        self._ended = False
        self._passed: set[Target] = set()
        self._refusal: BudgetExceeded | None = None
        self._stopped: BudgetExceeded | None = None

    def next(self, breakers: Breakers) -> Target | None:
        """The target whose turn it is; one that another call is trying out just now has it after all others."""
        while self._at < len(self.targets):
            target = self.targets[self._at]
            self._at += 1
            if self.last or not breakers or target in self._passed or not breakers.busy(target):
                return target
            self._passed.add(target)
            self.targets.append(target)
        return None

    def refuse(self, refusal: BudgetExceeded) -> None:
        """A budget has no room for a target; where others had failed before, the caller hears of both."""
        self._refusal = self._refusal or refusal
        if self.failure is not None and self._stopped is None:
            self._stopped = BudgetExceeded(
                f"{refusal.message}; before that: {self.failure.message}", hint=refusal.hint
            )

    @property
    def verdict(self) -> GatewayError | None:
        """What the caller hears where nobody has answered."""
        return self._stopped or self.failure or self._refusal

    @property
    def final(self) -> bool:
        """Whether nobody else can be asked, whatever the target says."""
        return self._at == len(self.targets) and not (self._rounds or self.spare)

    @property
    def last(self) -> bool:
        """Whether no other target follows in this round."""
        return self._at == len(self.targets)

    def leads_up(self, target: Target) -> bool:
        """Whether a dearer target follows in this round."""
        return any(RANK[each.tier] > RANK[target.tier] for each in self.targets[self._at :])

    def go_up(self, target: Target) -> None:
        """Leave out whoever follows and is no dearer than a target."""
        self.targets[self._at :] = [
            each for each in self.targets[self._at :] if RANK[each.tier] > RANK[target.tier]
        ]

    def ends(self, gateway: Gateway, call: Call, target: Target, error: GatewayError) -> bool:
        """Whether a failure of a target is the call's: nobody else is asked, and this one not again."""
        if error is not self.failure:
            self.failure = error
            self._ended = _ends(call, error)
            if self._rounds and not self._ended and _is_momentary(error):
                wait = _told(gateway, error)
                if wait <= gateway.resilience.retrying.longest_seconds and target not in self._again:
                    self._again.append(target)
                    self._pause = max(self._pause, wait)
        return self._ended or (self.last and not self._again)

    async def again(self, gateway: Gateway) -> bool:
        """Wait, and begin another round; False when there is none, or too many calls are retried already."""
        if not (self._again and gateway.resilience.budget.spend()):
            return False
        self._wait = gateway.resilience.wait(self._wait)
        await asyncio.sleep(max(self._wait, self._pause))
        self.targets, self._again = self._again, []
        self._at, self._pause = 0, 0.0
        self._rounds -= 1
        return True


def _ends(call: Call, error: GatewayError) -> bool:
    """Whether no other target is asked: the caller has bytes already, or the fault is the request's or our own."""
    if isinstance(error, NotHeld):
        return call.replied
    return call.replied or is_about_request(error) or isinstance(error, (Unavailable, BudgetExceeded))


def is_about_request(error: GatewayError) -> bool:
    """Whether an upstream says that no other one would answer this."""
    return isinstance(error, UpstreamRefused) and error.status in FINAL_STATUSES


def _is_momentary(error: GatewayError) -> bool:
    return isinstance(error, UpstreamFailed) and error.status in MOMENTARY


def _told(gateway: Gateway, error: GatewayError) -> float:
    """Seconds that an upstream asks to be left alone."""
    span = read_retry(error.headers, error.message, gateway.clock.now())
    return 0.0 if span is None else span / SECOND
