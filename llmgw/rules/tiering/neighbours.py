"""What was left over of the outcomes whose vectors lie near; the only part of the tier score that needs numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vector = Sequence[float] | NDArray[np.float32]

DOUBT = 5.0
"""Outcomes' worth of weight that say nothing is different here."""


class Near(Struct, frozen=True):
    """How the tiers did near a vector, against what was expected: a rise or fall of the chance of a good answer.

    ``outcomes`` is how many there are, each counted by how near it is.
    """

    premium: float
    modest: float
    outcomes: float


class Neighbours:
    """One vector a slot, with the row of regressors of its prompt and what was seen of its answers."""

    def __init__(self, slots: int, width: int, regressors: int) -> None:
        import numpy as np  # noqa: PLC0415 - loaded only where outcomes carry vectors

        self._numpy = np
        self.width = width
        self._vectors = np.zeros((slots, width), np.float32)
        self._rows = np.zeros((slots, regressors), np.float32)
        self._seen = np.zeros((slots, 5), np.float32)
        self._left = np.zeros((slots, 4), np.float32)
        self._used = 0

    def put(
        self,
        slot: int,
        vector: Vector | bytes,
        row: Sequence[float],
        premium: tuple[float, float],
        lower: tuple[float, float, float],
    ) -> None:
        """Fill a slot.

        ``vector`` is of any length above 0, or what ``vector()`` gave out. ``row`` holds the regressors of premium
        quality first and of the gain after; ``premium`` is quality and weight, ``lower`` the same of a lesser tier and
        the share of the gain that it lacks; a weight of 0 means that nobody saw it.
        """
        if isinstance(vector, bytes):
            self._vectors[slot] = self._numpy.frombuffer(vector, "<f2")
        else:
            self._vectors[slot] = self._unit(vector).astype(self._numpy.float16)
        self._rows[slot] = row
        self._seen[slot] = (*premium, *lower)
        self._used = max(self._used, slot + 1)

    def drop(self, slot: int) -> None:
        self._vectors[slot] = 0.0

    def vector(self, slot: int) -> bytes:
        """The vector of a slot as float16, little-endian."""
        raw: bytes = self._vectors[slot].astype("<f2").tobytes()
        return raw

    def expect(self, premium: Sequence[float], gain: Sequence[float]) -> None:
        """What the regression says of each slot is taken off; ``premium`` and ``gain`` are its coefficients."""
        rows, seen = self._rows[: self._used], self._seen[: self._used]
        best = rows[:, : len(premium)] @ self._numpy.asarray(premium, self._numpy.float32)
        rise = rows[:, len(premium) :] @ self._numpy.asarray(gain, self._numpy.float32)
        quality, weight, lower, lower_weight, kappa = seen.T
        left = self._left[: self._used]
        left[:, 0] = (quality - best) * weight
        left[:, 1] = weight
        # a tier that lacks the share kappa of the gain tells kappa times as much of a modest one, with its square's weight
        left[:, 2] = (lower - best + kappa * rise) * kappa * lower_weight
        left[:, 3] = kappa * kappa * lower_weight

    def near(self, vector: Vector) -> Near:
        """The mean of what was left over, weighed by the fourth power of the cosine and held down by ``DOUBT``."""
        near = self._vectors[: self._used] @ self._unit(vector)
        self._numpy.maximum(near, 0.0, out=near)
        near *= near
        near *= near
        premium, premiums, modest, modests = (near @ self._left[: self._used]).tolist()
        return Near(premium / (premiums + DOUBT), modest / (modests + DOUBT), max(premiums, modests))

    def _unit(self, vector: Vector) -> NDArray[np.float32]:
        numbers = self._numpy.asarray(vector, self._numpy.float32)
        unit: NDArray[np.float32] = numbers / max(float(self._numpy.linalg.norm(numbers)), 1e-6)
        return unit
