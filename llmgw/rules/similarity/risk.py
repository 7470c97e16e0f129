"""The lowest score at which the share of wrong hits stays below what was promised.

Scores fall into bins. Each bin has a wrong rate from shipped prior counts and from labels, made monotone in the score by
pooling neighbours that contradict it. The prior is believed as far as this traffic bears it out: its wrong rates are
multiplied by how much more often than it says candidates were wrong here. The threshold is the lowest bin from which
upwards the mean wrong rate, weighted by the traffic each bin sees, plus ``Z`` standard deviations stays below the promise.
Where there is no such bin, or too few labels of this traffic's own lie above it, nothing is served. Within a bin a label
of an audit counts as one of a miss does: which of the two it is says nothing about the candidate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGES = np.arange(0.0, 9.01, 0.375)
"""Log odds at which bins begin; what lies below the first is never served."""
BINS = len(EDGES)
Z = 1.28
"""Standard deviations between the mean and the bound: one in ten, one-sided."""
EVERY = 20
"""Candidates between two decisions."""
FORGET = 0.9995
"""What is left of a label when the next arrives: the last two thousand or so count."""
HEARD = 1.0
"""Labels of its own times the promise that must lie above a threshold: a hundred for one in a hundred."""
RECENT = 0.998
"""The same for how this traffic compares with the prior: some five hundred labels."""
LATELY = 0.98
"""The same for the check whether audits have turned bad: the last fifty."""
KEPT = 0.1
"""What is kept of all labels when they have."""
BELIEF = 4.0
"""Wrong candidates' worth of belief in the prior before this traffic has been heard."""
SMOOTH = 0.02
"""Wrong labels that every bin is taken to have had beyond those seen."""
UNTOLD = 0.1
"""The same of a bin of which nothing is shipped."""
MASS = 60.0
"""Labels' worth of what is shipped for a bin."""


class Risk:
    """Labels and traffic by score, and the threshold that follows from them."""

    def __init__(self, promise: float, prior: NDArray[np.float64]) -> None:
        """``prior`` is (2, BINS): pseudo-labels and the wrong ones among them."""
        self.promise = promise
        self.prior = prior
        self.seen = np.zeros(BINS)
        self.labels = np.zeros(BINS)
        self.wrong = np.zeros(BINS)
        self.heard = np.zeros(BINS)
        self.expected = 0.0
        self.observed = 0.0
        self.lately = np.zeros(2)
        self.threshold = math.inf
        self._since = 0
        self.decide()

    def bin(self, score: float) -> int:
        """Index of the bin of a score in log odds; -1 below the first."""
        return int(np.searchsorted(EDGES, score, "right")) - 1

    def see(self, score: float) -> None:
        """A candidate of this score came by, served or not."""
        at = self.bin(score)
        if at < 0:
            return
        self.seen[at] += 1
        self._since += 1
        if self._since >= EVERY:
            self._since = 0
            self.decide()

    def learn(self, score: float, *, right: bool) -> None:
        """One label of a candidate of this score."""
        at = self.bin(score)
        if at < 0:
            return
        self.seen *= FORGET
        self.labels *= FORGET
        self.wrong *= FORGET
        self.expected = self.expected * RECENT + float(self.prior[1, at] / max(self.prior[0, at], 1e-9))
        self.observed = self.observed * RECENT + (not right)
        self.heard[at] += 1
        self.labels[at] += 1
        self.wrong[at] += not right
        if score >= self.threshold:
            self._check(right=right)

    def _check(self, *, right: bool) -> None:
        """Begin to learn anew when audits of late are wrong more often than chance allows: traffic has changed."""
        self.lately = self.lately * LATELY + (1, not right)
        allowed = self.lately[0] * self.promise
        if self.lately[1] > allowed + 3 * math.sqrt(allowed) + 1:
            self.labels *= KEPT
            self.wrong *= KEPT
            self.heard *= KEPT
            self.lately[:] = 0
            self.decide()

    def decide(self) -> None:
        """Set :attr:`threshold` anew."""
        rate, variance = self.rates()
        traffic = (self.seen + 1e-3)[::-1]
        total = np.cumsum(traffic)
        mean = np.cumsum(traffic * rate[::-1]) / total
        spread = np.sqrt(np.cumsum(traffic**2 * variance[::-1])) / total
        heard = np.cumsum(self.heard[::-1]) >= HEARD / self.promise
        kept = np.flatnonzero((mean + Z * spread <= self.promise) & heard)
        self.threshold = float(EDGES[::-1][kept[-1]]) if len(kept) else math.inf

    def doubt(self) -> float:
        """How many times more often than the prior says candidates are wrong here, at least 1: one deviation above the mean."""
        wrong = self.observed + BELIEF
        return max(1.0, (wrong + math.sqrt(wrong)) / (self.expected + BELIEF))

    def rates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Wrong rate of each bin and its variance."""
        doubt = self.doubt()
        share = MASS / doubt
        told = np.minimum(1.0, doubt * self.prior[1] / np.maximum(self.prior[0], 1e-9))
        believed = np.minimum(self.prior[0], share)
        mass = believed + self.labels
        wrong = believed * told + self.wrong
        smooth = np.where(self.prior[0] > 0, SMOOTH, UNTOLD)
        rate, pooled = _falling((wrong + smooth) / (mass + smooth), mass + smooth)
        return rate, rate * (1 - rate) / pooled


def _falling(
    rates: NDArray[np.float64], masses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The nearest rates that never rise with the score, and the mass behind each (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for rate, mass in zip(rates, masses, strict=True):
        blocks.append([rate, mass, 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            upper, weight, width = blocks.pop()
            lower = blocks[-1]
            lower[0] = (lower[0] * lower[1] + upper * weight) / (lower[1] + weight)
            lower[1] += weight
            lower[2] += width
    return (
        np.concatenate([np.full(int(width), rate) for rate, _, width in blocks]),
        np.concatenate([np.full(int(width), mass) for _, mass, width in blocks]),
    )
