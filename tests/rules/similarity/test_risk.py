"""The share of wrong hits stays below the promise, whatever the traffic is like. # D-14"""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.rules.similarity.calibration import Calibration
from llmgw.rules.similarity.risk import BINS, EDGES, Risk
from llmgw.rules.similarity.verifier import shipped


def served(risk: Risk, rate: object, count: int, seed: int, audit: float = 0.05) -> tuple[int, int]:
    """Hits and wrong ones of a stream whose candidates of score s are wrong with probability rate(s)."""
    chance = random.Random(seed)
    hits = wrong = 0
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
        if chance.random() < audit:
            risk.learn(score, right=right)
    return hits, wrong


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    ease=st.floats(0.0, 2.0),
    promise=st.sampled_from([0.01, 0.02, 0.05]),
    trusting=st.booleans(),
    seed=st.integers(0, 1_000),
)
def test_the_realised_rate_keeps_the_promise(ease: float, promise: float, trusting: bool, seed: int) -> None:
    """Where scores say the log odds, or are too humble, hits are wrong no more often than promised."""
    prior = shipped("minilm").prior if trusting else np.zeros((2, BINS))
    hits, wrong = served(Risk(promise, prior), lambda score: 1 / (1 + math.exp(score + ease)), 5_000, seed)
    assert wrong <= promise * hits + 2 * math.sqrt(promise * max(hits, 1)) + 2


@settings(max_examples=10, deadline=None, derandomize=True)
@given(steepness=st.floats(0.3, 2.0), middle=st.floats(-1.0, 6.0), seed=st.integers(0, 1_000))
def test_without_a_prior_no_score_need_be_honest(steepness: float, middle: float, seed: int) -> None:
    """From its own labels alone the promise is kept for any wrong rate that falls with the score, however overconfident."""
    hits, wrong = served(
        Risk(0.01, np.zeros((2, BINS))),
        lambda score: 1 / (1 + math.exp(steepness * (score - middle))),
        5_000,
        seed,
    )
    assert wrong <= 0.01 * hits + 2 * math.sqrt(0.01 * max(hits, 1)) + 2


@pytest.mark.parametrize("trusting", [True, False])
def test_it_declines_where_nothing_is_safe(trusting: bool) -> None:
    """Where even the best candidates are wrong in one case of ten it soon serves nothing."""
    prior = shipped("minilm").prior if trusting else np.zeros((2, BINS))
    risk = Risk(0.01, prior)
    served(risk, lambda score: max(0.1, 0.9 - score / 10), 2_000, 1)
    hits, _ = served(risk, lambda score: max(0.1, 0.9 - score / 10), 3_000, 2)
    assert hits <= 30


def test_it_serves_where_all_is_right() -> None:
    """Where candidates are always right it comes to serve most of them."""
    risk = Risk(0.01, shipped("minilm").prior)
    served(risk, lambda _: 0.0, 3_000, 1)
    assert served(risk, lambda _: 0.0, 1_000, 2)[0] > 600


def test_it_notices_when_traffic_turns() -> None:
    """A judge that trusted loses its trust when hits go wrong, by audits and misses alone."""
    risk = Risk(0.01, shipped("minilm").prior)
    served(risk, lambda _: 0.0, 3_000, 1)
    served(risk, lambda _: 0.2, 1_500, 2)
    assert risk.threshold == math.inf


def test_rates_never_rise_with_the_score() -> None:
    """A bin that was lucky does not make the one above it look worse than it is, nor the one below better."""
    risk = Risk(0.01, np.zeros((2, BINS)))
    chance = random.Random(3)
    for _ in range(500):
        risk.learn(chance.uniform(0, 8), right=chance.random() < 0.8)
    rates, _ = risk.rates()
    assert (np.diff(rates) <= 1e-12).all()
    assert len(rates) == len(EDGES)


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
