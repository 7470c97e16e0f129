"""Learning from outcomes: what an owner's local model is good at shows in the score, which stays a sum of its terms."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.rules.tiering.learning import Learning
from llmgw.rules.tiering.likeness import FORM, MEANING, STEPS, WIDTH
from llmgw.rules.tiering.regression import Regression
from llmgw.rules.tiering.score import Score, shipped

BIAS = shipped().weights.bias[0]

numbers = st.floats(-0.3, 0.3)
features = st.tuples(numbers, numbers, numbers, st.floats(0.0, 1.0))
qualities = st.dictionaries(st.sampled_from(["local", "cheap", "premium"]), st.floats(0.0, 1.0), min_size=1)
outcomes = st.lists(st.tuples(features, qualities, st.floats(0.1, 2.0)), max_size=40)


def scored(length: float, code: float, words: float, premium: float) -> Score:
    terms = (
        ("usual", BIAS),
        ("length", length),
        ("code", code),
        ("word `x`", words / 2),
        ("other words", words / 2),
    )
    return Score(sum(value for _, value in terms), premium, terms)


def topic(random: Random, number: int) -> bytes:
    """A likeness near one of the axes of meaning, of a usual form."""
    meaning = [random.gauss(0, 0.08) + (1.0 if at == number else 0.0) for at in range(MEANING)]
    most = max(map(abs, meaning))
    form = [random.gauss(0, 10) for _ in range(FORM)]
    return bytes(round(value) & 255 for value in (*(STEPS * each / most for each in meaning), *form))


def taught(kind: str, count: int = 400, seed: int = 1) -> tuple[Learning, Random]:
    """An owner whose local model is perfect on topic 0 and hopeless on topic 1, where the shipped score sees no difference."""
    random = Random(seed)
    learning = Learning(BIAS)
    for at in range(count):
        known = at % 2
        seen = {"local": float(known == 0), "premium": float(random.random() < 0.9)}
        if kind == "partial":
            seen.pop(random.choice(["local", "premium"]))
        learning.learn(scored(0.0, 0.0, 0.0, 0.8).features, seen, topic(random, known))
    return learning, random


@given(outcomes, features)
def test_terms_still_sum_to_the_gain(seen: list[Any], one: Any) -> None:
    """However it was taught, the adjusted gain is the sum of what is shown, and the chance is one."""
    learning = Learning(BIAS)
    for each, quality, weight in seen:
        learning.learn(each, quality, None, weight)
    score = learning.adjust(scored(*one))
    assert sum(value for _, value in score.terms) == score.gain
    assert 0.0 <= score.premium <= 1.0


@given(features)
def test_nothing_learnt_changes_nothing(one: Any) -> None:
    """Without outcomes the score is the shipped one."""
    score = scored(*one)
    adjusted = Learning(BIAS).adjust(score, b"\1" * WIDTH)
    assert adjusted.gain == pytest.approx(score.gain)
    assert adjusted.premium == pytest.approx(score.premium)


@pytest.mark.parametrize("kind", ["full", "partial"])
def test_learns_what_the_local_model_is_good_at(kind: str) -> None:
    """Good at one topic and bad at another: the gain parts for near requests, with one tier seen or both."""
    pytest.importorskip("numpy", reason="near outcomes need numpy")
    learning, random = taught(kind)
    score = scored(0.0, 0.0, 0.0, 0.8)
    good = [learning.adjust(score, topic(random, 0)).gain for _ in range(20)]
    bad = [learning.adjust(score, topic(random, 1)).gain for _ in range(20)]
    assert max(good) < 0.2
    assert min(bad) > 0.6
    adjusted = learning.adjust(score, topic(random, 1))
    name, value = adjusted.terms[-1]
    assert name.startswith("like ")
    assert name.endswith(" earlier requests")
    assert value > 0.2
    assert adjusted.modest < 0.32


def test_far_requests_hear_little_of_it() -> None:
    """A topic that was never seen is hardly moved by what is near others."""
    pytest.importorskip("numpy", reason="near outcomes need numpy")
    learning, random = taught("full")
    score = scored(0.0, 0.0, 0.0, 0.8)
    near = learning.adjust(score, topic(random, 1)).terms[-1][1]
    assert abs(learning.adjust(score, topic(random, 9)).terms[-1][1]) < abs(near) / 5


def test_a_part_of_the_score_that_misleads_is_trusted_less() -> None:
    """Where long prompts are no harder, length loses weight; a few hundred outcomes need no vectors for it."""
    random = Random(2)
    learning = Learning(BIAS)
    for _ in range(600):
        length = random.uniform(-0.3, 0.3)
        local = float(random.random() < 0.8 - BIAS)
        learning.learn(
            scored(length, 0.0, 0.0, 0.8).features, {"local": local, "premium": float(random.random() < 0.8)}
        )
    terms = dict(learning.adjust(scored(0.2, 0.0, 0.0, 0.8)).terms)
    assert terms["length"] < 0.13


def test_cheap_tier_is_placed_between_by_its_outcomes() -> None:
    """A cheap tier that answers as badly as the local one is taken to lack nearly the whole gain, a good one little."""
    for lacks in (0.1, 0.9):
        random = Random(4)
        learning = Learning(BIAS)
        for _ in range(1_000):
            gain = BIAS + 0.25
            learning.learn(
                scored(0.25, 0.0, 0.0, 0.8).features,
                {"cheap": float(random.random() < 0.8 - lacks * gain), "premium": 0.8, "local": 0.8 - gain},
            )
        assert learning.kappa["cheap"] == pytest.approx(lacks, abs=0.15)
        assert learning.kappa["local"] == 1.0
        assert learning.kappa["premium"] == 0.0


def test_weight_is_how_far_an_outcome_is_believed() -> None:
    """Two outcomes of weight one teach as one of weight two."""
    once, twice = Learning(BIAS), Learning(BIAS)
    features = scored(0.1, 0.0, 0.1, 0.7).features
    once.learn(features, {"local": 0.0}, weight=2.0)
    for _ in range(2):
        twice.learn(features, {"local": 0.0})
    score = scored(0.1, 0.0, 0.1, 0.7)
    assert once.adjust(score).gain == pytest.approx(twice.adjust(score).gain)


@given(outcomes, outcomes)
@settings(max_examples=50)
def test_oldest_outcomes_leave_without_a_trace(old: list[Any], new: list[Any]) -> None:
    """Memory is bounded: once enough new ones came, it is as if the old ones had never been."""
    most = max(1, len(new))
    long, short = Learning(BIAS, most), Learning(BIAS, most)
    for each, quality, weight in old:
        quality.pop("cheap", None)
        if quality:
            long.learn(each, quality, None, weight)
    for learning in (long, short):
        for each, quality, weight in new:
            learning.learn(each, {"local": quality.get("local", 0.5)}, None, weight)
    if len(new) == most:
        score = scored(0.1, 0.0, 0.1, 0.7)
        assert long.adjust(score).gain == pytest.approx(short.adjust(score).gain, abs=1e-6)
        assert len(long) == len(short)


def test_oldest_vectors_leave_too() -> None:
    """Near outcomes are the newest ones only."""
    pytest.importorskip("numpy", reason="near outcomes need numpy")
    random = Random(5)
    learning = Learning(BIAS, 50)
    score = scored(0.0, 0.0, 0.0, 0.8)
    for number in (1, 2):
        for _ in range(50):
            learning.learn(score.features, {"local": 0.0, "premium": 1.0}, topic(random, number))
    assert len(learning) == 50
    gone, kept = (abs(learning.adjust(score, topic(random, number)).terms[-1][1]) for number in (1, 2))
    assert gone < kept / 5


def test_reset_forgets() -> None:
    """After a reset the score is the shipped one again."""
    learning = Learning(BIAS)
    score = scored(0.1, 0.0, 0.1, 0.7)
    for _ in range(50):
        learning.learn(score.features, {"local": 0.0, "premium": 1.0})
    assert learning.adjust(score).gain > score.gain + 0.1
    learning.reset()
    assert learning.adjust(score).gain == pytest.approx(score.gain)
    assert len(learning) == 0


@pytest.mark.parametrize(
    ("quality", "vector", "weight"),
    [
        ({}, None, 1.0),
        ({"local": 1.5}, None, 1.0),
        ({"local": float("nan")}, None, 1.0),
        ({"other": 1.0}, None, 1.0),
        ({"local": 1.0}, None, 0.0),
        ({"local": 1.0}, None, float("inf")),
        ({"local": 1.0}, b"\1" * (WIDTH - 1), 1.0),
    ],
)
def test_senseless_outcomes_are_refused(
    quality: dict[str, float], vector: bytes | None, weight: float
) -> None:
    """What is no quality, no weight or no vector is an error and teaches nothing."""
    learning = Learning(BIAS)
    with pytest.raises(ValueError, match=r"outcome|vector"):
        learning.learn((0.0, 0.0, 0.0, 0.5), quality, vector, weight)
    assert len(learning) == 0


def test_only_what_looks_alike_is_near() -> None:
    """Of two prompts about the same, the one that looks like those before hears more of them."""
    pytest.importorskip("numpy", reason="near outcomes need numpy")
    learning, random = taught("full")
    score, alike = scored(0.0, 0.0, 0.0, 0.8), topic(random, 1)
    other = alike[:MEANING] + bytes([100] * FORM)
    near, far = (learning.adjust(score, vector).terms[-1][1] for vector in (alike, other))
    assert near > 0.2
    assert abs(far) < near / 5


def test_vectors_are_worth_having_once_an_outcome_has_one() -> None:
    """Nothing is near before, nor after a reset."""
    pytest.importorskip("numpy", reason="near outcomes need numpy")
    learning = Learning(BIAS)
    learning.learn((0.0, 0.0, 0.0, 0.5), {"local": 1.0})
    assert not learning.near
    learning.learn((0.0, 0.0, 0.0, 0.5), {"local": 1.0}, topic(Random(1), 0))
    assert learning.near
    learning.reset()
    assert not learning.near


def test_adjusting_with_a_full_memory_is_below_a_millisecond() -> None:
    """5,000 outcomes: some 0.2 ms of processor time (1 ms here, for a loaded machine)."""
    pytest.importorskip("numpy", reason="near outcomes need numpy")
    random = Random(8)
    learning = Learning(BIAS)
    score = scored(0.1, 0.0, 0.1, 0.7)
    vector = topic(random, 3)
    for at in range(5_000):
        learning.learn(score.features, {"local": float(at % 2)}, vector)
    learning.adjust(score, vector)

    def spent() -> int:
        start = time.thread_time_ns()
        learning.adjust(score, vector)
        return time.thread_time_ns() - start

    assert min(spent() for _ in range(50)) < 1_000_000


@given(
    st.lists(st.tuples(numbers, numbers, st.floats(-1.0, 1.0)), min_size=1, max_size=30), st.integers(0, 29)
)
def test_rows_taken_out_leave_the_others(rows: list[tuple[float, float, float]], at: int) -> None:
    """A regression from which a row was taken out is the one that never saw it."""
    at %= len(rows)
    whole, part = (Regression([0.0, 1.0], [0.5, 0.5], 0.2) for _ in range(2))
    for number, (left, right, value) in enumerate(rows):
        whole.add((left, right), value)
        if number != at:
            part.add((left, right), value)
    left, right, value = rows[at]
    whole.add((left, right), value, -1.0)
    assert whole.coefficients == pytest.approx(part.coefficients, abs=1e-9)


def test_regression_finds_the_line() -> None:
    """Many rows outweigh the prior."""
    random = Random(9)
    regression = Regression([0.0, 0.0], [1.0, 1.0], 0.01)
    for _ in range(2_000):
        at = random.uniform(-1, 1)
        regression.add((1.0, at), 0.3 - 0.7 * at + random.gauss(0, 0.1))
    assert regression.coefficients == pytest.approx([0.3, -0.7], abs=0.02)
