"""Spans and moments as people type them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.cli.ranges import parse_moment, parse_range
from llmgw.desk.wire import rfc3339
from llmgw.domain.spans import parse_span
from llmgw.domain.spelling import relative
from llmgw.errors import BadRequest

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * 10**9
HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("24h", 86400),
        ("7d", 604800),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
    ],
)
def test_spans(text, seconds):
    """A span is a sum of numbers with units."""
    assert parse_span(text) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "10", "m", "10x", "-5m", "ten minutes", "10m!"])
def test_what_is_no_span(text):
    """Anything else is refused with an example of what is right."""
    with pytest.raises(BadRequest) as caught:
        parse_span(text)
    assert "24h" in caught.value.hint


def test_moments():
    """A moment is a span back, a day in the zone, or RFC 3339."""
    berlin = ZoneInfo("Europe/Berlin")
    assert parse_moment("24h", NOW) == NOW - 24 * HOUR
    assert parse_moment("2026-11-01", NOW, UTC) == int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 10**9
    assert parse_moment("2026-11-01", NOW, berlin) == parse_moment("2026-10-31T23:00Z", NOW)
    assert parse_moment("today", NOW, berlin) == NOW - 13 * HOUR
    assert parse_moment("yesterday", NOW, UTC) == NOW - 36 * HOUR
    with pytest.raises(BadRequest):
        parse_moment("last summer", NOW)


def test_a_range_runs_forward():
    """--until after --since, or an error that names both."""
    assert parse_range("2h", "1h", NOW) == (NOW - 2 * HOUR, NOW - HOUR)
    assert parse_range(None, None, NOW) == (None, None)
    with pytest.raises(BadRequest, match="not after"):
        parse_range("1h", "2h", NOW)


@given(st.integers(0, 2**62))
def test_rfc3339_reads_back(moment):
    """A printed moment is the same moment to the microsecond, always in UTC."""
    text = rfc3339(moment)
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(moment // 10**9, UTC).replace(
        microsecond=moment % 10**9 // 1000
    )


@given(st.integers(0, NOW))
def test_moments_typed_as_printed(moment):
    """What a list prints can be typed as --since."""
    assert parse_moment(rfc3339(moment), NOW) == moment // 1000 * 1000


def test_relative_times():
    """Tables tell how long ago in one unit."""
    assert relative(NOW - 90 * 10**9, NOW) == "1 m ago"
    assert relative(NOW + 90 * 24 * HOUR, NOW) == "in 90 d"
    assert relative(NOW, NOW) == "now"
