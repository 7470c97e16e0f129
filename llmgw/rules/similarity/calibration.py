"""The chance that a candidate is right, by logistic regression that learns from one label at a time.

Recursive Bayes with a Gaussian over the weights (Spiegelhalter and Lauritzen 1990): the shipped weights are the prior,
and every label moves them as far as they were uncertain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAVIEST = 6.0
"""The most one label may count here, so that one audit cannot turn the model round."""


class Calibration:
    """Mean and covariance of the weights; ``covariance`` comes with the shipped prior."""

    def __init__(self, mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
        self.mean = mean.copy()
        self.covariance = covariance.copy()

    def logit(self, features: NDArray[np.float64]) -> float:
        """Log odds of being right, drawn towards even odds by what is uncertain of the weights."""
        spread = float(features @ self.covariance @ features)
        return float(features @ self.mean) / math.sqrt(1 + math.pi * spread / 8)

    def learn(self, features: NDArray[np.float64], *, right: bool, weight: float = 1.0) -> None:
        """One label."""
        weight = min(weight, HEAVIEST)
        chance = 1 / (1 + math.exp(-max(-30.0, min(30.0, float(features @ self.mean)))))
        curvature = weight * max(chance * (1 - chance), 1e-4)
        gain = self.covariance @ features
        self.covariance -= np.outer(gain, gain) * (curvature / (1 + curvature * float(features @ gain)))
        self.mean += (self.covariance @ features) * (weight * (right - chance))
