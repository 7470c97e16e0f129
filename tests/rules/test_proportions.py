"""How sure a share is that was counted from a few."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.proportions import interval


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 10, 0.0179, 0.4042),
        (81, 263, 0.2553, 0.3662),
        (10, 1000, 0.0054, 0.0183),
    ],
)
def test_published_intervals(count, of, low, high):
    """The figures are Wilson's (Newcombe 1998, table I, and its neighbours)."""
    assert interval(count, of) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_an_interval_holds_its_share(count, of):
    """The share itself always lies inside, and more of the same narrows what is left."""
    count = min(count, of)
    narrow, wide = interval(10 * count, 10 * of), interval(count, of)

    assert 0 <= wide.low <= count / of <= wide.high <= 1
    assert narrow.high - narrow.low < wide.high - wide.low


def test_nothing_counted_tells_nothing():
    """Without a single observation every share is possible."""
    assert interval(0, 0) == (0.0, 1.0)
