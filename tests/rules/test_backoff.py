"""Waits between rounds are drawn by chance within bounds, and retries are a bounded share of calls. # B-04"""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.backoff import BURST, RetryBudget, Retrying, next_wait


@given(st.integers(), st.floats(0.01, 10), st.floats(0.01, 10))
def test_waits_stay_within_their_bounds(seed: int, shortest: float, longest: float) -> None:
    """Each wait is between the shortest and three times the last one, and never above the longest."""
    rules, pick, wait = Retrying(wait_seconds=shortest, longest_seconds=longest), Random(seed).uniform, 0.0
    for _ in range(10):
        before, wait = wait, next_wait(wait, rules, pick)
        assert min(shortest, longest) <= wait <= max(min(shortest, longest), min(longest, 3 * before)) + 1e-9


def test_waits_differ() -> None:
    """Callers who failed together do not come back together."""
    rules, pick = Retrying(), Random(1).uniform
    assert len({next_wait(0.5, rules, pick) for _ in range(100)}) == 100


@given(st.lists(st.booleans(), max_size=500), st.floats(0, 1))
def test_retries_are_a_share_of_calls(steps: list[bool], share: float) -> None:
    """However calls and retries mingle, there are never more retries than a burst and the share of the calls."""
    budget, calls, retries = RetryBudget(share), 0, 0
    for call in steps:
        if call:
            calls += 1
            budget.earn()
        else:
            retries += budget.spend()
        assert retries <= (BURST if share else 0) + share * calls + 1e-6


def test_a_storm_is_cut() -> None:
    """When everything fails, a fifth of a thousand calls is retried, and the first ten."""
    budget, retries = RetryBudget(0.2), 0
    for _ in range(1000):
        budget.earn()
        retries += budget.spend()
    assert 200 <= retries <= 211
