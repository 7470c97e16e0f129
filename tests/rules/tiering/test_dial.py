"""The dial: more quality never buys a cheaper tier, the asked share is recovered, and no more is paid than needed."""

from __future__ import annotations

import time
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.tiering.dial import RECENT, REFRESH, Dial, Tier
from llmgw.rules.tiering.score import Score, shipped

LOCAL, CHEAP, PREMIUM = Tier("local", 1.0, 0.0), Tier("cheap", 0.5, 1.0), Tier("premium", 0.0, 20.0)
THREE = (LOCAL, CHEAP, PREMIUM)

gains = st.floats(-1.0, 1.0)
shares = st.floats(0.0, 1.0)
tiers = st.lists(
    st.builds(Tier, st.uuids().map(str), shares, st.floats(0.0, 100.0)),
    min_size=1,
    max_size=5,
    unique_by=lambda t: t.name,
)


def needing(gain: float, premium: float = 0.9) -> Score:
    return Score(gain, premium, (("usual", gain), ("length", 0.0), ("code", 0.0)))


@given(shares, shares, gains, st.lists(gains, max_size=80), tiers)
def test_more_quality_never_picks_a_cheaper_tier(
    one: float, other: float, gain: float, prior: list[float], some: list[Tier]
) -> None:
    """Same prompt, same state, same tiers: a higher dial costs as much or more."""
    cost = {tier.name: tier.cost for tier in some}
    low, high = (
        Dial(quality, prior=prior).choose(needing(gain), some).tier for quality in sorted((one, other))
    )
    assert cost[low] <= cost[high]


@given(shares, shares, gains, tiers)
def test_less_regret_never_picks_a_cheaper_tier(
    one: float, other: float, gain: float, some: list[Tier]
) -> None:
    """Same prompt and tiers: allowing less loss costs as much or more."""
    cost = {tier.name: tier.cost for tier in some}
    strict, lax = (
        Dial(max_regret=regret).choose(needing(gain), some).tier for regret in sorted((one, other))
    )
    assert cost[lax] <= cost[strict]


@given(gains, st.lists(gains, max_size=80))
def test_ends_of_the_dial(gain: float, prior: list[float]) -> None:
    """At 1 premium wherever it gains anything, at 0 always the cheapest."""
    everything = Dial(1.0, prior=prior).choose(needing(gain), THREE).tier
    assert everything == ("premium" if gain > 0 else "local")
    assert Dial(0.0, prior=prior).choose(needing(gain), THREE).tier == "local"


@given(gains, shares, tiers)
def test_expected_loss_stays_within_max_regret(gain: float, regret: float, some: list[Tier]) -> None:
    """No tier is chosen that is expected to lose more than allowed against the best of them; without a gain none loses."""
    chosen = Dial(max_regret=regret).choose(needing(gain), some).tier
    kappa = {tier.name: tier.kappa for tier in some}
    assert max(gain, 0.0) * (kappa[chosen] - min(kappa.values())) <= regret + 1e-9


@given(gains, gains)
def test_harder_requests_go_as_high_or_higher(one: float, other: float) -> None:
    """Along the gain the tiers rise and never fall."""
    dial = Dial(0.6, prior=shipped().weights.usual)
    costs = {tier.name: tier.cost for tier in THREE}
    low, high = (costs[dial.choose(needing(gain), THREE).tier] for gain in sorted((one, other)))
    assert low <= high


@pytest.mark.parametrize("quality", [0.2, 0.5, 0.8, 0.95])
def test_asked_share_is_recovered_and_hardly_more(quality: float) -> None:
    """Over the gains the dial is set by, the expected share reaches what was asked and passes it by little."""
    recent = [Random(seed).gauss(0.12, 0.15) for seed in range(RECENT)]
    dial = Dial(quality, prior=recent)
    kappa = {tier.name: tier.kappa for tier in THREE}
    chosen = [(gain, dial.choose(needing(gain), THREE).tier) for gain in recent]
    whole = sum(gain for gain in recent if gain > 0)
    recovered = sum((1 - kappa[tier]) * gain for gain, tier in chosen) / whole
    assert quality - 0.001 <= recovered <= quality + 0.03


def test_no_cheaper_threshold_recovers_as_much() -> None:
    """With two tiers the least cost is premium for the highest gains: one request fewer would not do."""
    recent = [(at - 20) / 100 for at in range(100)]
    dial = Dial(0.5, prior=recent)
    taken = [gain for gain in recent if dial.choose(needing(gain), (LOCAL, PREMIUM)).tier == "premium"]
    whole = sum(gain for gain in recent if gain > 0)
    assert min(taken) > max(gain for gain in recent if gain not in taken)
    assert sum(taken) >= 0.5 * whole > sum(taken) - min(taken)


