"""How the ledger's words lie in its rows: columns, their order, and the sums that roll-ups keep."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from llmgw.domain.ledger import AttemptState, CacheVerdict, Hold, RequestRow
from llmgw.domain.usage import Usage
from llmgw.storage.decisions import INSERT_DECISION, decision_values

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

BUCKET = 900 * 10**9
"""A quarter of an hour, of which every time zone's offset is a multiple."""
DAY = 86_400 * 10**9
"""A day in UTC."""

STATES = tuple(AttemptState)
"""Rows hold a state's index in this."""
CODES = {state: code for code, state in enumerate(STATES)}

DIMENSION = "tenant, user, key_id, key_name, tags, surface, provider, model, tier, cache"
USAGE = (
    "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, "
    "input_audio_tokens, output_audio_tokens, searches, estimated"
)
REQUEST = (
    f"id, dimension, started_at, model_asked, stream, status, error, attempts, {USAGE}, complete, cost, "
    "premium_cost, ttft_us, latency_us, finish_reason, saved"
)
SUMS = f"requests, errors, {USAGE}, cost, premium_cost, saving, unknown_cost, latency_us, ttft_us, ttft_count, saved"
"""The measures of a roll-up, all sums: ``saving`` runs over requests whose cost and premium cost are both known."""

Key = tuple[str, str, int, str, str, str, str, str, str, str]


def marks(columns: str) -> str:
    """As many question marks as there are columns."""
    return ", ".join("?" * (columns.count(",") + 1))


INSERT_REQUESTS = {
    count: f"INSERT INTO requests ({REQUEST}) VALUES {', '.join([f'({marks(REQUEST)})'] * count)}"  # noqa: S608 (own columns)
    for count in (32, 16, 8, 4, 2, 1)
}
"""By how many rows they insert: each statement gives the interpreter away, which under load costs as much as a row."""
ADD_TO_ROLLUP, ADD_OVERALL = (
    f"INSERT INTO {table} (bucket, dimension, {SUMS}) VALUES (?, ?, {marks(SUMS)}) "  # noqa: S608 (own columns)
    "ON CONFLICT (bucket, dimension) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS.split(", "))
    for table in ("rollups", "overall")
)
ADD_TO_DAY = (
    "INSERT INTO days VALUES (?, ?, ?, ?) ON CONFLICT (dimension, day) DO UPDATE SET "
    "cost = cost + excluded.cost, tokens = tokens + excluded.tokens"
)
_INPUT, _OUTPUT, _COST = (SUMS.split(", ").index(name) for name in ("input_tokens", "output_tokens", "cost"))


class Dimensions:
    """The numbers of dimension rows, made when first seen. ``epoch`` tells when rows may have been taken back."""

    def __init__(self, epoch: Callable[[], int] = lambda: 0) -> None:
        self._epoch = epoch
        self._seen = epoch()
        self._numbers: dict[Key, int] = {}

    def number(self, connection: sqlite3.Connection, key: Key) -> int:
        if self._seen != self._epoch() or len(self._numbers) > 50_000:
            self._seen = self._epoch()
            self._numbers.clear()
        number = self._numbers.get(key)
        if number is None:
            connection.execute(
                f"INSERT INTO dimensions ({DIMENSION}) VALUES ({marks(DIMENSION)}) ON CONFLICT DO NOTHING",  # noqa: S608
                key,
            )
            where = DIMENSION.replace(", ", " = ? AND ") + " = ?"
            (number,) = connection.execute(f"SELECT id FROM dimensions WHERE {where}", key).fetchone()  # noqa: S608
            self._numbers[key] = number
        return number


def dimension_of(row: Hold | RequestRow) -> Key:
    """An attempt's caches are not known when it starts: it counts as one that did not ask them."""
    cache = row.cache if isinstance(row, RequestRow) else CacheVerdict.BYPASS
    return (
        row.tenant,
        row.user,
        row.key_id,
        row.key_name,
        row.tags,
        row.surface,
        row.provider,
        row.model,
        row.tier,
        cache,
    )


