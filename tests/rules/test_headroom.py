"""What providers say of their limits, in every spelling that was seen, and garbage."""

from __future__ import annotations

import gzip
import json
import math
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import FOLDER

from llmgw.domain.headroom import Allowance
from llmgw.rules.headroom import LONGEST, SECOND, read_allowances, read_retry, read_span, wait_for

NOW = 1_763_700_000 * SECOND
MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("1s", 1),
        ("20ms", 0.02),
        ("2m59.56s", 179.56),
        ("1h0m30s", 3630),
        ("1d2h", 93_600),
        ("0", 0),
        ("7", 7),
        ("0.3", 0.3),
        ("1763700042", 42),
        ("1763700042000", 42),
        ("2025-11-21T04:40:42Z", 42),
        ("2025-11-21T04:40:42+00:00", 42),
        ("Fri, 21 Nov 2025 04:40:42 GMT", 42),
        ("2020-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59Z", LONGEST / SECOND),
    ],
)
def test_spans(text: str, seconds: float) -> None:
    """Go's durations, seconds, epochs, RFC 3339 and HTTP dates are read to the nanosecond, rounded up."""
    assert read_span(text, NOW) == pytest.approx(seconds * SECOND, abs=1000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-1",
        "nan",
        "inf",
        "1e9",
        "5 s",
        "m",
        "12:00",
        "0x10",
        "٣",
        "1s2",
        "Sun, 06 Nov 1994 08:49:37 -99999999999999999999",
    ],
)
def test_what_is_no_span(text: str) -> None:
    """What says nothing of the kind is none, rather than zero."""
    assert read_span(text, NOW) is None


@given(st.text(max_size=60) | st.from_regex(r"[0-9smhd.:TZ+-]{0,30}", fullmatch=True), st.integers(0, 2**62))
def test_any_text_is_a_bounded_span_or_none(text: str, now: int) -> None:
    """No header breaks the reading, and none makes a wait negative or longer than a month."""
    span = read_span(text, now)
    assert span is None or 0 <= span <= LONGEST


@given(st.integers(0, 30 * 86_400))
def test_every_spelling_says_the_same(seconds: int) -> None:
    """The same wait in all spellings is the same wait."""
    moment = datetime.fromtimestamp(NOW // SECOND + seconds, UTC)
    hours, rest = divmod(seconds, 3600)
    spellings = [
        str(seconds),
        f"{seconds * 1000}ms",
        f"{hours}h{rest // 60}m{rest % 60}s",
        moment.isoformat(),
        format_datetime(moment, usegmt=True),
        str(NOW // SECOND + seconds),
    ]
    assert {read_span(text, NOW) for text in spellings} == {seconds * SECOND}


def test_allowances() -> None:
    """OpenAI's, Anthropic's, Cerebras' and bare headers give kind, rest, limit and span; a subscription's give none."""
    headers = [
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-tokens", "6m0s"),
        ("x-ratelimit-remaining-req-minute", "3"),
        ("anthropic-ratelimit-input-tokens-limit", "30000"),
        ("anthropic-ratelimit-input-tokens-remaining", "29000"),
        ("anthropic-ratelimit-input-tokens-reset", "2025-11-21T04:40:02Z"),
        ("anthropic-ratelimit-unified-5h-remaining", "1"),
        ("x-ratelimit-remaining", "-1"),
        ("x-ratelimit-over-limit", "yes"),
        ("content-type", "application/json"),
    ]
    assert read_allowances(headers, NOW) == (
        Allowance("input-tokens", 29_000, 30_000, 2 * SECOND),
        Allowance("requests", 59, 60, SECOND),
        Allowance("requests-minute", 3),
        Allowance("tokens", 149_984, None, 360 * SECOND),
    )


@given(
    st.lists(
        st.tuples(st.from_regex(r"(x|anthropic)-ratelimit-[a-z-]{0,20}"), st.text(max_size=12)), max_size=12
    )
)
def test_any_headers_are_read(headers: list[tuple[str, str]]) -> None:
    """Whatever stands in them, what is read has a rest of zero or more."""
    assert all(each.remaining >= 0 for each in read_allowances(headers, NOW))


@pytest.mark.parametrize(
    ("headers", "words", "seconds"),
    [
        ({"retry-after": "7"}, "", 7),
        ({"retry-after": "7", "retry-after-ms": "250"}, "try again in 20s", 0.25),
        ({"retry-after": "Fri, 21 Nov 2025 04:40:42 GMT"}, "", 42),
        ({"retry-after": "later"}, "Please try again in 7m12.5s.", 432.5),
        ({}, "Rate limit reached ... Please try again in 20ms. Visit", 0.02),
        ({}, "Please retry after 26 seconds.", 26),
        ({}, "Please retry in 34.07s.", 34.07),
        ({}, '{"@type": "…RetryInfo", "retryDelay": "34s"}', 34),
        ({}, '{"metadata":{"headers":{"X-RateLimit-Reset":"1763700042000"}}}', 42),
        ({}, "You exceeded your current quota", None),
    ],
)
def test_retries(headers: dict[str, str], words: str, seconds: float | None) -> None:
    """The wait stands in headers, milliseconds first, else in the words of OpenAI, Groq, Azure, Google or OpenRouter."""
    found = read_retry(list(headers.items()), words, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds * SECOND, abs=1000))


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, LONGEST), st.integers(1, 10**7))
def test_waits(remaining: int, limit: int, reset: int, need: int) -> None:
    """A wait is no longer than until all is there again, nothing where there is enough, and grows with the need."""
    allowance = Allowance("tokens", remaining, limit, reset)
    wait = wait_for(allowance, need)
    assert 0 <= wait <= reset
    assert not (need <= remaining and wait)
    assert wait <= wait_for(allowance, need + 1)


def test_a_part_is_there_sooner_than_the_whole() -> None:
    """Of sixty requests a minute that are used up one is there after a second, not after a minute."""
    assert wait_for(Allowance("requests", 0, 60, MINUTE), 1) == SECOND
    assert wait_for(Allowance("requests", 0, None, MINUTE), 1) == MINUTE
    assert wait_for(Allowance("requests", 0, 60, None), 1) == 0


def test_recorded_refusals_are_read() -> None:
    """Every `retry-after` that was recorded is a wait of whole seconds."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded exchanges are not beside this repository")
    found = 0
    for path in sorted(FOLDER.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                headers = json.loads(line).get("response_headers") or {}
                if "retry-after" in headers:
                    wait = read_retry(list(headers.items()), "", NOW)
                    assert wait == int(headers["retry-after"]) * SECOND
                    assert not math.fmod(wait, SECOND)
                    found += 1
    assert found > 10
