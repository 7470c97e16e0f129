"""Figures as people read them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.domain import spelling
from llmgw.domain.money import NANO

NOON = 1_795_269_751 * NANO
"""2026-11-21T14:02:31Z."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, spelling.DASH),
        (0, "0"),
        (640, "640"),
        (1234, "1.2k"),
        (9950, "10k"),
        (48_000, "48k"),
        (999_499, "999k"),
        (999_600, "1.0M"),
        (1_100_000, "1.1M"),
        (2 * 10**9, "2.0G"),
    ],
)
def test_tokens(value: int | None, text: str) -> None:
    """Large counts are cut to two or three digits and a letter."""
    assert spelling.tokens(value) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (None, spelling.DASH),
        (0, "0 %"),
        (0.0003, "<0.1 %"),
        (0.003, "0.3 %"),
        (0.0996, "10 %"),
        (0.49, "49 %"),
        (1.0, "100 %"),
    ],
)
def test_percent(part: float | None, text: str) -> None:
    """Something is never shown as nothing."""
    assert spelling.percent(part) == text


def test_money_and_amounts() -> None:
    """Small sums keep their digits, large ones lose their cents where there is no room for them."""
    assert spelling.usd(68_000) == "$0.000068"
    assert spelling.usd(None) == spelling.DASH
    assert [spelling.short_usd(each * NANO) for each in (4, 118, 12_000)] == ["$4.00", "$118", "$12k"]
    assert spelling.per_hour(520_000_000) == "$0.52/h"
    assert spelling.amount("money", 5 * NANO) == "$5.00"
    assert spelling.amount("tokens", 250_000) == "250,000 tokens"


def test_time() -> None:
    """Spans and moments in the unit that fits."""
    assert spelling.took(400) == "0.4 ms"
    assert spelling.took(1_204_000) == "1,204 ms"
    assert spelling.lasting(11_520_000_000) == "3 h 12 m"
    assert spelling.uptime(NOON - (3 * 86_400 + 4 * 3600) * NANO, NOON) == "3d 04h"
    assert spelling.clock(NOON, ZoneInfo("Europe/Berlin")) == "15:02:31"
    assert spelling.day_clock(NOON, ZoneInfo("UTC")) == "2026-11-21 14:02"
    assert spelling.runs_out(NOON + 14 * 3600 * NANO, 5, NOON) == "in 14 h"
    assert spelling.runs_out(None, 0, NOON) == "now"
    assert spelling.runs_out(None, 5, NOON) == spelling.DASH
    assert spelling.size(41 << 20) == "41 MB"


@given(st.floats(0, 3), st.integers(1, 60), st.booleans())
def test_bars_have_their_width(part: float, width: int, plain: bool) -> None:
    """A bar is as wide as asked, shows something for anything, and is ASCII where only that can be shown."""
    bar = spelling.bar(part, width, plain=plain)
    assert len(bar) == width
    assert (bar[0] in "▓#") == (part > 0)
    assert not plain or bar.isascii()
    assert spelling.bar(part, width, mark=True).endswith(" !") == (part >= spelling.HIGH)


@given(st.lists(st.floats(0, 1e9), max_size=200), st.integers(1, 60), st.booleans())
def test_sparklines_fit(values: list[float], width: int, plain: bool) -> None:
    """No more characters than values or cells; the largest value is the highest step, anything is above nothing."""
    line = spelling.sparkline(values, width, plain=plain)
    assert len(line) == min(len(values), width)
    assert not plain or line.isascii()
    whole = spelling.sparkline(values)
    if values and max(values) > 0:
        assert whole[values.index(max(values))] == "█"
        assert all((step == "▁") == (value == 0) for step, value in zip(whole, values, strict=True))


def test_trend() -> None:
    """A tenth is no change."""
    assert [spelling.trend(now, 10) for now in (12, 10.5, 8, 0)] == ["▲", "·", "▼", "▼"]
