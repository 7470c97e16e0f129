"""Declared routes: each condition decides on its own, all of a rule's must hold, and the first rule that fits wins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llmgw.rules.tiering.conditions import Facts, Rule, first, fits, language, words_of

FACTS = Facts(
    key="ci-main",
    tenant="ml",
    tags=("nightly", "eu"),
    model="gateway-auto",
    tokens=500,
    tools=True,
    hour=23,
    weekday=5,
    text="Übersetze das bitte für mich, und zwar in die Sprache der Leute",
)
HOLDS: dict[str, Any] = {
    "key": "ci*",
    "tenant": "m?",
    "tag": "night*",
    "model": "gateway-*",
    "min_tokens": 500,
    "max_tokens": 500,
    "tools": True,
    "hours": "22-6",
    "weekdays": ("sat", "sun"),
    "language": "de",
}
FAILS: dict[str, Any] = {
    "key": "dev*",
    "tenant": "m",
    "tag": "us",
    "model": "gpt-*",
    "min_tokens": 501,
    "max_tokens": 499,
    "tools": False,
    "hours": "6-22",
    "weekdays": ("mon",),
    "language": "en",
}


def test_every_condition_is_covered() -> None:
    """The tables above know every condition there is."""
    assert set(HOLDS) == set(FAILS) == set(Rule.__struct_fields__) - {"to", "tier", "quality"}


@pytest.mark.parametrize("name", HOLDS)
def test_each_condition_decides(name: str) -> None:
    """Alone it lets a request in or keeps it out; one that fails among others that hold keeps it out too."""
    assert fits(Rule(**{name: HOLDS[name]}), FACTS)
    assert not fits(Rule(**{name: FAILS[name]}), FACTS)
    assert fits(Rule(**HOLDS), FACTS)
    assert not fits(Rule(**HOLDS | {name: FAILS[name]}), FACTS)


@given(st.integers(0, 23), st.integers(0, 23), st.integers(0, 23))
def test_hours_go_around_midnight(start: int, end: int, hour: int) -> None:
    """From the first hour until before the last; of two opposite stretches exactly one holds."""
    if start == end:
        return
    there = fits(Rule(hours=f"{start}-{end}"), replace(FACTS, hour=hour))
    back = fits(Rule(hours=f"{end}-{start}"), replace(FACTS, hour=hour))
    assert there is not back
    assert fits(Rule(hours=f"{start}-{end}"), replace(FACTS, hour=start))


def test_the_first_that_fits_wins() -> None:
    """Its number counts from 1; a named model is moved only by rules that speak of names."""
    rules = (Rule(key="dev*"), Rule(tag="eu"), Rule(), Rule(model="*"))
    assert first(rules, FACTS, auto=True) == (2, rules[1])
    assert first(rules, FACTS, auto=False) == (4, rules[3])
    assert first(rules[:3], FACTS, auto=False) is None


def test_a_rule_is_told_in_words() -> None:
    """Conditions by name, as people would read them out."""
    assert words_of(Rule(key="ci*", hours="22-6", tools=False, to=("local",))) == (
        "key ci*, tools not offered, hours 22-6"
    )
    assert words_of(Rule(to=("local",))) == "any request"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What is the capital of France?", "en"),
        ("Was ist die Hauptstadt von Frankreich?", "de"),
        ("Wie groß?", "de"),
        ("```\nx = 1\n```\nwhat is this?", "code"),
        ("def f(x):\n    return x", "code"),
        ("Schreibe eine Funktion, die Zahlen sortiert", "code"),
        ("今日は", ""),
        ("", ""),
    ],
)
def test_language(text: str, found: str) -> None:
    """German, English or code by what stands at the beginning and the end; nothing where nothing tells."""
    assert language(text) == found
