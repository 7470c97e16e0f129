"""Bayesian linear regression of a handful of coefficients, from which old rows can be taken out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Regression:
    """Coefficients with a Gaussian prior and rows of equal noise; kept as precision, so that rows add and subtract."""

    def __init__(self, means: Sequence[float], deviations: Sequence[float], noise: float) -> None:
        """``deviations`` of the prior; ``noise`` is the variance of one row of weight 1."""
        self._noise = noise
        self._precision = [
            [1.0 / spread**2 if row == column else 0.0 for column in range(len(means))]
            for row, spread in enumerate(deviations)
        ]
        self._moments = [mean / spread**2 for mean, spread in zip(means, deviations, strict=True)]
        self._found: list[float] | None = list(means)

    def add(self, row: Sequence[float], value: float, weight: float = 1.0) -> None:
        """Count a row in, or out with a negative weight."""
        scale = weight / self._noise
        for at, left in enumerate(row):
            line = self._precision[at]
            for across, right in enumerate(row):
                line[across] += scale * left * right
            self._moments[at] += scale * left * value
        self._found = None

    @property
    def coefficients(self) -> list[float]:
        """The posterior mean; solved once after each change."""
        if self._found is None:
            self._found = _solve(self._precision, self._moments)
        return self._found


def _solve(matrix: list[list[float]], values: list[float]) -> list[float]:
    """The solution of a positive definite system; elimination without pivoting, which such a system does not need."""
    rows = [[*line, value] for line, value in zip(matrix, values, strict=True)]
    for at, pivot in enumerate(rows):
        for lower in rows[at + 1 :]:
            factor = lower[at] / pivot[at]
            for across in range(at, len(pivot)):
                lower[across] -= factor * pivot[across]
    found = [0.0] * len(rows)
    for at in reversed(range(len(rows))):
        line = rows[at]
        known = sum(line[across] * found[across] for across in range(at + 1, len(rows)))
        found[at] = (line[-1] - known) / line[at]
    return found
