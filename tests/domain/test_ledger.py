"""Request ids: they rise with time, for longer than anybody needs them, also over a change of release."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from llmgw.domain.ledger import first_id, read_id, show_id


def at(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 10**9


MOMENTS = st.integers(at(2026, 11, 1), at(2229, 1, 1))


@given(MOMENTS, MOMENTS)
def test_ids_rise_with_time(one: int, other: int) -> None:
    """The later of two moments has the higher id, which SQLite can hold, and which is shown in that order."""
    low, high = sorted((one, other))
    assert first_id(low) <= first_id(high) < 2**63
    assert (first_id(low) < first_id(high)) == (low // 10**6 < high // 10**6)
    assert show_id(first_id(low)) <= show_id(first_id(high))
    assert read_id(show_id(first_id(high))) == first_id(high)


@given(st.integers(at(2026, 1, 1), at(2027, 1, 1) - 1))
def test_ids_of_older_releases_lie_below(now: int) -> None:
    """What a release before this one gave out until 2027 is below what this one gives out at the same time."""
    assert now // 10**6 << 22 < first_id(now)
