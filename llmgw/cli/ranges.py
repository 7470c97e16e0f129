"""Spans and moments as people type them: ``10m 24h 7d``, ``2026-11-01``, ``2026-11-01T08:00Z``, ``today``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from llmgw.domain.spans import NANO, SPAN
from llmgw.domain.spans import parse_span as parse_span  # noqa: PLC0414 (named here for whoever reads a command line)
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from datetime import tzinfo


def parse_moment(text: str, now: int, zone: tzinfo | None = None) -> int:
    """UTC nanoseconds of a span before ``now``, a day, or an RFC 3339 time; BadRequest otherwise.

    Days, ``today``, ``yesterday`` and times without an offset are read in ``zone`` (None: this machine's).
    """
    word = text.strip().lower()
    if SPAN.match(word) and not SPAN.sub("", word).strip():
        return now - parse_span(word)
    if word == "now":
        return now
    if word in {"today", "yesterday"}:
        here = datetime.fromtimestamp(now / NANO, zone)
        day = here.date() - timedelta(days=word == "yesterday")
        return _nanoseconds(datetime(day.year, day.month, day.day, tzinfo=zone))
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadRequest(
            f"`{text}` is not a time", hint="write 10m, 24h or 7d (ago), 2026-11-01, or 2026-11-01T08:00Z"
        ) from None
    return _nanoseconds(at if at.tzinfo else at.replace(tzinfo=zone))


def parse_range(
    since: str | None, until: str | None, now: int, zone: tzinfo | None = None
) -> tuple[int | None, int | None]:
    """Both ends in UTC nanoseconds, None where one is open; BadRequest when they are the wrong way round."""
    start = None if since is None else parse_moment(since, now, zone)
    end = None if until is None else parse_moment(until, now, zone)
    if start is not None and end is not None and end <= start:
        raise BadRequest(f"`--until {until}` is not after `--since {since}`")
    return start, end


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000
