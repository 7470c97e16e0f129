"""The owner's dial: which tier a request is worth, from its expected gain and what the tiers cost."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from llmgw.rules.tiering.score import Score

RECENT = 512
"""Gains of recent requests that the dial is set by."""

REFRESH = 128
"""New gains after which the dial is set anew."""

SETTINGS = 64
"""Sets of tiers for which the dial remembers how it is set."""

HALVINGS = 20

QUALITY = 0.5
"""Where the dial stands when the owner has said nothing."""


class Tier(Struct, frozen=True):
    """A tier as the dial sees it.

    ``kappa`` is the share of the gain that it lacks (premium 0, local 1); ``cost`` what a usual request costs there, in
    any unit.
    """

    name: str
    kappa: float
    cost: float


class Choice(Struct, frozen=True):
    """A tier, the chance of a good answer from each tier, and why in words."""

    tier: str
    quality: dict[str, float]
    why: str
    explored: bool = False


class Ladder(Struct, frozen=True):
    """The tiers worth their cost, cheapest first, and the gain above which each step up is taken."""

    rungs: tuple[Tier, ...]
    thresholds: tuple[float, ...]

    def step(self, gain: float, max_regret: float | None) -> int:
        """The place of the tier that a gain is worth, or of a dearer one where that would lose more than is allowed."""
        at = bisect_left(self.thresholds, gain)
        if max_regret is not None:
            while self.loss(gain, self.rungs[at]) > max_regret and at + 1 < len(self.rungs):
                at += 1
        return at

    def loss(self, gain: float, tier: Tier) -> float:
        """How much worse a tier is expected to answer than the best rung; a gain below 0 counts as none."""
        return max(0.0, gain) * (tier.kappa - self.rungs[-1].kappa)


class Dial:
    """Chooses tiers; ``note`` tells it what requests are like.

    ``quality`` 0..1 is the share of what the best tier is better by that is to be recovered at the least cost: 0 is
    always the cheapest tier, 1 the best wherever it is better. ``max_regret`` 0..1 is the most that a single request
    may be expected to lose against the best tier. Given alone it decides alone; given both, the dearer choice holds.
    ``explore`` is the share of requests that try another tier, only where its expected loss is within ``max_regret``
    (any loss where there is none).
    """

    def __init__(
        self,
        quality: float | None = None,
        max_regret: float | None = None,
        *,
        explore: float = 0.0,
        prior: Iterable[float] = (),
        random: Random | None = None,
    ) -> None:
        """``prior`` are gains to start from; ``random`` is needed for ``explore``. Raises ValueError out of range."""
        if quality is None:
            quality = QUALITY if max_regret is None else 0.0
        if not (0.0 <= quality <= 1.0 and 0.0 <= explore <= 1.0 and 0.0 <= (max_regret or 0.0) <= 1.0):
            raise ValueError("quality, max_regret and explore are 0 to 1")
        if explore and random is None:
            raise ValueError("exploring needs a source of randomness")
        self.quality = quality
        self.max_regret = max_regret
        self._explore = explore
        self._random = random
        self._recent: deque[float] = deque(prior, maxlen=RECENT)
        self._sorted = sorted(self._recent)
        self._fresh = 0
        self._ladders: dict[tuple[Tier, ...], Ladder] = {}

    def note(self, gain: float) -> None:
        """Count a request's gain among the recent ones."""
        if len(self._recent) == RECENT:
            del self._sorted[bisect_right(self._sorted, self._recent[0]) - 1]
        self._recent.append(gain)
        insort(self._sorted, gain)
        self._fresh += 1
        if self._fresh >= REFRESH:
            self._fresh = 0
            self._ladders.clear()

    def choose(self, score: Score, tiers: Sequence[Tier]) -> Choice:
        """The tier for a request, of one or more; deterministic but for exploring."""
        gain = score.gain
        quality = {tier.name: min(1.0, max(0.0, score.premium - tier.kappa * gain)) for tier in tiers}
        ladder = self.ladder(tiers)
        rung = ladder.step(gain, None)
        why = self._words(gain, ladder, rung)
        if self.max_regret is not None and rung != (rung := ladder.step(gain, self.max_regret)):
            why = f"{ladder.rungs[rung].name}: a cheaper tier would lose more than {self.max_regret:.1%}"
        chosen = ladder.rungs[rung]
        if self._random is not None and self._random.random() < self._explore:
            limit = 1.0 if self.max_regret is None else self.max_regret
            others = [tier for tier in tiers if tier != chosen and ladder.loss(gain, tier) <= limit]
            if others:
                other = self._random.choice(others)
                why = f"{other.name}, tried to learn how it does; otherwise {chosen.name}"
                return Choice(other.name, quality, why, explored=True)
        return Choice(chosen.name, quality, why)

    def ladder(self, tiers: Sequence[Tier]) -> Ladder:
        """How the dial is set for these tiers; worked out anew every ``REFRESH`` requests."""
        key = tuple(tiers)
        ladder = self._ladders.get(key)
        if ladder is None:
            if len(self._ladders) >= SETTINGS:
                self._ladders.clear()
            ladder = self._ladders[key] = self._set(_rungs(key))
        return ladder

    def _words(self, gain: float, ladder: Ladder, rung: int) -> str:
        name = ladder.rungs[rung].name
        if len(ladder.rungs) == 1:
            return f"{name} is the only tier worth its cost"
        if self.quality == 0.0:
            return f"{name}, the cheapest"
        said = f"a premium model would answer {100 * gain:+.1f} points better"
        if rung:
            said += f"; {name} is worth it from {100 * ladder.thresholds[rung - 1]:+.1f}"
        if rung < len(ladder.thresholds):
            said += f"; {ladder.rungs[rung + 1].name} only from {100 * ladder.thresholds[rung]:+.1f}"
        return said

    def _set(self, rungs: tuple[Tier, ...]) -> Ladder:
        """The highest price of quality at which the recent gains recover enough, as a threshold for each step up."""
        steps = [(low.kappa - high.kappa, high.cost - low.cost) for low, high in pairwise(rungs)]
        if self.quality == 0.0:
            return Ladder(rungs, (float("inf"),) * len(steps))
        above = self._sorted[bisect_right(self._sorted, 0.0) :]
        if self.quality == 1.0 or not steps or not above:
            return Ladder(rungs, (0.0,) * len(steps))
        sums = [0.0, *accumulate(reversed(above))]
        wanted = self.quality * sums[-1] * sum(share for share, _ in steps)

        def recovered(price: float) -> float:
            return sum(
                share * sums[len(above) - bisect_right(above, price * cost / share)] for share, cost in steps
            )

        low, high = 0.0, above[-1] * max(share / cost for share, cost in steps)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if recovered(middle) >= wanted else (low, middle)
        return Ladder(rungs, tuple(low * cost / share for share, cost in steps))


def _rungs(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Each rung answers better than the one below and costs more; no step up is better value than the one before it."""
    rungs: list[Tier] = []
    for tier in sorted(tiers, key=lambda each: (each.cost, each.kappa)):
        if rungs and (tier.kappa >= rungs[-1].kappa or tier.cost == rungs[-1].cost):
            continue
        while len(rungs) > 1 and _value(rungs[-2], rungs[-1]) <= _value(rungs[-2], tier):
            rungs.pop()
        rungs.append(tier)
    return tuple(rungs)


def _value(lower: Tier, upper: Tier) -> float:
    """Quality for money of the step from one tier to a dearer one."""
    return (lower.kappa - upper.kappa) / (upper.cost - lower.cost)
