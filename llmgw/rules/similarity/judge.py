"""Judges whether a stored answer may be served for another wording, and learns from every answer that tells.

What is learnt belongs to one tenant and one embedder. The memory of a judge is bounded, and :meth:`Judge.snapshot` keeps
all of it but the random numbers.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from llmgw.rules.similarity.calibration import Calibration
from llmgw.rules.similarity.decision import Neighbour, choose, describe
from llmgw.rules.similarity.features import pairs
from llmgw.rules.similarity.groups import Groups, Row
from llmgw.rules.similarity.guards import veto
from llmgw.rules.similarity.risk import Risk
from llmgw.rules.similarity.verifier import Weights, shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmgw.rules.similarity.turn import Turn

VERSION = 2
PROVEN = 1
"""How often a group's answer was found right for another wording before it may serve one."""
LEAD = 3.0
"""How much likelier in log odds a group that is not proven must be than one that is."""
FIRST_AUDITS = 100
"""Audits that may come early, above the agreed share: the first hits are on probation."""
EAGER = 10
"""How many times the agreed share is audited while that lasts."""
FAMILIAR = 1.0
"""How much likelier, beyond its score, a proven group is to have the answer to what nothing could serve."""
FORBIDDEN = 1.0
"""How much less likely one is that a guard forbids."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of a turn.

    ``neighbour`` is the likeliest entry that may serve, also where it does not: its answer is worth comparing with the fresh
    one. ``score`` is the log odds that it is right. ``audit`` asks for a fresh answer to a hit in the background, whose label
    stands for ``weight`` hits. Of a miss ``other`` is the likeliest entry of another group with many votes, one that a guard
    forbids not excluded: whose answers say the same is worth knowing even of what may not serve. ``likelier`` tells a
    benchmark that lets it compare only one which of the two that should be.
    """

    hit: bool
    neighbour: Neighbour | None
    score: float
    reason: str
    audit: bool = False
    weight: float = 1.0
    features: NDArray[np.float64] | None = None
    other: Neighbour | None = None
    likelier: bool = False


class _State(msgspec.Struct):
    """A snapshot in msgpack; ``version`` and the shapes must be today's, or it is dropped."""

    version: int
    mean: list[float]
    covariance: list[list[float]]
    risk: list[list[float]]
    lately: tuple[float, float]
    hits: int
    audits: int
    groups: list[Row]


