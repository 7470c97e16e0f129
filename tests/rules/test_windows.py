"""Calendar buckets: a partition of time in every zone, on the days on which clocks change too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmgw.domain.money import NANO
from llmgw.rules.windows import FOREVER, Window, bucket

HOUR = 3600 * NANO
CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "America/St_Johns": ("2010-03-14T03:31", "2010-11-07T02:31"),  # back over midnight: 00:01 became 23:01
    "America/Sao_Paulo": ("2018-11-04T03:00", "2018-02-18T02:00"),  # midnight skipped; midnight put off
    "America/Havana": ("2026-03-08T05:00", "2026-11-01T05:00"),  # midnight twice
    "Australia/Lord_Howe": ("2026-10-03T15:30", "2026-04-04T15:00"),  # half an hour
    "Pacific/Apia": ("2011-12-30T10:00", "2011-12-31T10:00"),  # a day skipped
    "Asia/Kathmandu": ("2026-01-01T00:00", "2026-07-01T00:00"),  # five hours and three quarters, no change
    "UTC": ("2026-03-29T01:00", "2026-10-25T01:00"),
}
MOMENTS = [(zone, moment) for zone, moments in CHANGES.items() for moment in moments]
calendar = st.sampled_from([Window.HOUR, Window.DAY, Window.WEEK, Window.MONTH])


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NANO


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[ZoneInfo, int]:
    """A zone and a moment within two days of a change of its clocks."""
    zone, moment = draw(st.sampled_from(MOMENTS))
    return ZoneInfo(zone), ns(moment) + draw(st.integers(-48 * HOUR, 48 * HOUR))


@given(calendar, near_a_change())
@example(Window.DAY, (ZoneInfo("America/St_Johns"), ns("2010-11-07T02:31")))
def test_buckets_follow_each_other_without_gap_or_overlap(kind: Window, place: tuple[ZoneInfo, int]):
    """A moment lies in its bucket, every moment of the bucket gives the same one, and its neighbours touch it."""
    zone, moment = place
    here = bucket(kind, moment, zone)
    assert here.start_ns <= moment < here.end_ns
    assert bucket(kind, here.start_ns, zone) == here == bucket(kind, here.end_ns - 1, zone)
    before, after = bucket(kind, here.start_ns - 1, zone), bucket(kind, here.end_ns, zone)
    assert before.end_ns == here.start_ns
    assert after.start_ns == here.end_ns
    assert len({before.id, here.id, after.id}) == 3


@given(near_a_change())
def test_smaller_buckets_lie_within_larger_ones(place: tuple[ZoneInfo, int]):
    """No hour belongs to two days, no day to two weeks or two months."""
    zone, moment = place
    hour, day, week, month = (bucket(kind, moment, zone) for kind in list(Window)[:4])
    assert day.start_ns <= hour.start_ns < hour.end_ns <= day.end_ns
    for larger in (week, month):
        assert larger.start_ns <= day.start_ns < day.end_ns <= larger.end_ns


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00", 25),
        ("Europe/Berlin", "2026-11-21T12:00", 24),
        ("Australia/Lord_Howe", "2026-10-03T20:00", 23.5),
        ("America/Sao_Paulo", "2018-11-04T12:00", 23),
        ("America/Havana", "2026-11-01T12:00", 25),
    ],
)
def test_a_day_has_the_hours_its_clocks_give_it(zone: str, moment: str, hours: float):
    """A day runs from midnight to midnight, however long that takes."""
    day = bucket(Window.DAY, ns(moment), ZoneInfo(zone))
    assert (day.end_ns - day.start_ns) / HOUR == hours


def test_the_hour_that_comes_twice_is_two_buckets():
    """In Berlin's October night 02:00 comes first in summer time, then in winter time."""
    zone, change = ZoneInfo("Europe/Berlin"), ns("2026-10-25T01:00")
    assert bucket(Window.HOUR, change - 1, zone).id == "2026-10-25T02:00+02:00"
    assert bucket(Window.HOUR, change, zone).id == "2026-10-25T02:00+01:00"


def test_ids_are_iso_8601():
    """A Sunday evening in UTC is Monday of the next week in Tokyo, and a new year may begin in week 53."""
    moment, tokyo = ns("2027-01-03T16:00"), ZoneInfo("Asia/Tokyo")
    assert [bucket(kind, moment, tokyo).id for kind in Window] == [
        "2027-01-04T01:00+09:00",
        "2027-01-04",
        "2027-W01",
        "2027-01",
        "total",
    ]
    assert bucket("week", moment, ZoneInfo("UTC")).id == "2026-W53"


def test_total_is_one_bucket_for_ever():
    """A budget without a window never begins anew."""
    assert bucket("total", ns("2026-11-21T00:00"), ZoneInfo("UTC")) == (0, FOREVER, "total")


@given(st.integers(ns("1971-01-01"), ns("2099-01-01")), st.sampled_from(sorted(CHANGES)))
def test_a_month_begins_on_its_first_day_at_midnight(moment: int, zone: str):
    """Away from changes over midnight, a month's start is 00:00 of day 1 on the clocks of the zone."""
    start = bucket(Window.MONTH, moment, ZoneInfo(zone)).start_ns
    local = datetime.fromtimestamp(start // NANO, UTC).astimezone(ZoneInfo(zone))
    assert local.day == 1
    assert local - local.replace(hour=0, minute=0) <= timedelta(hours=1)
