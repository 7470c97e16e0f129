"""What the owner's own outcomes teach: how far to trust each part of the shipped score, and what near requests were like.

A Bayesian linear regression scales the parts of the score (length, code, words) and shifts it; a few dozen outcomes
move it and it needs no library. Where outcomes carry a vector, what near ones say against it is one more term,
``like N earlier requests``, small while there are few. An outcome tells how well one tier answered, or several; of a
tier that nobody saw nothing is assumed.
"""

from __future__ import annotations

from collections import deque
from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from llmgw.rules.tiering.likeness import WIDTH
from llmgw.rules.tiering.neighbours import Near, Neighbours
from llmgw.rules.tiering.regression import Regression
from llmgw.rules.tiering.score import Features, Score

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 5_000
"""Outcomes kept; the oldest goes first, as if it had never been."""

FEWEST = 0.5
"""Outcomes near enough for a term of their own, counted by nearness."""

HEAVIEST = 100.0
"""Weight of the most believed outcome; with a heavier one nothing else would count, nor could it be taken out cleanly."""

PREMIUM, CHEAP, LOCAL = "premium", "cheap", "local"

NOISE = 0.2
"""Variance of one outcome around its chance: most are 0 or 1."""

_PREMIUM_PRIOR = ((0.0, 1.0), (0.2, 0.2))
_GAIN_PRIOR = ((0.0, 1.0, 1.0, 1.0), (0.15, 0.1, 0.1, 0.1))
_KAPPA_PRIOR, _KAPPA_TRUST = 0.5, 16.0


class _Record(msgspec.Struct):
    """One outcome; ``kappa`` is what the cheap tier was taken to lack, ``lean`` and ``mass`` what it said of that."""

    features: Features
    quality: dict[str, float]
    weight: float
    kappa: float
    lean: float
    mass: float


