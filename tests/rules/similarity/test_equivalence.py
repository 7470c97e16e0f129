"""Two answers count as the same only where nothing contradicts it. # D-14"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.near_misses import near_misses

from llmgw.rules.similarity.equivalence import equivalent

LONG = (
    "Open the settings, choose Security, and click on reset password. You will receive an email with a link."
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris."),
        ("**Paris** is the capital of France.", "Paris is the capital of France"),
        (LONG, LONG.replace(" and click", ", then click")),
        ("- one\n- two", "one\ntwo"),
    ],
)
def test_the_same_said_otherwise_is_equivalent(one: str, other: str) -> None:
    """Marks, case, closing points and small words make no difference."""
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes.", "No."),
        ("It takes 3 days.", "It takes 4 days."),
        ("It is safe for cats.", "It is not safe for cats."),
        ("The capital is Rome.", "The capital is Paris."),
        (LONG, "Call the bank and ask for a new card."),
        ("```py\nx = 1\n```", "```py\nx = 2\n```"),
    ],
)
def test_another_answer_is_not(one: str, other: str) -> None:
    """However near an embedding finds them."""
    assert not equivalent(one, other)
    assert not equivalent(one, other, 0.99)


def test_an_embedding_may_vouch_for_the_rest() -> None:
    """Answers that share half of their content are the same where their embeddings agree, and only then."""
    other = "Go to settings, open Security and press reset password; a link arrives by email."
    assert equivalent(LONG, other, 0.95)
    assert not equivalent(LONG, other, 0.8)
    assert not equivalent(LONG, other)


@pytest.mark.parametrize(("one", "other"), near_misses())
def test_contradicting_sentences_are_never_equivalent(one: str, other: str) -> None:
    """What would be a near miss as a question is one as an answer, also to an embedder that is sure."""
    assert not equivalent(one, other, 1.0)


@given(st.text(max_size=80), st.text(max_size=80))
def test_it_is_symmetric(one: str, other: str) -> None:
    """It does not matter which answer came first."""
    assert equivalent(one, other) == equivalent(other, one)


@pytest.mark.parametrize(
    "piece", ["\n", "a", "a-", "Ab ", "\n" * 4000 + "x " + "Ab " * 1200, "* ", "1.1e", "word ", "@a", "; \n"]
)
def test_hostile_answers_take_no_time(piece: str) -> None:
    """Answers that were made to keep the comparison busy, as long as are compared and longer, take as long as others."""
    for length in (7_900, 200_000):
        one = (piece * (length // len(piece) + 1))[:length]
        began = time.process_time()
        equivalent(one + "b", one + "c")
        assert time.process_time() - began < 0.3
