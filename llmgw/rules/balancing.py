"""Choosing among targets that are equal: the cheapest, or the one whose first byte has come soonest of late."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.route import Target

HALF_LIFE = 120 * 1_000_000_000
"""Nanoseconds after which a measurement weighs half."""

EXPLORE = 1 / 32
"""Share of calls that go to another of the equal targets, to learn how fast it is now."""

FAILED = 10 * 1_000_000_000
"""Nanoseconds that a failure counts for: one that comes at once is no quick answer."""

REMEMBERED = 1024
"""Targets whose speed is kept; past that the memory starts again."""


class Balance(StrEnum):
    """``order``: as they were declared."""

    ORDER = "order"
    COST = "cost"
    LATENCY = "latency"


class Latencies:
    """Exponentially weighted means of spans until the first byte, in which the past fades with time and with calls."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, Nanoseconds]] = {}

    def observe(self, name: Hashable, span: Nanoseconds, now: Nanoseconds) -> None:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[name] = (float(span), now)
            return
        mean, at = known
        weight = 0.7 * math.exp2((at - now) / HALF_LIFE)
        self._known[name] = (weight * mean + (1 - weight) * span, now)

    def of(self, name: Hashable) -> float:
        """The mean in nanoseconds; 0 for one that was never asked, so that it is."""
        known = self._known.get(name)
        return 0.0 if known is None else known[0]


def equals(targets: Sequence[Target], *, any_model: bool) -> Iterator[list[Target]]:
    """Runs of neighbours that are as good as each other: of one tier, and of one model unless ``any_model``."""
    run: list[Target] = []
    for target in targets:
        if run and not (run[0].tier is target.tier and (any_model or run[0].model == target.model)):
            yield run
            run = []
        run.append(target)
    if run:
        yield run
