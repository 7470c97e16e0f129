"""The share of wrong hits stays below the promise, whatever the traffic is like. # D-14"""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.rules.similarity.calibration import Calibration
from llmgw.rules.similarity.judge import EAGER, FIRST_AUDITS
from llmgw.rules.similarity.risk import EDGES, Risk
from llmgw.rules.similarity.verifier import STRANGE, shipped


def risk_of(promise: float, *, trusting: bool = True) -> Risk:
    """With the curve that is shipped, and as much trust in it as MiniLM's scores or those of a strange embedder get."""
    return Risk(promise, shipped("minilm").curve, 1.0 if trusting else STRANGE)


def served(risk: Risk, rate: object, count: int, seed: int, audit: float = 0.03) -> tuple[int, int]:
    """Hits and wrong ones of a stream whose candidates of score s are wrong with probability rate(s).

    The first hits are audited as much more often as a judge does.
    """
    chance = random.Random(seed)
    hits = wrong = audits = 0
    for _ in range(count):
        score = chance.uniform(0, 8.5)
        right = chance.random() >= rate(score)  # type: ignore[operator]
        hit = score >= risk.threshold
        risk.see(score)
        if not hit:
            risk.learn(score, right=right)
            continue
        hits += 1
        wrong += not right
        young = audits < FIRST_AUDITS + audit * hits
        if chance.random() < audit * (EAGER if young else 1):
            audits += 1
            risk.learn(score, right=right)
    return hits, wrong


def kept(hits: int, wrong: int, promise: float) -> bool:
    """Whether the wrong hits of one stream stay within what the promise, its slack and chance (two deviations) allow."""
    return wrong <= promise * hits + 2 * math.sqrt(promise * max(hits, 1)) + 2


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    ease=st.floats(0.0, 2.0),
    promise=st.sampled_from([0.01, 0.02, 0.05]),
    trusting=st.booleans(),
    seed=st.integers(0, 1_000),
)
def test_the_realised_rate_keeps_the_promise(ease: float, promise: float, trusting: bool, seed: int) -> None:
    """Where scores say the log odds, or are too humble, hits are wrong no more often than promised."""
    risk = risk_of(promise, trusting=trusting)
    hits, wrong = served(risk, lambda score: 1 / (1 + math.exp(score + ease)), 5_000, seed)
    assert kept(hits, wrong, promise)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    steepness=st.floats(0.3, 2.0),
    middle=st.floats(-1.0, 6.0),
    trusting=st.booleans(),
    seed=st.integers(0, 1_000),
)
def test_no_score_need_be_honest(steepness: float, middle: float, trusting: bool, seed: int) -> None:
    """For any wrong rate that falls with the score the promise is kept, however overconfident the scores."""
    risk = risk_of(0.01, trusting=trusting)
    hits, wrong = served(risk, lambda score: 1 / (1 + math.exp(steepness * (score - middle))), 5_000, seed)
    assert kept(hits, wrong, 0.01)


@pytest.mark.parametrize("steepness", [(0.4, 0.7, 1.0, 1.5, 2.0), (0.4, 0.5, 0.6, 0.7)])
def test_over_many_streams_the_promise_is_kept_without_any_allowance(steepness: tuple[float, ...]) -> None:
    """Streams of every steepness together have fewer wrong hits than promised, and overconfident ones among themselves."""
    served_ = [
        served(risk_of(0.01), lambda score: 1 / (1 + math.exp(steep * (score - middle))), 4_000, seed)  # noqa: B023
        for seed in range(4)
        for steep in steepness
        for middle in (-1.0, 1.0, 3.0)
    ]
    hits, wrong = (sum(each) for each in zip(*served_, strict=True))
    assert hits > 10_000
    assert wrong <= 0.01 * hits


@pytest.mark.parametrize("trusting", [True, False])
def test_it_declines_where_nothing_is_safe(trusting: bool) -> None:
    """Where even the best candidates are wrong in one case of ten it soon serves nothing."""
    risk = risk_of(0.01, trusting=trusting)
    served(risk, lambda score: max(0.1, 0.9 - score / 10), 2_000, 1)
    hits, _ = served(risk, lambda score: max(0.1, 0.9 - score / 10), 3_000, 2)
    assert hits <= 30


def test_it_serves_where_all_is_right() -> None:
    """Where candidates are always right it comes to serve most of them."""
    risk = risk_of(0.01)
    served(risk, lambda _: 0.0, 3_000, 1)
    assert served(risk, lambda _: 0.0, 1_000, 2)[0] > 600


def test_it_notices_when_traffic_turns() -> None:
    """A judge that trusted loses its trust when hits go wrong, by audits and misses alone."""
    risk = risk_of(0.01)
    served(risk, lambda _: 0.0, 3_000, 1)
    served(risk, lambda _: 0.2, 1_500, 2)
    assert risk.threshold == math.inf


def test_the_curve_follows_the_labels() -> None:
    """Where this traffic is not what is shipped, thousands of labels outweigh that by far, and what is not labelled follows."""
    risk = risk_of(0.01)
    chance = random.Random(3)
    before = risk.rates()[0]
    for _ in range(3_000):
        risk.learn(chance.uniform(0, 4), right=chance.random() < 0.8)
    rates, covariance = risk.rates()
    assert np.abs(rates[:10] - 0.2).max() < 0.05
    assert (rates[12:] > 10 * before[12:]).all()
    assert (np.linalg.eigvalsh(covariance) > -1e-12).all()


def test_what_was_not_used_of_the_promise_may_be_used_later() -> None:
    """After many right hits the threshold lies lower than the same labels would allow alone."""
    risk = risk_of(0.01)
    served(risk, lambda score: 1 / (1 + math.exp(1.4 * score)), 4_000, 1)
    assert risk.served.sum() > 1_000
    before = risk.threshold
    risk.served[:] = 0
    risk.decide()
    assert EDGES[0] < before < risk.threshold < math.inf


def test_calibration_learns_from_single_labels() -> None:
    """Labels against the prior move it; each moves it less than the one before."""
    weights = shipped("minilm")
    calibration = Calibration(weights.mean, weights.covariance)
    figures = np.ones(len(weights.mean))
    before = calibration.logit(figures)
    steps = []
    for _ in range(40):
        calibration.learn(figures, right=False)
        steps.append(before - calibration.logit(figures))
        before -= steps[-1]
    assert calibration.logit(figures) < 0
    assert steps[0] > steps[-1] > 0
    assert np.allclose(calibration.covariance, calibration.covariance.T)
