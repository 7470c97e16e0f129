"""What a local model would have made of calls that were paid for: one row for each call that it answered as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds
from llmgw.domain.money import NanoUSD
from llmgw.storage.database import troubles

if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection

    from llmgw.storage.database import Database

_COLUMNS = "request_id, at, tier, target, shadow, score, how, cost, latency_us, calls, spent"


class Shadow(Struct, frozen=True, kw_only=True):
    """One call: who answered its caller at what cost, and how well ``shadow`` did.

    ``score`` is 1 for an answer that serves as well and 0 for one that does not, by ``how``; None where that is open. ``calls``
    and ``spent`` are the calls that might have been chosen since the row before, this one included, and what they cost.
    """

    request_id: int
    at: Nanoseconds
    tier: str
    target: str
    shadow: str
    score: float | None
    how: str
    cost: NanoUSD | None
    latency_us: int
    calls: int
    spent: NanoUSD


class Tally(Struct, frozen=True, kw_only=True):
    """Sums over rows; ``good`` and ``open`` are those whose score is 1, and those that have none.

    ``weight`` is as many rows of equal cost as tell no less of shares of the cost than these do (Kish 1965).
    """

    tier: str
    sampled: int
    good: int
    open: int
    cost: NanoUSD
    good_cost: NanoUSD
    open_cost: NanoUSD
    calls: int
    spent: NanoUSD
    weight: float


class Judged(Struct, frozen=True, kw_only=True):
    """Calls that a tier answered for its callers, those of which is known how good that was, and the bad ones."""

    calls: int
    known: int
    bad: int


def write_shadows(connection: Connection, shadows: Iterable[Shadow]) -> None:
    """Write rows down, each in place of an earlier one of the same request."""
    connection.executemany(
        f"INSERT OR REPLACE INTO shadows ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [tuple(getattr(each, name) for name in _COLUMNS.split(", ")) for each in shadows],
    )


class Shadows:
    """The rows of one database; usable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, number: int) -> Shadow | None:
        """What a local model made of a request; None where it was not asked."""
        with troubles(self._database.path):
            sql = f"SELECT {_COLUMNS} FROM shadows WHERE request_id = ?"  # noqa: S608 (own columns)
            row = self._database.reader().execute(sql, (number,)).fetchone()
        return None if row is None else Shadow(**dict(zip(_COLUMNS.split(", "), row, strict=True)))

    def tallies(self, since: Nanoseconds) -> list[Tally]:
        """Sums by the tier that answered the callers, of calls from a moment on."""
        with troubles(self._database.path):
            sql = (
                "SELECT tier, count(*), sum(score IS NOT NULL AND score >= 0.5), sum(score IS NULL), sum(coalesce(cost, 0)),"
                " sum(CASE WHEN score >= 0.5 THEN coalesce(cost, 0) ELSE 0 END),"
                " sum(CASE WHEN score IS NULL THEN coalesce(cost, 0) ELSE 0 END), sum(calls), sum(spent),"
                " coalesce(total(cost) * total(cost) / nullif(total(1.0 * cost * cost), 0), 0)"
                " FROM shadows WHERE at >= ? GROUP BY tier ORDER BY tier"
            )
            rows = self._database.reader().execute(sql, (since,)).fetchall()
        return [Tally(**dict(zip(Tally.__struct_fields__, row, strict=True))) for row in rows]

    def judged(self, tier: str, since: Nanoseconds) -> Judged:
        """How calls fared that the score sent to a tier; bad is an outcome below one half.

        What a cascade made of them does not count: an answer that passed is not known to be good, one that did not reached
        nobody.
        """
        with troubles(self._database.path):
            sql = (
                "SELECT count(*), count(o.score), coalesce(sum(o.score < 0.5), 0) FROM decisions d"
                " JOIN requests r ON r.id = d.request_id LEFT JOIN outcomes o ON o.request_id = d.request_id AND o.tier = ?1"
                " AND o.source <> 'cascade'"
                " WHERE d.tier = ?1 AND r.started_at >= ?2 AND d.gain IS NOT NULL"
            )
            row = self._database.reader().execute(sql, (tier, since)).fetchone()
        return Judged(**dict(zip(Judged.__struct_fields__, row, strict=True)))
