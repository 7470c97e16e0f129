"""The lowest score at which the share of wrong hits stays below what was promised.

How often candidates of a score are wrong is a curve over the score. What is shipped says how it falls, and how far the
curve of other traffic may lie from that: higher or lower as a whole, steeper or flatter, and anywhere a little off. The
labels of this traffic bend it: a Gaussian process over the log odds in bins, by Laplace's approximation. The threshold is
the lowest at which, among the next ``AHEAD`` hits, the share of wrong ones plus ``Z`` standard deviations stays below the
promise; or among them and the hits of late together, so that what was not used of the promise may be used later. Where
there is no such threshold, or too few labels of this traffic's own lie above it, nothing is served. Within a bin a label
of an audit counts as one of a miss does: which of the two it is says nothing about the candidate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 0.375
"""Log odds that a bin spans."""
EDGES = np.arange(0.0, 9.01, WIDTH)
"""Log odds at which bins begin; what lies below the first is never served."""
BINS = len(EDGES)
SCORES = EDGES + WIDTH / 2
"""What stands for a bin."""
MIDDLE = 2.0
"""The score about which a curve turns where it is steeper or flatter."""
SHIFT = 0.5
"""How far another traffic's whole curve may lie from the shipped one: one standard deviation in log odds."""
SLOPE = 0.35
"""How much steeper or flatter it may fall for each unit of score."""
WALK = 0.2
"""How far it may wander beyond that within a unit of score."""
Z = 1.28
"""Standard deviations between the mean and the bound: one in ten, one-sided."""
SLACK = 1.0
"""Wrong hits beyond the promise that the first ones may bring: without it one wrong hit is too many for long."""
MISTAKEN = 0.02
"""Share of different answers that the comparison takes for the same: 59 of 2,866 pairs of QQP that are no duplicates."""
EVERY = 20
"""Candidates between two decisions."""
FORGET = 0.9998
"""What is left of a label or a hit when the next arrives: the last five thousand or so count."""
AHEAD = 500.0
"""Hits to come that a threshold is chosen for."""
HEARD = 0.5
"""Labels of its own times the promise that must lie above a threshold: fifty for one in a hundred."""
LATELY = 0.98
"""What is left of an audit when the next arrives, for the check whether they have turned bad: the last fifty count."""
KEPT = 0.1
"""What is kept of all labels when they have."""
STEPS = 20
"""The most that is tried to find the likeliest curve; it takes two or three."""
_ABOVE = np.triu(np.ones((BINS, BINS)))


class Risk:
    """Labels and traffic by score, and the threshold that follows from them."""

    def __init__(self, promise: float, curve: tuple[float, float], doubt: float = 1.0) -> None:
        """``curve`` is the shipped one: the log odds of being wrong at a score of nought, and their change with each unit.

        ``doubt`` is how many times further than usual this traffic's own may lie from it.
        """
        self.promise = promise
        self.seen = np.zeros(BINS)
        self.labels = np.zeros(BINS)
        self.wrong = np.zeros(BINS)
        self.served = np.zeros(BINS)
        self.lately = np.zeros(2)
        self.threshold = math.inf
        self._prior = curve[0] + curve[1] * SCORES
        self._precision = np.linalg.inv(_apart(doubt))
        self._curve = self._prior
        self._since = 0

    def bin(self, score: float) -> int:
        """Index of the bin of a score in log odds; -1 below the first."""
        return int(np.searchsorted(EDGES, score, "right")) - 1

    def see(self, score: float) -> None:
        """A candidate of this score came by, served or not."""
        at = self.bin(score)
        if at < 0:
            return
        self.seen[at] += 1
        if score >= self.threshold:
            self.served *= FORGET
            self.served[at] += 1
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
        self.labels[at] += 1
        self.wrong[at] += not right
        if score >= self.threshold:
            self._check(at, right=right)

    def _check(self, at: int, *, right: bool) -> None:
        """Begin to learn anew when audits of late are wrong more often than expected and chance allows: traffic has changed."""
        self.lately = self.lately * LATELY + (1 / (1 + math.exp(-self._curve[at])), not right)
        expected, wrong = self.lately
        if wrong > expected + 4 * math.sqrt(expected) + 2:
            self.labels *= KEPT
            self.wrong *= KEPT
            self.lately[:] = 0
            self.decide()

    def decide(self) -> None:
        """Set :attr:`threshold` anew."""
        rate, covariance = self.rates()
        traffic = _ABOVE * (self.seen + 1e-3)
        ahead = AHEAD * traffic / traffic.sum(1, keepdims=True)

        def left(hits: NDArray[np.float64], slack: float) -> NDArray[np.float64]:
            """Wrong hits that the promise would still allow for each threshold, were these the hits."""
            mean = hits @ rate
            spread = np.sqrt(np.einsum("ij,jk,ik->i", hits, covariance, hits))
            bound = mean * np.exp(Z * spread / mean) / (1 - MISTAKEN)
            return np.asarray(self.promise * hits.sum(1) + slack - bound)

        room = np.maximum(left(self.served + ahead, SLACK), left(ahead, 0.0))
        heard = _ABOVE @ self.labels >= HEARD / self.promise
        kept = np.flatnonzero((room >= 0) & heard)
        if not len(kept):
            self.threshold = math.inf
            return
        lowest = int(kept[0])
        below = 0.0
        if lowest and heard[lowest - 1]:
            below = room[lowest] / (room[lowest] - room[lowest - 1])
        self.threshold = float(EDGES[lowest] - WIDTH * below)

    def rates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Likeliest wrong rate of each bin, and the covariance of these estimates."""
        curve = self._curve
        for _ in range(STEPS):
            rate = 1 / (1 + np.exp(-curve))
            curvature = self._precision + np.diag(self.labels * rate * (1 - rate))
            uphill = self.wrong - self.labels * rate - self._precision @ (curve - self._prior)
            step = np.clip(np.linalg.solve(curvature, uphill), -1, 1)
            curve = curve + step
            if np.abs(step).max() < 1e-3:
                break
        self._curve = curve
        change = rate * (1 - rate)
        return rate, change[:, None] * np.linalg.inv(curvature) * change


def _apart(doubt: float) -> NDArray[np.float64]:
    """How far a traffic's curve may lie from the shipped one: the covariance of the differences by bin."""
    lean = SCORES - MIDDLE
    apart = SHIFT**2 + SLOPE**2 * np.outer(lean, lean) + WALK**2 * np.minimum.outer(SCORES, SCORES)
    return np.asarray(doubt**2 * apart + 1e-6 * np.eye(BINS))
