"""Calendar buckets in an operator's time zone: the hours, days, weeks and months that reports and budgets count in.

Buckets of one kind follow each other without gap or overlap, also on the days on which clocks are changed: a day
runs from local midnight to the next, however many hours lie between.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain.budget import Window as Window  # noqa: PLC0414 (named here for whoever asks for a bucket)
from llmgw.domain.money import NANO

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from llmgw.domain.clock import Nanoseconds

HOUR = 3600 * NANO
QUARTER = HOUR // 4
FOREVER = 2**63 - 1


class Bucket(NamedTuple):
    """A stretch of time from ``start_ns`` to before ``end_ns``; ``id`` is unique within its kind and zone.

    Ids are ISO 8601: ``2026-10-25T02:00+01:00``, ``2026-10-25``, ``2026-W43``, ``2026-10``, or ``total``.
    """

    start_ns: Nanoseconds
    end_ns: Nanoseconds
    id: str


def bucket(kind: Window | str, at_ns: Nanoseconds, zone: ZoneInfo) -> Bucket:
    """The bucket of that kind which holds the moment; weeks begin on Monday."""
    match Window(kind):
        case Window.HOUR:
            return _hour(at_ns, zone)
        case Window.DAY:
            return _calendar(at_ns, zone, lambda day: day, _next_day, "%Y-%m-%d")
        case Window.WEEK:
            return _calendar(at_ns, zone, _monday, lambda day: day + timedelta(days=7), "%G-W%V")
        case Window.MONTH:
            return _calendar(at_ns, zone, _first, lambda day: _first(day + timedelta(days=31)), "%Y-%m")
        case Window.TOTAL:
            return Bucket(0, FOREVER, "total")


def _hour(at_ns: Nanoseconds, zone: ZoneInfo) -> Bucket:
    """Hours are counted from midnight on, so that a repeated hour is two buckets and a skipped one is none."""
    day = bucket(Window.DAY, at_ns, zone)
    start = day.start_ns + (at_ns - day.start_ns) // HOUR * HOUR
    return Bucket(start, min(start + HOUR, day.end_ns), _local(start, zone).isoformat(timespec="minutes"))


def _calendar(
    at_ns: Nanoseconds,
    zone: ZoneInfo,
    begin: Callable[[date], date],
    following: Callable[[date], date],
    form: str,
) -> Bucket:
    """``begin`` gives the first day of the bucket around a day, ``following`` the first day of the next bucket."""
    first = begin(_local(at_ns, zone).date())
    if at_ns < _midnight(first, zone):  # clocks were put back over midnight: this day began before
        first = begin(first - timedelta(days=1))
    while at_ns >= _midnight(following(first), zone):
        first = following(first)
    return Bucket(_midnight(first, zone), _midnight(following(first), zone), first.strftime(form))


def _local(at_ns: Nanoseconds, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_ns // NANO, UTC).astimezone(zone)


def _midnight(day: date, zone: ZoneInfo) -> Nanoseconds:
    """The first of two midnights; where midnight is skipped, the moment at which it is."""
    return int(datetime.combine(day, time(), zone).timestamp()) * NANO


def _next_day(day: date) -> date:
    return day + timedelta(days=1)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _first(day: date) -> date:
    return day.replace(day=1)


def lately(now: Nanoseconds) -> Nanoseconds:
    """From when on the last hour is counted: a whole quarter of an hour, as the roll-ups have it."""
    return (now - HOUR) // QUARTER * QUARTER
