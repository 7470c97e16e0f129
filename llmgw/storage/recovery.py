"""What a dead process left open is closed: unsent holds are released, sent ones stay charged at their hold."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from llmgw.domain.ledger import CacheVerdict, RequestRow
from llmgw.domain.usage import Usage
from llmgw.storage.chain import extend
from llmgw.storage.rows import DIMENSION, Dimensions, write_requests

if TYPE_CHECKING:
    import sqlite3

    from llmgw.domain.clock import Nanoseconds

ORPHANED = "orphaned"
"""The error code of a request whose end nobody saw."""

_RELEASE = """UPDATE attempts SET state = 3, cost = 0, ended_at = :now, status = 0, error = :error
    WHERE open = 1 AND boot <> :boot AND state = 0"""
_ORPHAN = """UPDATE attempts SET state = 4, cost = held_cost, estimated = 1, complete = 0, ended_at = :now,
    status = 0, error = :error WHERE open = 1 AND boot <> :boot AND state = 1"""
_OPEN = f"""SELECT request_id, started_at, model_asked, stream, cost, {DIMENSION}
    FROM attempts JOIN dimensions ON dimensions.id = dimension
    WHERE request_id IN (SELECT request_id FROM attempts WHERE open = 1 AND boot <> ?)
    AND request_id NOT IN (SELECT id FROM requests)
    ORDER BY request_id, attempt"""  # noqa: S608 (own columns)
_CLOSE = "UPDATE attempts SET open = 0 WHERE open = 1 AND boot <> ?"


class Recovered(NamedTuple):
    """How many attempts were released and orphaned, and how many requests got their row; false when none."""

    released: int
    orphaned: int
    requests: int

    def __bool__(self) -> bool:
        return any(self)


def recover(connection: sqlite3.Connection, boot: int, now: Nanoseconds) -> Recovered:
    """Close every attempt that another boot than ``boot`` left open, in one transaction.

    A request that had no row gets one: error ``orphaned``, status 0, estimated, at the sum of its attempts.
    """
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        values = {"now": now, "boot": boot, "error": ORPHANED}
        released = connection.execute(_RELEASE, values).rowcount
        orphaned = connection.execute(_ORPHAN, values).rowcount
        attempts = connection.execute(_OPEN, (boot,)).fetchall()
        requests = [_request(list(rows)) for _, rows in groupby(attempts, itemgetter(0))]
        write_requests(connection, Dimensions(), requests)
        connection.execute(_CLOSE, (boot,))
        if requests:
            extend(connection, len(requests))
        connection.execute(
            "UPDATE boots SET stopped_at = ? WHERE id <> ? AND stopped_at IS NULL", (now, boot)
        )
    return Recovered(released, orphaned, len(requests))


def _request(attempts: list[tuple[Any, ...]]) -> RequestRow:
    costs = [attempt[4] for attempt in attempts]
    number, _, asked, stream, _, *dimension = attempts[-1]
    tenant, user, key_id, key_name, tags, surface, provider, model, tier, cache = dimension
    return RequestRow(
        id=number,
        started_at=min(attempt[1] for attempt in attempts),
        tenant=tenant,
        user=user,
        key_id=key_id,
        key_name=key_name,
        tags=tags,
        surface=surface,
        stream=bool(stream),
        model_asked=asked,
        provider=provider,
        model=model,
        tier=tier,
        cache=CacheVerdict(cache),
        error=ORPHANED,
        attempts=len(attempts),
        usage=Usage(estimated=True, complete=False),
        cost=None if None in costs else sum(costs),
    )
