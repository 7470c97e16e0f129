"""What was spent: sums over any stretch of time, read from the roll-ups only, so they cost the same at any size.

Figures are whole quarters of an hour, in which a request counts where it started.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from operator import add
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds
from llmgw.domain.money import NanoUSD
from llmgw.rules.windows import Window, bucket
from llmgw.storage.database import Database, troubles
from llmgw.storage.rows import BUCKET, SUMS

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

GROUPS = {
    "model": "provider || '/' || model",
    "key": "key_name",
    "tier": "tier",
    "tag": "tags",
    "provider": "provider",
    "tenant": "tenant",
    "user": "user",
    "surface": "surface",
    "cache": "cache",
}
"""What a report can be broken down by."""

OF_CALLERS = {"key", "tag", "tenant", "user"}
"""Groups of which only the roll-ups by caller know."""

_WHOLE, _OVERALL = (
    f"SELECT dimension, {', '.join(f'sum({name})' for name in SUMS.split(', '))} FROM {table} "  # noqa: S608
    "WHERE bucket >= ? AND bucket < ? GROUP BY dimension"
    for table in ("rollups", "overall")
)


_BY_QUARTER = (
    f"SELECT bucket, dimension, {SUMS} FROM rollups WHERE bucket >= ? AND bucket < ? ORDER BY bucket"  # noqa: S608
)
_COST = SUMS.split(", ").index("cost")


class Totals(Struct, frozen=True, kw_only=True, gc=False):
    """Sums over requests. ``cost`` leaves out ``unknown_cost`` requests whose price nobody knows.

    ``saving`` is premium cost minus cost, over requests where both are known, ``saved`` what the calls that a cache
    answered would have cost. ``ttft_us`` runs over ``ttft_count``
    requests, ``latency_us`` over all.
    """

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    searches: int = 0
    estimated: int = 0
    cost: NanoUSD = 0
    premium_cost: NanoUSD = 0
    saving: NanoUSD = 0
    unknown_cost: int = 0
    latency_us: int = 0
    ttft_us: int = 0
    ttft_count: int = 0
    saved: NanoUSD = 0

    @property
    def mean_latency_us(self) -> int | None:
        return self.latency_us // self.requests if self.requests else None

    @property
    def mean_ttft_us(self) -> int | None:
        return self.ttft_us // self.ttft_count if self.ttft_count else None


class Line(Struct, frozen=True, kw_only=True):
    """One line of a report.

    ``period`` is its ISO 8601 name (``2026-10-25``, ``2026-W43``, ``2026-10``). ``group`` is empty without ``by``,
    and where there is none: for a request that reached no target, say, or has no tag.
    """

    period: str
    start: Nanoseconds
    end: Nanoseconds
    group: str
    totals: Totals
    part: str = ""


class Session:
    """What one key did with one set of tags, without a long pause; ``models`` by what each cost."""

    __slots__ = ("_sums", "end", "key", "models", "start", "tags")

    def __init__(self, key: str, tags: str, start: Nanoseconds) -> None:
        self.key = key
        self.tags = tags
        self.start = start
        self.end = start
        self.models: dict[str, NanoUSD] = {}
        self._sums: list[tuple[int, ...]] = []

    def add(self, model: str, sums: tuple[int, ...]) -> None:
        if model:
            self.models[model] = self.models.get(model, 0) + sums[_COST]
        self._sums.append(sums)

    @property
    def totals(self) -> Totals:
        return _totals(self._sums)


class Reports:
    """Sums out of one database; usable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def totals(self, since: Nanoseconds = 0, until: Nanoseconds = 2**63 - 1) -> Totals:
        """Everything from ``since`` to before ``until``, widened to whole quarters of an hour."""
        return _totals(list(self._sums(since, until, _OVERALL).values()))

    def current(self, window: Window | str, now: Nanoseconds, zone: ZoneInfo) -> Totals:
        """The day, week or month that is running in that zone."""
        period = bucket(window, now, zone)
        return self.totals(period.start_ns, period.end_ns)

    def report(
        self,
        window: Window | str,
        zone: ZoneInfo,
        since: Nanoseconds,
        until: Nanoseconds,
        by: str | None = None,
        within: str | None = None,
    ) -> list[Line]:
        """One line for each period and group that saw a request, oldest first, then the dearest first.

        ``by`` is one of ``GROUPS``, ``within`` another one that splits each group into parts. Grouped by tag, a
        request counts once for each of its tags.
        """
        with troubles(self._database.path):
            first, last = (
                self._database.reader().execute("SELECT min(bucket), max(bucket) FROM overall").fetchone()
            )
        names, parts = self._names(by), self._names(within)
        sql = _WHOLE if {by, within} & OF_CALLERS else _OVERALL
        lines: list[Line] = []
        at, end = (0, 0) if first is None else (max(since, first), min(until, last + BUCKET))
        while at < end:
            period = bucket(window, at, zone)
            groups: dict[tuple[str, str], list[tuple[int, ...]]] = defaultdict(list)
            for dimension, sums in self._sums(at, min(period.end_ns, end), sql).items():
                for name in product(names.get(dimension, ("",)), parts.get(dimension, ("",))):
                    groups[name].append(sums)
            found = [
                Line(
                    period=period.id,
                    start=period.start_ns,
                    end=period.end_ns,
                    group=name,
                    totals=_totals(sums),
                    part=part,
                )
                for (name, part), sums in groups.items()
            ]
            lines += sorted(found, key=lambda line: (-line.totals.cost, -line.totals.requests, line.group))
            at = period.end_ns
        return lines

    def sessions(self, since: Nanoseconds, until: Nanoseconds, gap: Nanoseconds) -> list[Session]:
        """Stretches in which one key called with one set of tags and paused for less than ``gap``, newest first.

        They begin and end with whole quarters of an hour, so a pause is told from none to a quarter of an hour.
        """
        with troubles(self._database.path):
            connection = self._database.reader()
            who = {
                number: (key, tags, f"{provider}/{model}" if model else "")
                for number, key, tags, provider, model in connection.execute(
                    "SELECT id, key_name, tags, provider, model FROM dimensions"
                )
            }
            rows = connection.execute(_BY_QUARTER, (since - since % BUCKET, until)).fetchall()
        running: dict[tuple[str, str], Session] = {}
        ended: list[Session] = []
        for at, dimension, *sums in rows:
            key, tags, model = who[dimension]
            session = running.get((key, tags))
            if session is None or at - session.end >= gap:
                if session is not None:
                    ended.append(session)
                session = running[key, tags] = Session(key, tags, at)
            session.end = at + BUCKET
            session.add(model, tuple(sums))
        return sorted([*ended, *running.values()], key=lambda each: (-each.end, -each.start, each.key))

    def names(self, by: str) -> list[str]:
        """Every group of a kind that was ever seen."""
        return sorted({name for names in self._names(by).values() for name in names if name})

    def _sums(self, since: Nanoseconds, until: Nanoseconds, sql: str) -> dict[int, tuple[int, ...]]:
        with troubles(self._database.path):
            rows = self._database.reader().execute(sql, (since - since % BUCKET, until))
            return {dimension: sums for dimension, *sums in rows}

    def _names(self, by: str | None) -> dict[int, tuple[str, ...]]:
        """The groups of each dimension."""
        if by is None:
            return {}
        with troubles(self._database.path):
            rows = self._database.reader().execute(f"SELECT id, {GROUPS[by]} FROM dimensions")  # noqa: S608
            if by == "tag":
                return {number: tuple(tags.split(",")) for number, tags in rows}
            return {number: ("" if name == "/" else name,) for number, name in rows}


def _totals(sums: list[tuple[int, ...]]) -> Totals:
    whole: tuple[int, ...] = (0,) * (SUMS.count(",") + 1)
    for part in sums:
        whole = tuple(map(add, whole, part))
    return Totals(**dict(zip(SUMS.split(", "), whole, strict=True)))
