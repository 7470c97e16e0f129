"""What is private is masked, in a whole text as in one that grows."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.redacting import HELD, MASK, redacted

PRIVATE = [
    "sk-ant-api03-AbCdEfGh_123-x",
    "sk-proj-abcdefghijklmnop",
    "gsk_abcdefghij0123456789",
    "lgw_0123456789abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "Bearer eyabcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def",
    "anna.b+c@mail.example.com",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "+49 (30) 901820 456",
    "DE89 3704 0044 0532 0130 00",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----",
]
PLAIN = [
    "on 2026-11-21 14:02:31 it cost $118.42",
    "version 1.2.3, 640 tokens, 3,200,000 rows",
    "task-master, risk-free, a desk-top",
    "pi is 3.14159265",
]


@pytest.mark.parametrize("secret", PRIVATE)
def test_private(secret: str) -> None:
    """Nothing of it is left, whatever stands around it."""
    text, end = redacted(f"see {secret} please")
    assert text == f"see {MASK} please"
    assert end == len(f"see {secret} please")


@pytest.mark.parametrize("text", PLAIN)
def test_plain(text: str) -> None:
    """Ordinary words and numbers stay as they are."""
    assert redacted(text)[0] == text


@given(
    parts=st.lists(
        st.sampled_from([*(each for each in PRIVATE if len(each) < HELD), *PLAIN, "a", "und so weiter"]),
        max_size=12,
    ),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=200),
)
def test_a_text_that_grows(parts: list[str], sizes: list[int]) -> None:
    """Told piece by piece, a text reads as it does whole, however it was cut."""
    whole = " / ".join(parts)
    told, start, at = "", 0, 0
    for size in sizes:
        at = min(len(whole), at + size)
        piece, start = redacted(whole[:at], start, whole=False)
        told += piece
    piece, start = redacted(whole, start)
    assert told + piece == redacted(whole)[0]
    assert start == len(whole)


@pytest.mark.parametrize(
    "word", ["eyJ-", "eyJ-eyJ-. ", "a.", "a@", "a@b-", "-----BEGIN ", "bearer ", "1 ", "x"]
)
def test_a_text_made_to_be_slow(word: str) -> None:
    """Whatever a caller has a model say, looking through it takes time in proportion to its length."""
    text = word * (200_000 // len(word))
    began = time.perf_counter()
    redacted(text, whole=False)
    assert time.perf_counter() - began < 1


def test_looking_again_costs_what_is_new() -> None:
    """The next look at a long text does not read all of it once more."""
    text = "The quick brown fox jumps over it. " * 100_000
    began = time.perf_counter()
    for _ in range(20):
        redacted(text, len(text) - 100, whole=False)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    "secret", ["token-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def", "a" * 80 + "@b.example"]
)
def test_nothing_before_it_hides_it(secret: str) -> None:
    """A word grown together with a secret goes with it."""
    assert redacted(f"see {secret} please")[0] == f"see {MASK} please"