def test_dial_follows_what_requests_are_like() -> None:
    """Where every request gains much, the gain from which premium is worth it rises with them."""
    dial = Dial(0.5, prior=shipped().weights.usual)
    before = dial.ladder((LOCAL, PREMIUM)).thresholds[0]
    for at in range(RECENT + REFRESH):
        dial.note(0.4 + at % 40 / 100)
    assert dial.ladder((LOCAL, PREMIUM)).thresholds[0] > before + 0.2


def test_oldest_gains_leave() -> None:
    """Only the newest gains set the dial: what was noted before them makes no difference."""
    fresh = [at / RECENT for at in range(RECENT)]
    one, other = Dial(0.7), Dial(0.7, prior=[0.9] * 100)
    for gain in fresh:
        one.note(gain)
        other.note(gain)
    assert one.ladder(THREE) == other.ladder(THREE)


def test_a_tier_that_is_bad_value_is_left_out() -> None:
    """A middle tier that costs nearly as much as premium and recovers little is no rung."""
    poor = Tier("cheap", 0.9, 19.0)
    assert [rung.name for rung in Dial(0.5).ladder((LOCAL, poor, PREMIUM)).rungs] == ["local", "premium"]


def test_only_tier_is_always_chosen() -> None:
    """With nothing but a local model every request goes there, whatever the dial."""
    for dial in (Dial(1.0), Dial(0.0), Dial(max_regret=0.0)):
        choice = dial.choose(needing(0.9), [LOCAL])
        assert choice.tier == "local"
        assert "only" in choice.why


def test_choice_says_chances_and_why() -> None:
    """Each tier's chance is premium less its share of the gain; the words name the next step up and what it needs."""
    choice = Dial(0.5, prior=shipped().weights.usual).choose(needing(0.04, premium=0.8), THREE)
    assert choice.quality == pytest.approx({"local": 0.76, "cheap": 0.78, "premium": 0.8})
    assert "+4.0 points" in choice.why
    assert "premium only from" in choice.why


def test_exploring_stays_within_the_regret() -> None:
    """A tier that would lose too much is never tried; one that loses little is, and the choice says so."""
    dial = Dial(max_regret=0.1, explore=0.5, random=Random(3))
    hard = {dial.choose(needing(0.5), (LOCAL, CHEAP, PREMIUM)).tier for _ in range(200)}
    assert hard == {"premium"}
    easy = [dial.choose(needing(0.05), (LOCAL, CHEAP, PREMIUM)) for _ in range(400)]
    tried = [choice for choice in easy if choice.explored]
    assert 0.4 < len(tried) / len(easy) < 0.6
    assert {choice.tier for choice in tried} == {"cheap", "premium"}
    assert all("tried" in choice.why for choice in tried)


def test_exploring_without_a_limit_tries_any_tier() -> None:
    """Where no regret is set, any loss may be tried."""
    dial = Dial(1.0, explore=1.0, random=Random(3))
    tried = {dial.choose(needing(0.9), THREE).tier for _ in range(50)}
    assert tried == {"local", "cheap"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"quality": 1.1},
        {"quality": -0.1},
        {"max_regret": 2.0},
        {"explore": 0.1},
        {"explore": 1.1},
    ],
)
def test_dial_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    """Numbers out of range, and exploring without a source of randomness, are errors."""
    with pytest.raises(ValueError, match="explor"):
        Dial(**wrong)  # type: ignore[arg-type]


def test_choosing_costs_microseconds() -> None:
    """A choice and its note are some 10 µs of processor time (100 here, for a loaded machine)."""
    dial = Dial(0.5, prior=shipped().weights.usual)
    score = needing(0.1)

    def spent() -> int:
        start = time.thread_time_ns()
        for _ in range(100):
            dial.choose(score, THREE)
            dial.note(0.1)
        return time.thread_time_ns() - start

    assert min(spent() for _ in range(10)) < 100 * 100_000


def test_rungs_rise_in_cost_and_quality() -> None:
    """Steps up always answer better, cost more, and need a higher gain than the step before."""
    ladder = Dial(0.5, prior=shipped().weights.usual).ladder(THREE)
    assert all(low.cost < high.cost and low.kappa > high.kappa for low, high in pairwise(ladder.rungs))
    assert all(low < high for low, high in pairwise(ladder.thresholds))
