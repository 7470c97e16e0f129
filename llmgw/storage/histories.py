"""What lies behind a dashboard that is opened: sums of a window, of today and of the month, and the newest requests.

All is read in one moment and told with the number of the last row in it; also as it stood when an earlier row was the
last. Whole quarters of an hour come from the roll-ups, what these do not tell apart from the rows.
"""

from __future__ import annotations

from collections import defaultdict
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from llmgw.domain.ledger import first_id
from llmgw.domain.pulse import BOUNDS, Bucket, Counts, Line, Seen, Spread
from llmgw.domain.route import DOWNGRADED, ESCALATED, Decision
from llmgw.rules.picture import MINUTE, WINDOWS
from llmgw.rules.tallying import SEEN, Callers, line_of, seen_of
from llmgw.rules.windows import HOUR, Window, bucket, lately
from llmgw.storage.database import Database, troubles
from llmgw.storage.requests import COLUMNS, request_of
from llmgw.storage.rows import BUCKET, DIMENSION

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from typing import Any
    from zoneinfo import ZoneInfo

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.ledger import RequestRow
    from llmgw.domain.money import NanoUSD

REACH = 31 * 24 * HOUR
"""How far back any figure reaches."""
LAST = 2**63 - 1

Sums = dict[tuple[int, int, str], Counts]
"""By beginning of a stretch, dimension and declared route."""

_SUMS = (
    "sum(requests), sum(errors), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), "
    "sum(cache_write_tokens), sum(reasoning_tokens), sum(estimated), sum(cost), sum(premium_cost), sum(saving), "
    "sum(unknown_cost), sum(latency_us), sum(ttft_us), sum(ttft_count), sum(saved)"
)
_OF_ROLLUPS = (
    f"SELECT bucket / :step * :step, dimension, '', {_SUMS} FROM rollups "  # noqa: S608 (own columns)
    "WHERE bucket >= :since AND bucket < :until GROUP BY 1, 2"
)
_OF_ROWS = f"""SELECT started_at / :step * :step, dimension, coalesce(rule, ''), count(*), sum(error <> ''),
    sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens),
    sum(estimated), sum(coalesce(cost, 0)), sum(coalesce(premium_cost, 0)), sum(coalesce(premium_cost - cost, 0)),
    sum(cost IS NULL), sum(latency_us), sum(coalesce(ttft_us, 0)), count(ttft_us), sum(saved), sum(attempts > 1),
    sum(coalesce(reason LIKE '{DOWNGRADED}%', 0)), sum(coalesce(reason LIKE '{ESCALATED}%', 0))
    FROM requests LEFT JOIN decisions ON request_id = requests.id
    WHERE {{}} GROUP BY 1, 2, 3"""  # noqa: S608 (own words)
