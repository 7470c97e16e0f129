"""Reports out of roll-ups: periods of a time zone, groups, sums."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledger_words import NOON, USAGE, a_refusal, a_request

from llmgw.storage.database import Database
from llmgw.storage.reports import GROUPS, Reports
from llmgw.storage.rows import Dimensions, write_requests

BERLIN = ZoneInfo("Europe/Berlin")
FOREVER = 2**63 - 1


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "llmgw.db") as opened:
        yield opened


def write(database, *rows):
    with closing(database.connect()) as connection:
        write_requests(connection, Dimensions(), rows)


def moment(*when, zone=UTC):
    return int(datetime(*when, tzinfo=zone).timestamp()) * 10**9


def lines(found):
    return [(line.period, line.group, line.totals.requests, line.totals.cost) for line in found]


def test_days_of_a_time_zone(database):
    """A day runs from local midnight to the next, on the days when clocks change as well (23 and 25 hours)."""
    evening, midnight = moment(2026, 10, 24, 21, 59), moment(2026, 10, 24, 22, 0)
    late = moment(2026, 10, 25, 22, 59)  # still the 25th in Berlin, which has 25 hours
    spring = moment(2026, 3, 29, 21, 59), moment(2026, 3, 29, 22, 0)
    for number, at in enumerate((evening, midnight, late, *spring), 1):
        write(database, a_request(number, started_at=at, cost=number))
    report = Reports(database).report
    assert lines(report("day", BERLIN, 0, FOREVER)) == [
        ("2026-03-29", "", 1, 4),
        ("2026-03-30", "", 1, 5),
        ("2026-10-24", "", 1, 1),
        ("2026-10-25", "", 2, 5),
    ]
    assert lines(report("day", ZoneInfo("UTC"), 0, FOREVER))[-2:] == [
        ("2026-10-24", "", 2, 3),
        ("2026-10-25", "", 1, 3),
    ]
    assert lines(report("day", ZoneInfo("Asia/Kathmandu"), 0, FOREVER))[-1][0] == "2026-10-26"


def test_weeks_begin_on_monday_and_months_on_the_first(database):
    """Weeks are ISO weeks, months are calendar months, each with its own bounds."""
    for number, day in enumerate((15, 16, 22, 23), 1):
        write(database, a_request(number, started_at=moment(2026, 11, day, 12), cost=number))
    reports = Reports(database)
    assert lines(reports.report("week", BERLIN, 0, FOREVER)) == [
        ("2026-W46", "", 1, 1),
        ("2026-W47", "", 2, 5),
        ("2026-W48", "", 1, 4),
    ]
    (month,) = reports.report("month", BERLIN, 0, FOREVER)
    assert (month.period, month.totals.requests) == ("2026-11", 4)
    assert (month.start, month.end) == (
        moment(2026, 11, 1, zone=BERLIN),
        moment(2026, 12, 1, zone=BERLIN),
    )
    assert reports.current("month", moment(2026, 11, 30, 22, 59), BERLIN).cost == 10
    assert reports.current("day", moment(2026, 11, 22, 1), BERLIN).cost == 3
    assert reports.current("day", moment(2026, 12, 1), BERLIN).requests == 0


def test_bounds(database):
    """Only what started within the bounds counts, to the quarter of an hour."""
    for number, at in enumerate((9, 10, 11, 12), 1):
        write(database, a_request(number, started_at=moment(2026, 11, 20, at), cost=number))
    since, until = moment(2026, 11, 20, 10), moment(2026, 11, 20, 12)
    assert lines(Reports(database).report("day", BERLIN, since, until)) == [("2026-11-20", "", 2, 5)]
    assert Reports(database).totals(since, until).cost == 5


def test_groups(database):
    """A report may be broken down by each word that requests carry, the dearest first."""
    write(
        database,
        a_request(1, cost=5, tags="a,b"),
        a_request(2, cost=50, provider="anthropic", model="claude", tier="premium", key_name="me", tags="b"),
        a_refusal(3, tags=""),
    )
    reports = Reports(database)

    def by(group):
        return [line[1:] for line in lines(reports.report("day", BERLIN, 0, FOREVER, group))]

    assert by("model") == [("anthropic/claude", 1, 50), ("openai/gpt-5-nano", 1, 5), ("", 1, 0)]
    assert by("key") == [("me", 1, 50), ("ci", 2, 5)]
    assert by("tier") == [("premium", 1, 50), ("cheap", 1, 5), ("", 1, 0)]
    assert by("tag") == [("b", 2, 55), ("a", 1, 5), ("", 1, 0)]
    assert by("provider") == [("anthropic", 1, 50), ("openai", 1, 5), ("", 1, 0)]
    assert all(by(group) for group in GROUPS)


def test_sessions(database):
    """A session ends where its key pauses for the gap, is apart from other tags, and holds each request once."""
    hours = ((9, 5, "a"), (10, 7, "a"), (13, 1, "a"), (9, 2, "b"))
    for number, (hour, cost, tags) in enumerate(hours, 1):
        write(database, a_request(number, started_at=moment(2026, 11, 20, hour), cost=cost, tags=tags))
    reports = Reports(database)

    def told(gap):
        return [
            (each.tags, each.start, each.totals.requests, each.totals.cost)
            for each in reports.sessions(0, FOREVER, gap * 3600 * 10**9)
        ]

    nine, thirteen = moment(2026, 11, 20, 9), moment(2026, 11, 20, 13)
    assert told(1) == [("a", thirteen, 1, 1), ("a", nine, 2, 12), ("b", nine, 1, 2)]
    assert told(5) == [("a", nine, 3, 13), ("b", nine, 1, 2)]
    assert sum(cost for *_, cost in told(1)) == reports.totals().cost


def test_empty_ledger(database):
    """Without a request there are no lines, and totals are zero without a mean."""
    totals = Reports(database).totals()
    assert (totals.requests, totals.mean_latency_us, totals.mean_ttft_us) == (0, None, None)
    assert Reports(database).report("month", BERLIN, 0, FOREVER, "model") == []


ROWS = st.builds(
    a_request,
    st.uuids().map(lambda number: number.int >> 66),
    started_at=st.integers(NOON - 40 * 86400 * 10**9, NOON + 40 * 86400 * 10**9),
    cost=st.none() | st.integers(0, 10**12),
    premium_cost=st.none() | st.integers(0, 10**12),
    model=st.sampled_from(["a", "b"]),
    tags=st.sampled_from(["", "x"]),
    error=st.sampled_from(["", "upstream_error"]),
    ttft_us=st.none() | st.integers(0, 10**9),
)


@given(
    rows=st.lists(ROWS, max_size=30, unique_by=lambda row: row.id),
    window=st.sampled_from(["day", "week", "month"]),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]
    ),
    by=st.sampled_from([None, "model", "tag", "key"]),
)
def test_report_loses_nothing(tmp_path_factory, rows, window, zone, by):
    """In whatever zone and by whatever word, the lines add up to all requests, each in the period it started in."""
    with Database.open(tmp_path_factory.mktemp("report") / "llmgw.db") as database:
        write(database, *rows)
        found = Reports(database).report(window, ZoneInfo(zone), 0, FOREVER, by)
        totals = Reports(database).totals()
    assert sum(line.totals.requests for line in found) == totals.requests == len(rows)
    assert sum(line.totals.cost for line in found) == totals.cost == sum(row.cost or 0 for row in rows)
    assert totals.unknown_cost == sum(row.cost is None for row in rows)
    assert totals.errors == sum(row.error != "" for row in rows)
    assert totals.input_tokens == len(rows) * USAGE.input_tokens
    known = [row for row in rows if row.cost is not None and row.premium_cost is not None]
    assert totals.saving == sum(row.premium_cost - row.cost for row in known)
    for line in found:
        inside = [row for row in rows if line.start <= row.started_at < line.end]
        assert line.totals.requests <= len(inside)
