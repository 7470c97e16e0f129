"""What lies behind a dashboard that is opened: sums of a window, of today and of the month, and the newest requests.

All is read in one moment and told with the number of the last row in it; also as it stood when an earlier row was the
last. Whole quarters of an hour come from the roll-ups, what these do not tell apart from the rows.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from operator import itemgetter
from sys import intern
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from llmgw.domain.ledger import first_id
from llmgw.domain.pulse import BOUNDS, REST, Bucket, Counts, Line, Seen, Spread
from llmgw.domain.route import DOWNGRADED, ESCALATED, Decision
from llmgw.rules.picture import MINUTE, WINDOWS
from llmgw.rules.tallying import SEEN, Callers, line_of, seen_of
from llmgw.rules.windows import HOUR, Window, bucket, lately
from llmgw.storage.database import Database, troubles
from llmgw.storage.requests import COLUMNS, request_of
from llmgw.storage.rows import BUCKET, DIMENSION

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.ledger import RequestRow
    from llmgw.domain.money import NanoUSD

REACH = 31 * 24 * HOUR
"""How far back any figure reaches."""
LAST = 2**63 - 1
LONGEST = 24 * HOUR
"""No call takes longer: what began before has ended."""

Sums = dict[tuple[int, str], Counts]
"""Of one stretch, by dimension and declared route."""
Kept = dict[tuple[int, int, str], Counts]
"""Of many, by their beginning too."""

_SUMS = (
    "sum(requests), sum(errors), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), "
    "sum(cache_write_tokens), sum(reasoning_tokens), sum(estimated), sum(cost), sum(premium_cost), sum(saving), "
    "sum(unknown_cost), sum(latency_us), sum(ttft_us), sum(ttft_count), sum(saved)"
)
_OF_ROLLUPS = (
    f"SELECT bucket / :step * :step, dimension, '', {_SUMS} FROM rollups "  # noqa: S608 (own columns)
    "WHERE bucket >= :since AND bucket < :until GROUP BY 1, 2 ORDER BY 1"
)
_OF_ROWS = f"""SELECT started_at / :step * :step, dimension, coalesce(rule, ''), count(*), sum(error <> ''),
    sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens),
    sum(estimated), sum(coalesce(cost, 0)), sum(coalesce(premium_cost, 0)), sum(coalesce(premium_cost - cost, 0)),
    sum(cost IS NULL), sum(latency_us), sum(coalesce(ttft_us, 0)), count(ttft_us), sum(saved), sum(attempts > 1),
    sum(coalesce(reason LIKE '{DOWNGRADED}%', 0)), sum(coalesce(reason LIKE '{ESCALATED}%', 0))
    FROM requests LEFT JOIN decisions ON request_id = requests.id
    WHERE {{}} GROUP BY 1, 2, 3 ORDER BY 1"""  # noqa: S608 (own words)
# a plus keeps SQLite from reading all rows up to a number or behind it, where those of a time are few
_BEGAN = _OF_ROWS.format("started_at >= :since AND started_at <= :now AND +seq <= :seq")
_LATER = _OF_ROWS.format("started_at >= :since AND started_at < :until AND +seq > :seq")
# of these the roll-ups do not tell all: the first index holds the few that took several attempts
_SEVERAL = _OF_ROWS.format("attempts > 1 AND started_at >= :since AND seq > :seq AND seq <= :last")
_DECIDED = _OF_ROWS.format(
    f"requests.id >= :id AND attempts <= 1 AND (rule <> '' OR reason LIKE '{DOWNGRADED}%' OR "
    f"reason LIKE '{ESCALATED}%') AND started_at >= :since AND seq > :seq AND seq <= :last"
).replace("LEFT JOIN decisions", "JOIN decisions")


class Past(NamedTuple):
    """What a history tells of requests. Fields as in ``domain.pulse.History``."""

    seq: int
    since: Nanoseconds
    step: Nanoseconds
    buckets: tuple[Bucket, ...]
    today: tuple[Line, ...]
    month: tuple[Line, ...]
    last_month: NanoUSD
    hour: tuple[tuple[Nanoseconds, NanoUSD], ...]
    spreads: tuple[Spread, ...]
    seen: tuple[Seen, ...]


class Histories:
    """Reads the pasts of one ledger, one at a time; what only rows know is remembered from one to the next.

    Sums are read and told stretch by stretch: with thousands of callers all of them at once would be sorted, and let
    go of, in steps of tens of milliseconds in which no other thread gets its turn.
    """

    def __init__(self, database: Database, callers: Callers) -> None:
        self._database = database
        self._callers = callers
        self._apart: Kept = {}
        """What has to be added to the roll-ups, by the quarter of an hour."""
        self._one_at_a_time = Lock()
        self._since: Nanoseconds = LAST
        self._read_to = 0
        self._names: dict[int, tuple[str, ...]] = {}
        """The words of each dimension, in the order of a line."""

    def past(self, window: str, zone: ZoneInfo, now: Nanoseconds, seq: int | None = None) -> Past:
        """The past of a moment: of ``now`` and the last row, or of when the row ``seq`` was the last one."""
        with troubles(self._database.path), self._one_at_a_time:
            connection = self._database.reader()
            connection.execute("BEGIN")
            try:
                return self._past(connection, window, zone, now, seq)
            finally:
                connection.execute("ROLLBACK")

    def _past(
        self,
        connection: sqlite3.Connection,
        window: str,
        zone: ZoneInfo,
        now: Nanoseconds,
        wanted: int | None,
    ) -> Past:
        (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM requests").fetchone()
        seq = last if wanted is None else min(wanted, last)
        day, month = (bucket(each, now, zone) for each in (Window.DAY, Window.MONTH))
        length, step = WINDOWS[window]
        until = now - now % step + step
        since = until - length
        self._look_apart(connection, now - REACH, last)
        self._learn_names(connection)
        moment = LAST if wanted is None else now  # of a clock that was set back rows may lie ahead
        in_month = self._whole(connection, month.start_ns, month.end_ns, LAST, seq, last, moment)
        told_month = self._lines(in_month)
        in_day = self._whole(connection, day.start_ns, day.end_ns, LAST, seq, last, moment)
        told_today = self._lines(in_day)
        if step % BUCKET == 0:
            stretches = self._whole(connection, since, until, step, seq, last, moment)
        else:
            stretches = _stretches(connection, _BEGAN, step=step, since=since, now=moment, seq=seq)
        hour = now - HOUR - now % MINUTE + MINUTE
        return Past(
            seq=seq,
            since=since,
            step=step,
            buckets=tuple(Bucket(at=at, lines=self._told(sums)) for at, sums in stretches if sums),
            today=told_today,
            month=told_month,
            last_month=_cost(
                connection, bucket(Window.MONTH, month.start_ns - 1, zone).start_ns, month.start_ns
            ),
            hour=tuple(connection.execute(_HOUR, {"since": lately(now), "now": moment, "seq": seq})),
            spreads=_spreads(connection, hour, moment, seq, self._names),
            seen=tuple(seen_of(row) for row in _newest(connection, seq)),
        )

    def _whole(
        self,
        connection: sqlite3.Connection,
        since: Nanoseconds,
        until: Nanoseconds,
        step: Nanoseconds,
        seq: int,
        last: int,
        moment: Nanoseconds,
    ) -> Iterator[tuple[Nanoseconds, Sums]]:
        """Sums of whole quarters of an hour, in steps of some, as they were with the row ``seq`` at a moment."""
        if seq < last:  # what began after its quarter is none of it, and need not be taken off again
            until = min(until, moment - moment % BUCKET + BUCKET)
        changes: dict[Nanoseconds, Sums] = defaultdict(dict)
        for (at, dimension, rule), counts in self._apart.items():
            if since <= at < until:
                _add(changes[at // step * step], (dimension, rule), counts)
        if seq < last:
            began = max(since, moment - LONGEST)
            for at, later in _stretches(connection, _LATER, step=step, since=began, until=until, seq=seq):
                for kind, counts in later.items():
                    _add(changes[at], kind, Counts() - counts)
        for at, sums in _stretches(connection, _OF_ROLLUPS, step=step, since=since, until=until):
            for kind, counts in changes.get(at, {}).items():
                _add(sums, kind, counts)
            yield at, {kind: counts for kind, counts in sums.items() if counts.requests}

    def _look_apart(self, connection: sqlite3.Connection, since: Nanoseconds, last: int) -> None:
        """Learn of requests since the last look which of them the roll-ups do not tell apart from others."""
        if last < self._read_to or since < self._since:  # another ledger in its place, or further back
            self._apart, self._names, self._since, self._read_to = {}, {}, since - since % BUCKET, 0
        elif since > self._since + 24 * HOUR:
            self._since = since - since % BUCKET
            self._apart = {kind: counts for kind, counts in self._apart.items() if kind[0] >= self._since}
        given = {
            "step": BUCKET,
            "since": self._since,
            "id": first_id(self._since),
            "seq": self._read_to,
            "last": last,
        }
        for sql in (_SEVERAL, _DECIDED):
            for at, sums in _stretches(connection, sql, **given):
                for (dimension, rule), counts in sums.items():
                    told = replace(
                        counts, fallbacks=0, downgraded=0, escalated=0
                    )  # the roll-ups have no more of it
                    _add(self._apart, (at, dimension, ""), Counts() - told)
                    _add(self._apart, (at, dimension, rule), counts)
        self._read_to = last

    def _learn_names(self, connection: sqlite3.Connection) -> None:
        """Read the words of dimensions that are new."""
        columns = DIMENSION.replace("key_id, ", "")
        known = max(self._names, default=0)
        rows = connection.execute(f"SELECT id, {columns} FROM dimensions WHERE id > ?", (known,))  # noqa: S608
        for number, *words in rows:
            self._names[number] = tuple(map(intern, words))

    def _lines(self, stretches: Iterable[tuple[Nanoseconds, Sums]]) -> tuple[Line, ...]:
        """The lines of what is one stretch at most."""
        return next((self._told(sums) for _, sums in stretches), ())

    def _told(self, sums: Sums) -> tuple[Line, ...]:
        """The lines of one stretch, the dearest first, those of callers who are not named as one for each kind."""
        if not self._callers.full:  # the dearest are named
            sums = dict(sorted(sums.items(), key=lambda each: (-each[1].cost, -each[1].requests)))
        told: list[Line] = []
        rest: dict[tuple[str, ...], Counts] = {}
        for (dimension, rule), counts in sums.items():
            tenant, user, key, tags, *kind = self._names[dimension]
            if self._callers.names(tenant, user, key, tags):
                told.append(line_of((0, tenant, user, key, tags, *kind, rule), counts))
            else:
                _add(rest, (*kind, rule), counts)
        told.sort(key=lambda each: (-each.counts.cost, -each.counts.requests))
        return (*told, *(line_of((0, REST, REST, REST, REST, *kind), each) for kind, each in rest.items()))


def rows_after(database: Database, seq: int, most: int) -> list[tuple[int, RequestRow]]:
    """Rows behind a number with theirs, in the order in which they ended."""
    with troubles(database.path):
        found = database.reader().execute(f"{_ROWS} WHERE seq > ? ORDER BY seq LIMIT ?", (seq, most))
        return [(row[0], _row(row)) for row in found]


def newest(database: Database) -> int:
    """The number of the last row; 0 in an empty ledger."""
    with troubles(database.path):
        (last,) = database.reader().execute("SELECT coalesce(max(seq), 0) FROM requests").fetchone()
        return int(last)


def last_by(database: Database, at: Nanoseconds) -> int:
    """The number of the last row that had ended by a moment; 0 before the first."""
    with troubles(database.path):
        reader, began = database.reader(), at - HOUR
        (last,) = reader.execute(
            "SELECT max(seq) FROM requests WHERE started_at > ? AND started_at <= ? "
            "AND started_at + latency_us * 1000 <= ?",
            (began, at, at),
        ).fetchone()
        if last is None:
            sql = "SELECT min(seq) - 1 FROM requests WHERE started_at > ?"
            (last,) = reader.execute(sql, (began,)).fetchone()
        if last is None:
            (last,) = reader.execute("SELECT max(seq) FROM requests").fetchone()
        return last or 0


_ROWS = (
    f"SELECT {COLUMNS}, rule, reason, conversation FROM requests JOIN dimensions ON dimensions.id = dimension "  # noqa: S608
    "LEFT JOIN (SELECT request_id, rule, reason, conversation FROM decisions) ON request_id = requests.id"
)
_HOUR = (
    "SELECT started_at / 60000000000 * 60000000000, sum(coalesce(cost, 0)) FROM requests "
    "WHERE started_at >= :since AND started_at <= :now AND +seq <= :seq GROUP BY 1"
)


def _class(value: str, low: int = 0, high: int = len(BOUNDS)) -> str:
    """SQL for the class of `BOUNDS` that a value falls into."""
    if low == high:
        return str(low)
    middle = (low + high) // 2
    return (
        f"CASE WHEN {value} <= {BOUNDS[middle]} THEN {_class(value, low, middle)}"
        f" ELSE {_class(value, middle + 1, high)} END"
    )


def _spreads(
    connection: sqlite3.Connection,
    since: Nanoseconds,
    now: Nanoseconds,
    seq: int,
    names: dict[int, tuple[str, ...]],
) -> tuple[Spread, ...]:
    rows = connection.execute(
        f"SELECT started_at / {MINUTE} * {MINUTE}, dimension, {_class('latency_us')}, "  # noqa: S608 (own words)
        f"CASE WHEN ttft_us IS NULL THEN NULL ELSE {_class('ttft_us')} END, count(*) FROM requests "
        "WHERE started_at >= ? AND started_at <= ? AND +seq <= ? GROUP BY 1, 2, 3, 4",
        (since, now, seq),
    )
    found: dict[tuple[int, str, str], tuple[dict[int, int], dict[int, int]]] = {}
    for began, dimension, latency, ttft, count in rows:
        provider, model = names[dimension][5:7]
        if model:
            ttfts, latencies = found.setdefault((began, provider, model), ({}, {}))
            latencies[latency] = latencies.get(latency, 0) + count
            if ttft is not None:
                ttfts[ttft] = ttfts.get(ttft, 0) + count
    return tuple(
        Spread(
            began=began,
            provider=provider,
            model=model,
            ttft=tuple(sorted(ttfts.items())),
            latency=tuple(sorted(latencies.items())),
        )
        for (began, provider, model), (ttfts, latencies) in found.items()
    )


def _stretches(connection: sqlite3.Connection, sql: str, **given: int) -> Iterator[tuple[Nanoseconds, Sums]]:
    """The sums of each stretch in its turn."""
    for at, rows in groupby(connection.execute(sql, given), itemgetter(0)):
        yield at, {(dimension, rule): Counts(*counts) for _, dimension, rule, *counts in rows}


def _add(sums: dict[Any, Counts], kind: tuple[Any, ...], counts: Counts) -> None:
    known = sums.get(kind)
    sums[kind] = counts if known is None else known + counts


def _cost(connection: sqlite3.Connection, since: Nanoseconds, until: Nanoseconds) -> NanoUSD:
    sql = "SELECT coalesce(sum(cost), 0) FROM overall WHERE bucket >= ? AND bucket < ?"
    (cost,) = connection.execute(sql, (since, until)).fetchone()
    return int(cost)


def _newest(connection: sqlite3.Connection, seq: int) -> Iterable[RequestRow]:
    rows = connection.execute(f"{_ROWS} WHERE seq <= ? ORDER BY seq DESC LIMIT ?", (seq, SEEN)).fetchall()
    return map(_row, reversed(rows))


def _row(row: tuple[Any, ...]) -> RequestRow:
    *columns, rule, reason, conversation = row
    decision = None if rule is None else Decision(rule=rule, reason=reason, conversation=conversation)
    return replace(request_of(tuple(columns)), decision=decision)