class Learning:
    """Outcomes of one owner, the newest ``most``; nothing here is shared between threads."""

    def __init__(self, bias: float, most: int = MOST) -> None:
        """``bias`` is the score's constant term: ``shipped().weights.bias[0]``."""
        self._bias = bias
        self._most = most
        self.reset()

    def reset(self) -> None:
        """Forget every outcome."""
        self._records: deque[_Record] = deque()
        self._first = 0
        self._neighbours: Neighbours | None = None
        self._stale = False
        self._lean = self._mass = 0.0
        means, spreads = zip(_PREMIUM_PRIOR, _GAIN_PRIOR, strict=True)
        self._regression = Regression([*means[0], *means[1]], [*spreads[0], *spreads[1]], NOISE)

    def __len__(self) -> int:
        return len(self._records)

    @property
    def kappa(self) -> dict[str, float]:
        """The share of the gain that each tier lacks; only the cheap one's is learnt."""
        cheap = (_KAPPA_PRIOR * _KAPPA_TRUST + self._lean) / (_KAPPA_TRUST + self._mass)
        return {LOCAL: 1.0, CHEAP: min(1.0, max(0.0, cheap)), PREMIUM: 0.0}

    def learn(
        self,
        features: Features,
        quality: Mapping[str, float],
        vector: bytes | None = None,
        weight: float = 1.0,
    ) -> None:
        """Take in how well tiers answered a prompt.

        ``features`` are the shipped score's, ``quality`` 0..1 by tier, ``vector`` the prompt's likeness, ``weight`` above 0,
        at most ``HEAVIEST``, how far the source is believed. Raises ValueError where these do not hold.
        """
        if not quality or not all(
            tier in self.kappa and 0.0 <= value <= 1.0 for tier, value in quality.items()
        ):
            raise ValueError(
                "an outcome is a quality of 0 to 1 for each of local, cheap or premium that was seen"
            )
        if not (0.0 < weight <= HEAVIEST and all(map(isfinite, features))):
            raise ValueError(f"an outcome has finite features and a weight above 0, at most {HEAVIEST:g}")
        if vector is not None and len(vector) != WIDTH:
            raise ValueError(f"a vector has {WIDTH} bytes")
        kappa = self.kappa[CHEAP]
        premium, gain = self._expected(features)
        lean = mass = 0.0
        if CHEAP in quality:
            lean = weight * gain * (premium - quality[CHEAP]) / NOISE
            mass = weight * gain * gain / NOISE
        self._keep(_Record(features, dict(quality), weight, kappa, lean, mass), vector)

    def adjust(self, score: Score, vector: bytes | None = None) -> Score:
        """The score as the outcomes have it; still the sum of its terms."""
        best, rise = self._coefficients
        usual, length, code, *words = score.terms
        terms = [
            (usual[0], usual[1] + rise[0]),
            (length[0], length[1] * rise[1]),
            (code[0], code[1] * rise[2]),
            *((name, value * rise[3]) for name, value in words),
        ]
        premium = best[0] + best[1] * score.premium
        if vector is not None and self._neighbours is not None:
            near = self._near(self._neighbours, vector, premium, sum(value for _, value in terms))
            if near.outcomes >= FEWEST:
                count = max(1, round(near.outcomes))
                name = "like an earlier request" if count == 1 else f"like {count} earlier requests"
                terms.append((name, near.gain))
                premium += near.premium
        return Score(sum(value for _, value in terms), min(1.0, max(0.0, premium)), tuple(terms))

    @property
    def near(self) -> bool:
        """Whether some outcomes carry a vector, so that those of other prompts are worth having."""
        return self._neighbours is not None

    @property
    def _coefficients(self) -> tuple[list[float], list[float]]:
        found = self._regression.coefficients
        return found[:2], found[2:]

    def _expected(self, features: Features) -> tuple[float, float]:
        """Premium quality and gain by the regression alone."""
        best, rise = self._coefficients
        length, code, words, premium = features
        return best[0] + best[1] * premium, self._bias + rise[0] + rise[1] * length + rise[2] * code + rise[
            3
        ] * words

    def _keep(self, record: _Record, vector: bytes | None) -> None:
        if len(self._records) == self._most:
            self._count(self._records.popleft(), -1.0)
            if self._neighbours is not None:
                self._neighbours.drop(self._first % self._most)
            self._first += 1
        slot = (self._first + len(self._records)) % self._most
        self._records.append(record)
        self._count(record, 1.0)
        self._stale = True
        if vector is None:
            return
        if self._neighbours is None:
            self._neighbours = Neighbours(self._most, 6)
        length, code, words, premium = record.features
        best = (record.quality[PREMIUM], record.weight) if PREMIUM in record.quality else (0.0, 0.0)
        lower = (0.0, 0.0, 0.0)
        if LOCAL in record.quality:
            lower = (record.quality[LOCAL], record.weight, 1.0)
        elif CHEAP in record.quality:
            lower = (record.quality[CHEAP], record.weight, record.kappa)
        self._neighbours.put(slot, vector, (1.0, premium, 1.0, length, code, words), best, lower)

    def _count(self, record: _Record, sign: float) -> None:
        """Count a record into the regression, or out of it."""
        length, code, words, premium = record.features
        best, rise = (1.0, premium), (1.0, length, code, words)
        weight = sign * record.weight
        self._lean += sign * record.lean
        self._mass += sign * record.mass
        seen = record.quality.get(PREMIUM)
        if seen is not None:
            self._regression.add((*best, 0.0, 0.0, 0.0, 0.0), seen, weight)
        for tier, kappa in ((LOCAL, 1.0), (CHEAP, record.kappa)):
            lower = record.quality.get(tier)
            if lower is None or not kappa:
                continue
            if seen is None:
                row = (*best, *(-kappa * value for value in rise))
                self._regression.add(row, lower + kappa * self._bias, weight)
            else:  # two answers to one prompt: how hard it was cancels out
                row = (0.0, 0.0, *(kappa * value for value in rise))
                self._regression.add(row, seen - lower - kappa * self._bias, weight)

    def _near(self, neighbours: Neighbours, vector: bytes, premium: float, gain: float) -> Near:
        if self._stale:
            best, rise = self._coefficients
            neighbours.expect(best, [self._bias + rise[0], *rise[1:]])
            self._stale = False
        return neighbours.near(vector, premium, gain)
