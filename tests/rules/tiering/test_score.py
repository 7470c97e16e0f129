"""The tier score: a bounded sum of terms for any text, quick whatever is sent, sane in languages it was not trained on."""

from __future__ import annotations

import gzip
import json
import time
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.tiering.score import SHOWN, Model, Weights, glossary, shipped
from llmgw.rules.tiering.words import HEAD, TAIL, asks_for_code, size, tokens

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "router" / "dev" / "prompts.jsonl.gz"
PAIRS = json.loads(Path(__file__).with_name("german.json").read_text())

texts = st.text(st.characters(exclude_categories=()), max_size=900) | st.sampled_from(
    [each["german"] for each in PAIRS]
)


def tiny(words: dict[str, tuple[float, float, float]], glossary: dict[str, str] | None = None) -> Model:
    """A model of a few words, without strangers' weight."""
    weights = Weights(
        provenance="made for a test",
        bias=(0.1, 0.8),
        length=(0.05, 0.0),
        code=(0.2, 0.0),
        mean=3.0,
        deviation=1.0,
        stranger=0.0,
        usual=(),
        words=words,
    )
    return Model(weights, glossary or {})


def ranks(values: list[float]) -> list[int]:
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0] * len(values)
    for rank, at in enumerate(order):
        found[at] = rank
    return found


@given(texts)
def test_terms_sum_to_the_gain_of_any_text(text: str) -> None:
    """The terms that are shown add up to the gain exactly, garbage and lone surrogates included."""
    score = shipped().score(text)
    assert sum(value for _, value in score.terms) == score.gain
    assert [name for name, _ in score.terms[:3]] == ["usual", "length", "code"]
    assert len(score.terms) <= 3 + SHOWN + 1


@given(texts)
def test_score_is_bounded(text: str) -> None:
    """Chances are 0 to 1 and no text moves the gain beyond what a chance can rise."""
    score = shipped().score(text)
    assert 0.0 <= score.premium <= 1.0
    assert 0.0 <= score.modest <= 1.0
    assert -1.0 <= score.gain <= 1.0


@given(st.text(max_size=5_000))
def test_at_most_the_first_and_last_words_are_read(text: str) -> None:
    """However long a text is, no more than the set number of tokens is looked at."""
    assert len(tokens(text)) <= HEAD + TAIL


def test_end_of_a_long_text_is_read() -> None:
    """A question after a long document still counts."""
    model = tiny({"prove": (1.0, 0.5, 0.0)})
    document = "lorem ipsum " * 5_000
    assert model.score(document + "now prove it").gain > model.score(document + "now drop it").gain


def test_words_weigh_as_their_idf_over_the_norm() -> None:
    """Two words and their pair: each term is idf times weight over the length of all three."""
    model = tiny({"prove": (3.0, 0.5, 0.1), "it": (2.0, -0.1, 0.0), "prove it": (6.0, 0.25, 0.0)})
    terms = dict(model.score("Prove it").terms)
    assert terms["words `prove it`"] == pytest.approx(6.0 * 0.25 / 7.0)
    assert terms["word `prove`"] == pytest.approx(3.0 * 0.5 / 7.0)
    assert terms["word `it`"] == pytest.approx(2.0 * -0.1 / 7.0)


def test_any_number_is_one_word() -> None:
    """Numbers are alike: 7 and 1984 weigh the same."""
    model = tiny({"0": (1.0, 0.3, 0.0)})
    assert (
        dict(model.score("7").terms)["word `0`"]
        == dict(model.score("1984").terms)["word `0`"]
        == pytest.approx(0.3)
    )


def test_glossary_never_replaces_a_known_word() -> None:
    """A word that has a weight of its own keeps it, whatever the glossary says."""
    model = tiny({"gift": (1.0, 0.3, 0.0), "poison": (1.0, -0.3, 0.0)}, {"gift": "poison", "toxin": "poison"})
    assert "word `gift`" in dict(model.score("gift").terms)
    assert "word `poison`" in dict(model.score("toxin").terms)


