"""Single requests: the newest that match, one with its attempts, and those that have ended since."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds
from llmgw.domain.ledger import AttemptState, CacheVerdict, RequestRow, show_id
from llmgw.domain.money import NanoUSD
from llmgw.domain.usage import Usage
from llmgw.errors import NotFound
from llmgw.storage.database import Database, troubles
from llmgw.storage.rows import STATES, USAGE, read_usage

if TYPE_CHECKING:
    from collections.abc import Collection

_FIELDS = (
    "id, started_at, tenant, user, key_id, key_name, tags, surface, stream, model_asked, provider, model, tier, "
    "cache, status, error, attempts, cost, premium_cost, ttft_us, latency_us, finish_reason, saved"
)
COLUMNS = f"seq, {_FIELDS.replace('id, ', 'requests.id, ', 1)}, {USAGE}, complete"
_ATTEMPT = (
    "attempt, state, started_at, ended_at, provider, model, tier, held_cost, status, error, cost, premium_cost, "
    "price, ttft_us, latency_us, finish_reason, upstream_id"
)

SORTS = {
    "time": "",
    "cost": "cost DESC,",
    "latency": "latency_us DESC,",
    "ttft": "ttft_us DESC,",
    "tokens": "input_tokens + output_tokens DESC,",
}
"""What a list can be sorted by."""


class Filter(Struct, frozen=True, kw_only=True):
    """Which requests to list; everything given must hold.

    ``model`` is a glob over the target's ``model`` or ``provider/model``, over the asked name where no target was
    reached. ``status`` is ``ok``, ``error``, an HTTP status or an error code. ``min_cost`` is nano-dollars.
    """

    key: str | None = None
    model: str | None = None
    provider: str | None = None
    tier: str | None = None
    tag: str | None = None
    status: str | None = None
    min_cost: NanoUSD | None = None
    since: Nanoseconds | None = None
    until: Nanoseconds | None = None


class Page(Struct, frozen=True):
    """Rows of a list, how many match in all, and the mark from which a tail goes on."""

    rows: tuple[RequestRow, ...]
    total: int
    cursor: int


class AttemptRow(Struct, frozen=True, kw_only=True, gc=False):
    """One physical attempt. ``held_cost`` is what was set aside for it; ``ended_at`` is None while it is in flight."""

    attempt: int
    state: AttemptState
    started_at: Nanoseconds
    ended_at: Nanoseconds | None
    provider: str
    model: str
    tier: str
    held_cost: NanoUSD | None
    status: int | None
    error: str
    usage: Usage
    cost: NanoUSD | None
    premium_cost: NanoUSD | None
    price: str
    ttft_us: int | None
    latency_us: int | None
    finish_reason: str
    upstream_id: str


class Detail(Struct, frozen=True):
    """A request with its attempts; ``request`` is None while it is in flight."""

    request: RequestRow | None
    attempts: tuple[AttemptRow, ...]


class Requests:
    """Rows out of one database; usable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self, wanted: Filter = Filter(), limit: int = 50, sort: str = "time") -> Page:  # noqa: B008 (frozen)
        """Those that match, the newest first; ``sort`` (one of ``SORTS``) puts those with the most of it before."""
        with troubles(self._database.path):
            connection = self._database.reader()
            where, values = self._where(wanted)
            cursor = self._last()
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM requests JOIN dimensions ON dimensions.id = dimension "  # noqa: S608
                f"WHERE {where} ORDER BY {SORTS[sort]} started_at DESC, seq DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
            total = len(rows)
            if total == limit:
                sql = f"SELECT count(*) FROM requests WHERE {where}"  # noqa: S608
                (total,) = connection.execute(sql, values).fetchone()
            return Page(tuple(map(request_of, rows)), total, cursor)

    def ended_after(self, cursor: int, wanted: Filter = Filter(), limit: int = 1000) -> Page:  # noqa: B008 (frozen)
        """Those that match and have ended after the cursor's page was read, in the order in which they ended."""
        with troubles(self._database.path):
            where, values = self._where(wanted)
            last = self._last()
            rows = self._database.reader().execute(
                f"SELECT {COLUMNS} FROM requests JOIN dimensions ON dimensions.id = dimension "  # noqa: S608
                f"WHERE seq > ? AND seq <= ? AND {where} ORDER BY seq LIMIT ?",
                (cursor, last, *values, limit),
            )
            found = rows.fetchall()
            if len(found) == limit:
                last = found[-1][0]
            return Page(tuple(map(request_of, found)), len(found), last)

    def ended(self, number: int) -> bool | None:
        """Whether a request has ended; None where the ledger knows nothing of it."""
        sql = "SELECT EXISTS (SELECT 1 FROM requests WHERE id = ?), EXISTS (SELECT 1 FROM attempts WHERE request_id = ?)"
        with troubles(self._database.path):
            ended, begun = self._database.reader().execute(sql, (number, number)).fetchone()
        return bool(ended) if ended or begun else None

    def show(self, number: int) -> Detail:
        """One request by id, also while it is in flight; NotFound when there is none."""
        with troubles(self._database.path):
            connection = self._database.reader()
            row = connection.execute(
                f"SELECT {COLUMNS} FROM requests JOIN dimensions ON dimensions.id = dimension "  # noqa: S608
                "WHERE requests.id = ?",
                (number,),
            ).fetchone()
            attempts = connection.execute(
                f"SELECT {_ATTEMPT}, {USAGE}, complete FROM attempts "  # noqa: S608
                "JOIN dimensions ON dimensions.id = dimension WHERE request_id = ? ORDER BY attempt",
                (number,),
            ).fetchall()
        if row is None and not attempts:
            raise NotFound(
                f"there is no request {show_id(number)}", hint="`llmgw request list` shows the newest"
            )
        return Detail(None if row is None else request_of(row), tuple(map(_attempt, attempts)))

    def attempts_of(self, numbers: Collection[int]) -> dict[int, list[AttemptRow]]:
        """The attempts of each of these requests, in their order."""
        found: dict[int, list[AttemptRow]] = {}
        with troubles(self._database.path):
            rows = self._database.reader().execute(
                f"SELECT request_id, {_ATTEMPT}, {USAGE}, complete FROM attempts "  # noqa: S608 (own columns)
                "JOIN dimensions d ON d.id = dimension "
                "WHERE request_id IN (SELECT value FROM json_each(?)) ORDER BY request_id, attempt",
                (str(list(numbers)),),
            )
            for number, *row in rows:
                found.setdefault(number, []).append(_attempt(tuple(row)))
        return found

    def _last(self) -> int:
        (last,) = self._database.reader().execute("SELECT max(seq) FROM requests").fetchone()
        return last or 0

    def _where(self, wanted: Filter) -> tuple[str, tuple[Any, ...]]:
        """The condition and its values. Words are looked up in the dimensions first: there are few of those."""
        terms, values = ["TRUE"], list[Any]()
        if any((wanted.key, wanted.model, wanted.provider, wanted.tier, wanted.tag)):
            matching, untargeted = self._dimensions(wanted)
            term = f"dimension IN ({', '.join(map(str, matching))})"
            if wanted.model and untargeted:
                term = f"({term} OR dimension IN ({', '.join(map(str, untargeted))}) AND model_asked GLOB ?)"
                values.append(wanted.model)
            terms.append(term)
        if wanted.status == "ok":
            terms.append("error = ''")
        elif wanted.status == "error":
            terms.append("error <> ''")
        elif wanted.status is not None:
            column = "status" if wanted.status.isdecimal() else "error"
            # error codes and the statuses of failures lie in the small index of failed requests
            failed = column == "error" or int(wanted.status) >= 400
            terms.append(f"{column} = ?" + (" AND error <> ''" if failed else ""))
            values.append(int(wanted.status) if column == "status" else wanted.status)
        for sql, value in (
            ("cost >= ?", wanted.min_cost),
            ("started_at >= ?", wanted.since),
            ("started_at < ?", wanted.until),
        ):
            if value is not None:
                terms.append(sql)
                values.append(value)
        return " AND ".join(terms), tuple(values)

    def _dimensions(self, wanted: Filter) -> tuple[list[int], list[int]]:
        """The dimensions that match, and those that match but for the model because no target was reached."""
        matching, untargeted = [], []
        sql = "SELECT id, key_name, provider, model, tier, tags FROM dimensions"
        for number, key, provider, model, tier, tags in self._database.reader().execute(sql):
            if (
                wanted.key not in {None, key}
                or wanted.provider not in {None, provider}
                or wanted.tier not in {None, tier}
                or (wanted.tag is not None and wanted.tag not in tags.split(","))
            ):
                continue
            names = (model, f"{provider}/{model}")
            if wanted.model is None or any(fnmatchcase(name, wanted.model) for name in names if model):
                matching.append(number)
            elif not model:
                untargeted.append(number)
        return matching, untargeted


def request_of(row: tuple[Any, ...]) -> RequestRow:
    """The request of a row of `COLUMNS`."""
    names = _FIELDS.split(", ")
    values = dict(zip(names, row[1:], strict=False))
    values["stream"] = bool(values["stream"])
    values["cache"] = CacheVerdict(values["cache"])
    return RequestRow(**values, usage=read_usage(row[1 + len(names) :]))


def _attempt(row: tuple[Any, ...]) -> AttemptRow:
    names = _ATTEMPT.split(", ")
    values = dict(zip(names, row, strict=False))
    values["state"] = STATES[values["state"]]
    return AttemptRow(**values, usage=read_usage(row[len(names) :]))
