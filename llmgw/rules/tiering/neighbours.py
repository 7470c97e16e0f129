"""How good answers to like prompts were, against what was expected of them; the part of the tier score that needs numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.rules.tiering.likeness import FORM, MEANING, SPREAD, WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

DOUBT = 3.0
"""Near outcomes' worth of weight that say nothing is different here."""

FEW = 100.0
"""Outcomes, near or far, of which half is believed what a thousand would say."""

PULL = 0.6
"""How far a prompt is expected to be like those near it rather than as its own words say."""

NARROW = 1 / (2 * 2.5**2)
"""How fast likeness falls with the square of the distance between forms, in standard deviations."""


class Near(Struct, frozen=True):
    """What near outcomes add to the premium model's chance of a good answer, and to the gain.

    ``outcomes`` is how many there are, each counted by how near it is.
    """

    premium: float
    gain: float
    outcomes: float


class Neighbours:
    """One vector a slot, with the row of regressors of its prompt and what was seen of its answers."""

    def __init__(self, slots: int, regressors: int) -> None:
        import numpy as np  # noqa: PLC0415 - loaded only where outcomes carry vectors

        self._numpy = np
        self._meanings = np.zeros((slots, MEANING), np.float32)
        self._forms = np.zeros((slots, FORM), np.float32)
        self._rows = np.zeros((slots, regressors), np.float32)
        self._seen = np.zeros((slots, 5), np.float32)
        self._told = np.zeros((slots, 6), np.float32)
        self._sums = [0.0] * 6
        self._used = 0

    def put(
        self,
        slot: int,
        vector: bytes,
        row: Sequence[float],
        premium: tuple[float, float],
        lower: tuple[float, float, float],
    ) -> None:
        """Fill a slot.

        ``vector`` is a likeness. ``row`` holds the regressors of premium quality first and of the gain after;
        ``premium`` is quality and weight, ``lower`` the same of a lesser tier and the share of the gain that it lacks; a
        weight of 0 means that nobody saw it.
        """
        self._meanings[slot], self._forms[slot] = self._read(vector)
        self._rows[slot] = row
        self._seen[slot] = (*premium, *lower)
        self._used = max(self._used, slot + 1)

    def drop(self, slot: int) -> None:
        self._meanings[slot] = 0.0

    def expect(self, premium: Sequence[float], gain: Sequence[float]) -> None:
        """What is expected of each slot, by the coefficients of the regression, beside what was seen.

        Of a tier that nobody saw what is expected is taken to be seen.
        """
        numpy = self._numpy
        rows, seen, told = self._rows[: self._used], self._seen[: self._used], self._told[: self._used]
        best = rows[:, : len(premium)] @ numpy.asarray(premium, numpy.float32)
        rise = rows[:, len(premium) :] @ numpy.asarray(gain, numpy.float32)
        quality, weight, lower, lower_weight, kappa = seen.T
        known = lower_weight * kappa > 0.0
        upper = numpy.where(weight > 0.0, quality, best)
        lacked = numpy.where(known, (upper - lower) / numpy.where(known, kappa, 1.0), upper - best + rise)
        # a tier that lacks the share kappa of the gain tells of the whole of it with the weight of its square
        trust = numpy.where(known, kappa * kappa * lower_weight, weight)
        for at, (found, expected, weighs) in enumerate(((quality, best, weight), (lacked, rise, trust))):
            told[:, 3 * at] = found * weighs
            told[:, 3 * at + 1] = expected * weighs
            told[:, 3 * at + 2] = weighs
        self._sums = told.sum(axis=0).tolist()

    def near(self, vector: bytes, premium: float, gain: float) -> Near:
        """What they say of a prompt like ``vector`` of which ``premium`` and ``gain`` are expected.

        What near ones were found to be better or worse than expected is added, and what is expected of this one is
        pulled towards what was expected of them; both the less, the fewer there are.
        """
        numpy = self._numpy
        meaning, form = self._read(vector)
        near = self._meanings[: self._used] @ meaning
        numpy.maximum(near, 0.0, out=near)
        apart = self._forms[: self._used] - form
        near *= near * near * numpy.exp(-NARROW * numpy.einsum("ij,ij->i", apart, apart))
        sums = (near @ self._told[: self._used]).tolist()
        best, rise = _shift(sums[:3], self._sums[2], premium), _shift(sums[3:], self._sums[5], gain)
        return Near(best, rise, max(sums[2], sums[5]))

    def _read(self, vector: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        numbers = self._numpy.frombuffer(vector, self._numpy.int8).astype(self._numpy.float32)
        meaning = numbers[:MEANING]
        return meaning / max(float(self._numpy.linalg.norm(meaning)), 1e-6), numbers[MEANING:WIDTH] / SPREAD


def _shift(sums: Sequence[float], everything: float, expected: float) -> float:
    """How far an expectation moves; sums are of what was found and expected near it and of their weight."""
    found, usual, mass = sums
    if mass <= 0.0:
        return 0.0
    moved = found / mass - PULL * expected - (1.0 - PULL) * usual / mass
    return moved * mass / (mass + DOUBT) * everything / (everything + FEW)