# a plus keeps SQLite from reading all rows up to a number, where those since a moment are few
_BEGAN = _OF_ROWS.format("started_at >= :since AND +seq <= :seq")
_LATER = _OF_ROWS.format("+started_at >= :since AND +started_at < :until AND seq > :seq")
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
    """Reads the pasts of one ledger, one at a time; what only rows know is remembered from one to the next."""

    def __init__(self, database: Database, callers: Callers) -> None:
        self._database = database
        self._callers = callers
        self._apart: Sums = {}
        """What has to be added to the roll-ups, by the quarter of an hour."""
        self._one_at_a_time = Lock()
        self._since: Nanoseconds = LAST
        self._read_to = 0

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
        names = _names(connection)
        self._look_apart(connection, now - REACH, last)
        spans = {"month": (month.start_ns, month.end_ns, LAST), "today": (day.start_ns, day.end_ns, LAST)}
        if step % BUCKET == 0:
            spans["window"] = since, until, step
        found = {name: self._whole(connection, *span, seq, last) for name, span in spans.items()}
        if "window" not in found:
            found["window"] = _sums(connection, _BEGAN, step=step, since=since, seq=seq)
        lines = {name: self._lines(sums, names) for name, sums in found.items()}
        steps: dict[Nanoseconds, list[Line]] = defaultdict(list)
        for line in lines["window"]:
            steps[line.began].append(replace(line, began=0))
        hour = now - HOUR - now % MINUTE + MINUTE
        return Past(
            seq=seq,
            since=since,
            step=step,
            buckets=tuple(Bucket(at=at, lines=tuple(each)) for at, each in sorted(steps.items())),
            today=lines["today"],
            month=lines["month"],
            last_month=_cost(
                connection, bucket(Window.MONTH, month.start_ns - 1, zone).start_ns, month.start_ns
            ),
            hour=tuple(connection.execute(_HOUR, {"since": lately(now), "seq": seq})),
            spreads=_spreads(connection, hour, seq, names),
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
    ) -> Sums:
        """Sums of whole quarters of an hour, in steps of some, as they were with the row ``seq``."""
        sums = _sums(connection, _OF_ROLLUPS, step=step, since=since, until=until)
        for (at, dimension, rule), counts in self._apart.items():
            if since <= at < until:
                _add(sums, (at // step * step, dimension, rule), counts)
        if seq < last:
            later = _sums(connection, _LATER, step=step, since=since, until=until, seq=seq)
            for kind, counts in later.items():
                _add(sums, kind, Counts() - counts)
        return {kind: counts for kind, counts in sums.items() if counts.requests}

    def _look_apart(self, connection: sqlite3.Connection, since: Nanoseconds, last: int) -> None:
        """Learn of requests since the last look which of them the roll-ups do not tell apart from others."""
        if last < self._read_to or since < self._since:  # another ledger in its place, or further back
            self._apart, self._since, self._read_to = {}, since - since % BUCKET, 0
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
            for (at, dimension, rule), counts in _sums(connection, sql, **given).items():
                told = replace(counts, fallbacks=0, downgraded=0, escalated=0)  # what the roll-ups have of it
                _add(self._apart, (at, dimension, ""), Counts() - told)
                _add(self._apart, (at, dimension, rule), counts)
        self._read_to = last

    def _lines(self, sums: Sums, names: dict[int, tuple[str, ...]]) -> tuple[Line, ...]:
        """Lines that began where their stretches do, the dearest first."""
        dearest = sorted(sums.items(), key=lambda each: (-each[1].cost, -each[1].requests))
        return self._callers.fold(
            line_of((at, *names[dimension], rule), counts) for (at, dimension, rule), counts in dearest
        )


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
            "SELECT max(seq) FROM requests WHERE started_at > ? AND started_at + latency_us * 1000 <= ?",
            (began, at),
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
    "WHERE started_at >= :since AND seq <= :seq GROUP BY 1"
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
    connection: sqlite3.Connection, since: Nanoseconds, seq: int, names: dict[int, tuple[str, ...]]
) -> tuple[Spread, ...]:
    rows = connection.execute(
        f"SELECT started_at / {MINUTE} * {MINUTE}, dimension, {_class('latency_us')}, "  # noqa: S608 (own words)
        f"CASE WHEN ttft_us IS NULL THEN NULL ELSE {_class('ttft_us')} END, count(*) FROM requests "
        "WHERE started_at >= ? AND +seq <= ? GROUP BY 1, 2, 3, 4",
        (since, seq),
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


def _names(connection: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    """The words of each dimension, in the order of a line."""
    columns = DIMENSION.replace("key_id, ", "")
    return {
        number: tuple(words)
        for number, *words in connection.execute(f"SELECT id, {columns} FROM dimensions")  # noqa: S608
    }


def _sums(connection: sqlite3.Connection, sql: str, **given: int) -> Sums:
    return {
        (at, dimension, rule): Counts(*counts)
        for at, dimension, rule, *counts in connection.execute(sql, given)
    }


def _add(sums: Sums, kind: tuple[int, int, str], counts: Counts) -> None:
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