def without_caller(key: Key) -> Key:
    """The dimension under which ``overall`` counts."""
    return "", "", 0, "", "", *key[5:]


def usage_values(usage: Usage) -> tuple[int, ...]:
    """In the order of ``USAGE`` and ``complete``."""
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.reasoning_tokens,
        usage.input_audio_tokens,
        usage.output_audio_tokens,
        usage.searches,
        usage.estimated,
        usage.complete,
    )


def read_usage(values: Sequence[int]) -> Usage:
    """The usage in eleven columns, ``USAGE`` and ``complete``."""
    return Usage(
        input_tokens=values[0],
        output_tokens=values[1],
        cache_read_tokens=values[2],
        cache_write_tokens=values[3],
        cache_write_1h_tokens=values[4],
        reasoning_tokens=values[5],
        input_audio_tokens=values[6],
        output_audio_tokens=values[7],
        searches=values[8],
        estimated=bool(values[9]),
        complete=bool(values[10]),
    )


def write_requests(
    connection: sqlite3.Connection, dimensions: Dimensions, requests: Iterable[RequestRow]
) -> int:
    """Insert the rows and add them to the roll-ups; requests of equal dimensions cost one statement there.

    The number of the last row; those before it count up to it without a gap.
    """
    rows: list[tuple[Any, ...]] = []
    decisions: list[tuple[Any, ...]] = []
    counted: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    targets: dict[int, int] = {}
    for request in requests:
        key = dimension_of(request)
        dimension = dimensions.number(connection, key)
        if dimension not in targets:
            targets[dimension] = dimensions.number(connection, without_caller(key))
        usage, cost, premium, ttft = (
            usage_values(request.usage),
            request.cost,
            request.premium_cost,
            request.ttft_us,
        )
        rows.append(
            (
                request.id,
                dimension,
                request.started_at,
                request.model_asked,
                request.stream,
                request.status,
                request.error,
                request.attempts,
                *usage,
                cost,
                premium,
                ttft,
                request.latency_us,
                request.finish_reason,
                request.saved,
            )
        )
        if request.decision is not None:
            decisions.append(decision_values(request.id, request.decision))
        counts = (
            1,
            request.error != "",
            *usage[:-1],
            cost or 0,
            premium or 0,
            premium - cost if premium is not None and cost is not None else 0,
            cost is None,
            request.latency_us,
            ttft or 0,
            ttft is not None,
            request.saved,
        )
        bucket = (request.started_at - request.started_at % BUCKET, dimension)
        alike = counted.get(bucket)
        if alike is None:
            counted[bucket] = [counts]
        else:
            alike.append(counts)
    sums = {bucket: tuple(map(sum, zip(*alike, strict=True))) for bucket, alike in counted.items()}
    _insert(connection, rows)
    (last,) = connection.execute("SELECT last_insert_rowid()").fetchone()
    if decisions:
        connection.executemany(INSERT_DECISION, decisions)
    connection.executemany(ADD_TO_ROLLUP, [(*bucket, *counts) for bucket, counts in sums.items()])
    add_sums(connection, targets, sums)
    return int(last)


def _insert(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    done = 0
    for count, statement in INSERT_REQUESTS.items():
        while len(rows) - done >= count:
            connection.execute(statement, list(chain.from_iterable(rows[done : done + count])))
            done += count


def add_sums(
    connection: sqlite3.Connection, targets: dict[int, int], sums: dict[tuple[int, int], tuple[int, ...]]
) -> None:
    """Add what was added to roll-ups to those without callers, ``targets`` of dimensions, and to the days."""
    connection.executemany(
        ADD_OVERALL, [(bucket, targets[dimension], *counts) for (bucket, dimension), counts in sums.items()]
    )
    connection.executemany(
        ADD_TO_DAY,
        [
            (dimension, bucket - bucket % DAY, counts[_COST], counts[_INPUT] + counts[_OUTPUT])
            for (bucket, dimension), counts in sums.items()
        ],
    )
