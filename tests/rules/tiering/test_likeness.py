"""A likeness: what a prompt is about and looks like in 60 bytes, whatever the prompt."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.rules.tiering.likeness import FORM, MEANING, WIDTH, Likeness, look, part

static = pytest.importorskip("llmgw.providers.embedding.static", reason="the static embedding needs numpy")
LIKENESS = Likeness(static.StaticTable.load().embed)


def numbers(text: str) -> list[int]:
    return [value - 256 if value > 127 else value for value in LIKENESS.of(text)]


def about(left: str, right: str) -> float:
    """The cosine of two meanings."""
    one, other = (numbers(text)[:MEANING] for text in (left, right))
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return float(dot / (sum(a * a for a in one) * sum(b * b for b in other)) ** 0.5)


@given(st.text())
@settings(max_examples=200)
def test_any_text_has_one(text: str) -> None:
    """Sixty bytes for any text, the same for the same one, its largest number used in full."""
    found = LIKENESS.of(text)
    assert len(found) == WIDTH
    assert found == LIKENESS.of(text)
    assert max(map(abs, numbers(text)[:MEANING])) == 127
    assert all(abs(value) <= 126 for value in numbers(text)[MEANING:])


def test_like_prompts_are_near() -> None:
    """Two questions of one field are nearer to each other than to one of another."""
    one = "What is the boiling point of ethanol at normal pressure?"
    other = "At which temperature does methanol boil under normal pressure?"
    third = "Write a friendly birthday poem for my grandmother."
    assert about(one, other) > 0.3
    assert about(one, third) < about(one, other) / 2


def test_the_middle_of_a_long_text_is_not_looked_at() -> None:
    """Two texts of the same beginning and end are alike, and a megabyte costs no more than a page."""
    ends = "What follows? " * 100, "That was it. " * 100
    short, long = (ends[0] + middle + ends[1] for middle in ("", "else " * 200_000))
    assert LIKENESS.of(short) == LIKENESS.of(long)
    assert len(part(long)) == 2001

    def spent() -> int:
        start = time.thread_time_ns()
        LIKENESS.of(long)
        return time.thread_time_ns() - start

    assert min(spent() for _ in range(20)) < 1_000_000


def test_form_is_of_marks_and_lines() -> None:
    """Lines, digits and brackets show; an empty text has a form too."""
    assert len(look("")) == FORM
    assert look("a\nb\nc")[0] > look("a b c")[0]
    assert look("12 + 34")[1] > look("one + two")[1]
    assert look("f(x)[1]")[5] > look("f of x")[5]
