"""Reading what providers say of their rate limits, in all the spellings there are.

OpenAI and those who follow it send ``x-ratelimit-remaining-tokens`` with spans (``6m0s``, ``20ms``), Anthropic
``anthropic-ratelimit-input-tokens-remaining`` with moments (RFC 3339), others plain seconds or epochs; ``retry-after``
is seconds or an HTTP date (RFC 9110, 10.2.3), and some say it only in the words of the error.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from llmgw.domain.headroom import Allowance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmgw.domain.clock import Nanoseconds

SECOND = 1_000_000_000
LONGEST = 31 * 86_400 * SECOND
"""No limit begins anew later than in a month; what says so is cut to that."""

UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
UNITS["d"] = 24 * UNITS["h"]
_PART = r"(\d{1,18}(?:\.\d{1,18})?)(ns|us|µs|ms|s|m|h|d)"
PART, SPAN = re.compile(_PART, re.ASCII), re.compile(f"(?:{_PART})+", re.ASCII)
NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,18})?", re.ASCII)

EPOCH = 1_000_000_000
"""A number from here on is a moment in seconds since 1970, a thousand times that one in milliseconds."""

IN_WORDS = re.compile(
    r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|[smhd]))+|\d+(?:\.\d+)?)"
    r'|"retryDelay"\s*:\s*"([0-9.]+s)"'
    r'|"X-RateLimit-Reset"\s*:\s*"?(\d+)',
    re.IGNORECASE | re.ASCII,
)
"""OpenAI and Groq (`try again in 7m12s`), Azure (`retry after 26 seconds`), Google (`retryDelay`), OpenRouter."""

READ = 8192
"""Characters of an error that are looked at."""

WHOLE = frozenset({"tokens", "tokens-minute", "project-tokens"})
"""Limits that a call's whole prompt counts against."""

FIELDS = frozenset({"limit", "remaining", "reset"})


def read_span(text: str, now: Nanoseconds) -> Nanoseconds | None:
    """How long from ``now`` (UTC) until what a header says, never negative; None when it says nothing of the kind."""
    text = text.strip()
    if NUMBER.fullmatch(text):
        number = float(text)
        if number >= EPOCH:
            number = number / (1000 if number >= EPOCH * 1000 else 1) - now / SECOND
        return _bounded(number * SECOND)
    if SPAN.fullmatch(text):
        return _bounded(sum(float(part) * UNITS[unit] for part, unit in PART.findall(text)))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, IndexError, OverflowError):  # the last two by the library's own faults
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return _bounded(moment.timestamp() * SECOND - now)
    except OverflowError:  # a moment on the first or the last day there is
        return None


def _bounded(span: float) -> Nanoseconds:
    return min(max(0, math.ceil(span)), LONGEST)


def read_allowances(headers: Iterable[tuple[str, str]], now: Nanoseconds) -> tuple[Allowance, ...]:
    """Every limit whose rest is told, ordered by kind; header names are in lower case, ``now`` is UTC."""
    found: dict[str, dict[str, str]] = {}
    for name, value in headers:
        if (read := _read_name(name)) is not None:
            kind, field = read
            found.setdefault(kind, {})[field] = value
    return tuple(
        Allowance(kind, left, _whole(said.get("limit", "")), read_span(said.get("reset", ""), now))
        for kind, said in sorted(found.items())
        if (left := _whole(said.get("remaining", ""))) is not None
    )


def need_of(kind: str, prompt: int) -> int:
    """What a call with so many tokens takes of a limit: all of them where the limit is on a call's tokens, else one."""
    return prompt if kind in WHOLE else 1


def is_plenty(name: str, value: str, prompt: int) -> bool:
    """Whether a header tells of no rest, or of one that is enough for a call; cheaper than to read them all."""
    read = _read_name(name)
    if read is None or read[1] != "remaining":
        return True
    return value.isdecimal() and int(value) >= need_of(read[0], prompt)


@lru_cache(256)
def _read_name(name: str) -> tuple[str, str] | None:
    """Kind and field of a header: ``x-ratelimit-reset-tokens-minute`` is ``tokens-minute``, ``reset``."""
    _, marker, rest = name.partition("ratelimit")
    words = rest.strip("-").split("-")
    fields = FIELDS.intersection(words)
    if (
        not marker or len(fields) != 1 or "unified" in words
    ):  # which is the share of a person's own subscription
        return None
    (field,) = fields
    kind = "-".join("requests" if word == "req" else word for word in words if word != field)
    return kind or "calls", field


def _whole(text: str) -> int | None:
    return int(float(text)) if NUMBER.fullmatch(text.strip()) else None


def read_retry(headers: Iterable[tuple[str, str]], words: str, now: Nanoseconds) -> Nanoseconds | None:
    """How long a refused caller shall wait by the headers, else by the words of the error; None when neither tells."""
    said = dict(headers)
    for name, unit in (("retry-after-ms", "ms"), ("retry-after", "")):
        if name in said and (span := read_span(said[name].strip() + unit, now)) is not None:
            return span
    match = IN_WORDS.search(words[:READ])
    text = match and (match[1] or match[2] or match[3])
    return read_span(text, now) if text else None


def wait_for(allowance: Allowance, need: int) -> Nanoseconds:
    """The time from when it was said until ``need`` of a limit is there; 0 when it is or nobody can know.

    Limits fill up steadily, so a part of the whole is there sooner than all of it.
    """
    missing = need - allowance.remaining
    if missing <= 0 or not allowance.reset:
        return 0
    if allowance.limit is None or allowance.limit <= allowance.remaining:
        return allowance.reset
    return min(
        allowance.reset, math.ceil(allowance.reset * missing / (allowance.limit - allowance.remaining))
    )
