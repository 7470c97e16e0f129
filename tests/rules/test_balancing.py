"""Which targets are equal, and how soon their answers have begun of late. # C-06"""

from __future__ import annotations

from llmgw.domain.route import Target, Tier
from llmgw.rules.balancing import HALF_LIFE, Latencies, equals

A = Target("a", "m", Tier.CHEAP)
B = Target("b", "m", Tier.CHEAP)
OTHER = Target("b", "other", Tier.CHEAP)
DEAR = Target("c", "m", Tier.PREMIUM)


def test_equals_are_neighbours_of_one_tier_and_model() -> None:
    """An operator's order of unlike models stands; within a tier that was asked for all are equal."""
    assert list(equals([A, B, OTHER, DEAR], any_model=False)) == [[A, B], [OTHER], [DEAR]]
    assert list(equals([A, OTHER, B, DEAR], any_model=True)) == [[A, OTHER, B], [DEAR]]
    assert list(equals([], any_model=True)) == []


def test_the_past_fades() -> None:
    """A new measurement counts at once, and after a long pause it counts alone."""
    latencies = Latencies()
    assert latencies.of(A) == 0
    latencies.observe(A, 100, 0)
    latencies.observe(A, 200, 0)
    assert 125 < latencies.of(A) < 135
    latencies.observe(A, 1000, 100 * HALF_LIFE)
    assert latencies.of(A) > 999
