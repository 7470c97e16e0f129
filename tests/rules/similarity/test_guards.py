"""Turns that ask for different things are never near enough, whatever their cosine. # D-14"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.near_misses import near_misses, paraphrases

from llmgw.rules.similarity.guards import veto
from llmgw.rules.similarity.turn import LONGEST, read

NEAR_MISSES = (
    Path(__file__).resolve().parents[3].parent / "shared" / "data" / "semcache" / "dev" / "nearmiss.jsonl.gz"
)
WORDS = st.sampled_from(
    [
        "how",
        "do",
        "i",
        "transfer",
        "20",
        "euros",
        "from",
        "my",
        "account",
        "to",
        "Anna's",
        "in",
        "March",
        "without",
        "the",
        "app?",
        "wie",
        "viele",
        "Tage",
        "hat",
        "`x_1`",
        "nicht",
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=12).map(" ".join))


@pytest.mark.parametrize(("one", "other"), near_misses())
def test_a_near_miss_is_vetoed(one: str, other: str) -> None:
    """An exchanged number, unit, date, name, place, opposite, negation, direction or identifier forbids the hit."""
    assert veto(read(one), read(other))
    assert veto(read(other), read(one))


@pytest.mark.parametrize(("one", "other"), paraphrases())
def test_another_wording_passes(one: str, other: str) -> None:
    """What only greets, begs or abbreviates differently stays a candidate."""
    assert veto(read(one), read(other)) == ""


@given(TEXTS, TEXTS)
@example("from A to B", "from B to A")
def test_a_veto_is_symmetric(one: str, other: str) -> None:
    """It does not matter which of two turns was remembered."""
    assert bool(veto(read(one), read(other))) == bool(veto(read(other), read(one)))


@given(TEXTS)
def test_a_turn_never_vetoes_itself(text: str) -> None:
    """An identical text is no difference."""
    assert veto(read(text), read(text)) == ""


@given(
    st.lists(
        st.sampled_from(
            ["please", "list", "the", "best", "hotels", "near", "Rome", "for", "me", "and", "my", "dog"]
        ),
        min_size=3,
        max_size=8,
    ),
    st.integers(0, 10**30),
    st.integers(0, 10**30),
)
@example(["hotels", "near", "Rome"], 7, 70)
def test_a_changed_number_is_always_vetoed(words: list[str], one: int, other: int) -> None:
    """Two turns that differ in a number alone never share an answer."""
    assert bool(veto(read(f"{' '.join(words)} {one}"), read(f"{' '.join(words)} {other}"))) == (one != other)


@given(st.decimals("0.01", "9999", places=2), st.decimals("0.01", "9999", places=2))
def test_a_changed_fraction_is_always_vetoed(one: object, other: object) -> None:
    """So it is after the point."""
    assert bool(veto(read(f"is {one} euros a fair price"), read(f"is {other} euros a fair price"))) == (
        one != other
    )


def test_a_number_is_the_same_in_digits_and_words() -> None:
    """Spelling a number out changes nothing."""
    for one, other in (
        ("21", "twenty-one"),
        ("2,500,000", "2.5 million"),
        ("300", "three hundred"),
        ("0.5", "half"),
    ):
        assert read(f"about {one} people").numbers == read(f"about {other} people").numbers


def test_bits_are_no_bytes() -> None:
    """The one unit whose letters tell by their size alone."""
    assert veto(read("is 10 Mb per second enough"), read("is 10 MB per second enough"))


def test_another_picture_is_another_question() -> None:
    """Two turns that both hold a picture hold the same ones; one without any may be the same question."""
    assert veto(read("what does 👍 mean"), read("what does 👎 mean")) == "picture"
    assert veto(read("where is my card 😡"), read("where is my card?")) == ""


def test_code_and_overlong_turns_are_left_alone() -> None:
    """Somebody's code, and what is longer than is compared, are never served from another wording."""
    code = "what does this print\n```python\nprint(1)\n```"
    assert veto(read(code), read(code + " please")) == "code"
    long = "tell me about whales " * (LONGEST // 20)
    assert veto(read(long), read(long + "please")) == "length"


@pytest.mark.skipif(not NEAR_MISSES.exists(), reason="the shared research data is not here")
def test_the_perturbed_questions_of_the_research_set_are_vetoed() -> None:
    """Every perturbed number, unit, negation, name, place, company, language and antonym is vetoed by the guards alone."""
    with gzip.open(NEAR_MISSES, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    missed = [
        (row["a"], row["b"])
        for row in rows
        if row["kind"].startswith("perturb") and not veto(read(row["a"]), read(row["b"]))
    ]
    assert len(rows) > 3_000
    assert missed == []
