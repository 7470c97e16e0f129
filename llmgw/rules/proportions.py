"""How sure a share is that was counted from a few."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

Z95 = 1.959964
"""Standard deviations on each side of the middle that hold 95 in 100."""


class Interval(NamedTuple):
    low: float
    high: float


def interval(count: float, of: float, z: float = Z95) -> Interval:
    """Wilson's interval of the share ``count / of``; everything from 0 to 1 where nothing was counted (Wilson 1927)."""
    if not of:
        return Interval(0.0, 1.0)
    share, square = count / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    reach = z * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return Interval(0.0 if count == 0 else low, 1.0 if count == of else high)