class Judge:
    """One tenant's judge over one embedder's cosines."""

    def __init__(
        self,
        promise: float,
        embedder: str | Weights,
        state: bytes | None = None,
        *,
        audit: float = 0.03,
        chance: random.Random | None = None,
    ) -> None:
        """``promise`` is the most that hits may be wrong, ``audit`` the share of hits that may be asked again.

        A ``state`` that cannot be read, of another version or another shape, is as good as none.
        """
        self.weights = embedder if isinstance(embedder, Weights) else shipped(embedder)
        self.calibration = Calibration(self.weights.mean, self.weights.covariance)
        self.risk = Risk(promise, self.weights.curve, self.weights.doubt)
        self.groups = Groups()
        self._audit = audit
        self._chance = chance or random.Random()  # noqa: S311 - samples audits, guards nothing
        self._hits = 0
        self._audits = 0
        self._usual = 0.05
        if state is not None:
            self._restore(state)

    def consider(self, turn: Turn, neighbours: Sequence[Neighbour]) -> Verdict:
        """Whether one of the nearest entries may answer a turn; neighbours in any order, a dozen are enough."""
        if not neighbours:
            return Verdict(hit=False, neighbour=None, score=-math.inf, reason="nothing near")
        around = _Around(turn, neighbours, self)
        candidates = choose(neighbours, around.logits, around.vetoes)
        if not candidates:
            nearest = max(range(len(neighbours)), key=lambda at: neighbours[at].cosine)
            return around.miss(nearest, around.vetoes[nearest])
        chosen = max(candidates, key=lambda at: around.score(at) + LEAD * around.proven(at))
        if not around.proven(chosen):
            return around.miss(chosen, "unproven")
        score = around.score(chosen)
        self.risk.see(score)
        if score < self.risk.threshold:
            return around.miss(chosen, "nothing is safe yet" if math.isinf(self.risk.threshold) else "score")
        audit, weight = self._sample(score)
        return Verdict(True, neighbours[chosen], score, "hit", audit, weight, around.features(chosen))

    def learn(
        self,
        verdict: Verdict,
        right: bool | None,
        weight: float = 1.0,
        *,
        also: bool | None = None,
        fresh: int | None = None,
    ) -> int | None:
        """Whether the neighbour's answer, and ``also`` the other one's, were equivalent to a fresh one; None if not compared.

        Gives the group that the fresh answer belongs to: ``fresh``, one of its own, where it is like neither.
        """
        neighbour, other = verdict.neighbour, verdict.other
        group = neighbour.group if neighbour and right else other.group if other and also else fresh
        if neighbour is not None and right is not None:
            chance = None if verdict.features is None else _chance(verdict.score)
            self.groups.learn(neighbour.group, right=right, chance=chance, rival=None if right else group)
        if other is not None and also is not None:
            self.groups.learn(other.group, right=also, chance=None, rival=None if also else group)
        if verdict.features is not None and right is not None:
            self.calibration.learn(verdict.features, right=right, weight=weight)
            if verdict.reason != "unproven":  # what could not be served says nothing about what could
                self.risk.learn(verdict.score, right=right)
        return group

    def _sample(self, score: float) -> tuple[bool, float]:
        """Whether to audit a hit, and for how many hits it stands: those likelier to be wrong are asked more often."""
        self._hits += 1
        ahead = self._audits >= FIRST_AUDITS + self._audit * self._hits
        doubt = math.sqrt(1 - _chance(score))
        self._usual += 0.01 * (doubt - self._usual)
        share = self._audit * (1 if ahead else EAGER) * min(4.0, max(0.25, doubt / self._usual))
        if share <= 0:
            return False, 1.0
        audit = self._chance.random() < share
        self._audits += audit
        return audit, 1 / min(1.0, share)

    def snapshot(self) -> bytes:
        """All that was learnt."""
        risk = self.risk
        return msgspec.msgpack.encode(
            _State(
                VERSION,
                self.calibration.mean.tolist(),
                self.calibration.covariance.tolist(),
                [counts.tolist() for counts in (risk.seen, risk.labels, risk.wrong, risk.served)],
                (float(risk.lately[0]), float(risk.lately[1])),
                self._hits,
                self._audits,
                self.groups.dump(),
            )
        )

    def _restore(self, state: bytes) -> None:
        try:
            kept = msgspec.msgpack.decode(state, type=_State)
            mean, covariance, counts = np.array(kept.mean), np.array(kept.covariance), np.array(kept.risk)
        except (msgspec.DecodeError, ValueError):
            return
        shapes = (self.calibration.mean.shape, self.calibration.covariance.shape, (4, *self.risk.seen.shape))
        if kept.version != VERSION or (mean.shape, covariance.shape, counts.shape) != shapes:
            return
        self.calibration.mean, self.calibration.covariance = mean, covariance
        self.risk.seen, self.risk.labels, self.risk.wrong, self.risk.served = counts
        self.risk.lately = np.array(kept.lately)
        self._hits, self._audits = kept.hits, kept.audits
        self.groups.load(kept.groups)
        self.risk.decide()


class _Around:
    """A turn among its neighbours, each looked at closely when it is asked for."""

    def __init__(self, turn: Turn, neighbours: Sequence[Neighbour], judge: Judge) -> None:
        self.turn, self.neighbours, self.judge = turn, neighbours, judge
        self.vetoes = [veto(turn, each.turn) for each in neighbours]
        figures = pairs(turn, [each.turn for each in neighbours], [each.cosine for each in neighbours])
        self.logits = judge.weights.logits(figures)
        self._features: dict[int, NDArray[np.float64]] = {}

    def features(self, at: int) -> NDArray[np.float64]:
        """What the calibration knows it by."""
        if at not in self._features:
            self._features[at] = describe(self.turn, at, self.neighbours, self.logits, self.judge.groups)
        return self._features[at]

    def score(self, at: int) -> float:
        """Log odds of being right."""
        return self.judge.calibration.logit(self.features(at))

    def proven(self, at: int) -> bool:
        """Whether its group may serve at all."""
        return self.judge.groups.get(self.neighbours[at].group).right >= PROVEN

    def miss(self, chosen: int, reason: str) -> Verdict:
        """The verdict on what does not serve, and who else may have the same answer."""

        def promise(at: int) -> float:
            return self.score(at) + FAMILIAR * self.proven(at) - FORBIDDEN * bool(self.vetoes[at])

        forbidden = bool(self.vetoes[chosen])
        group = self.neighbours[chosen].group
        likely = choose(self.neighbours, self.logits, [""] * len(self.neighbours))
        others = [at for at in likely if self.neighbours[at].group != group]
        other = max(others, key=promise, default=None)
        return Verdict(
            hit=False,
            neighbour=self.neighbours[chosen],
            score=-math.inf if forbidden else self.score(chosen),
            reason=reason,
            features=None if forbidden else self.features(chosen),
            other=None if other is None else self.neighbours[other],
            likelier=other is not None and promise(other) > promise(chosen),
        )


def _chance(score: float) -> float:
    """The chance of being right that log odds stand for."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