def test_glossary_holds_no_word_that_english_prompts_use() -> None:
    """No entry has a weight of its own, and each leads to a word that has."""
    known = shipped().weights.words
    assert not [word for word in glossary() if word in known]
    assert not [word for word in glossary().values() if word not in known]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Write a function that sorts a list", True),
        ("Schreibe eine Funktion, die eine Liste sortiert", True),
        ("def area(r):", True),
        ("What is the function of the liver?", False),
        ("Write a poem about the sea", False),
    ],
)
def test_code_is_told_from_prose(text: str, asked: bool) -> None:
    """A request for a program, or a program, is code; a poem and the function of an organ are not."""
    assert asks_for_code(tokens(text)) is asked


@pytest.mark.parametrize(
    ("plain", "hard"),
    [
        ("Привет, как дела?", "Напиши функцию на python, которая находит кратчайший путь в графе " * 6),
        (
            "Bonjour, comment ça va ?",
            "Démontrez qu'il existe une infinité de nombres premiers, puis généralisez " * 6,
        ),
        ("Hola, ¿qué tal?", "Demuestra que la raíz cuadrada de dos es irracional y explica cada paso " * 6),
        ("你好", "请写一个 python 程序 找出图中的最短路径 并证明其正确性和时间复杂度。" * 6),
    ],
)
def test_other_languages_go_by_length_and_structure(plain: str, hard: str) -> None:
    """Where words are not known, long and code-like still rank above a greeting, and no gain is extreme."""
    low, high = shipped().score(plain), shipped().score(hard)
    assert low.gain < high.gain
    for score in (low, high):
        assert abs(sum(value for _, value in score.terms[3:])) < 0.1
        assert -0.2 < score.gain < 0.7


def test_a_chinese_character_says_as_much_as_three_letters() -> None:
    """Length is counted alike across scripts."""
    assert size("如何证明根号二是无理数") == pytest.approx(3 * 11)
    assert size("абв где") == 7
    assert size("plain") == 5


def test_german_ranks_as_english_does() -> None:
    """Sixty prompts of many kinds, translated by hand, keep their order: rank correlation above 0.85, no lasting shift."""
    english = [shipped().score(each["english"]).gain for each in PAIRS]
    german = [shipped().score(each["german"]).gain for each in PAIRS]
    count = len(PAIRS)
    apart = sum((a - b) ** 2 for a, b in zip(ranks(english), ranks(german), strict=True))
    assert count >= 60
    assert 1 - 6 * apart / (count * (count**2 - 1)) > 0.85
    assert abs(sum(german) - sum(english)) / count < 0.03


@pytest.mark.parametrize(
    "text",
    [
        "word and more words " * 50_000,
        "!?.,;" * 200_000,
        "如何写一个排序算法" * 100_000,
        "😀🎉" * 200_000,
        "İ" * 1_000_000,
        "e\u0301" * 300_000,
        "a1!" * 40,
    ],
    ids=["words", "marks", "chinese", "emoji", "growing", "combining", "short"],
)
def test_any_prompt_is_scored_in_microseconds(text: str) -> None:
    """A megabyte of anything costs tens of microseconds of processor time (200 here, for a loaded machine)."""
    model = shipped()
    best = min(_spent(model, text) for _ in range(50))
    assert best < 200_000


def _spent(model: Model, text: str) -> int:
    start = time.thread_time_ns()
    model.score(text)
    return time.thread_time_ns() - start


@pytest.mark.skipif(not DATA.exists(), reason="the development split is not there")
def test_weights_fit_the_prompts_they_were_trained_on() -> None:
    """The shipped file belongs to this code: sorted by gain, the first half of the training prompts holds most of the gain.

    It says nothing about other prompts; ``tests/bench/router/compare.py`` does.
    """
    with gzip.open(DATA, "rt") as file:
        rows = [json.loads(line) for line in file][::7]
    rows.sort(key=lambda row: -shipped().score(row["prompt"]).gain)
    recovered = list(accumulate(row["strong"] - row["weak"] for row in rows))
    assert recovered[len(rows) // 2] / recovered[-1] > 0.85
