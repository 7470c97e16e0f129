"""The ledger: an attempt is written before its bytes leave and settled before the caller has its last one.

Attempts go ``held -> dispatched -> settled | released | orphaned`` and stay open until their request's own row is
written; so whatever a dead process left behind is found by one small index.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, Self

from llmgw.domain.ledger import AttemptState, Hold, Outcome, RequestRow
from llmgw.storage.chain import extend
from llmgw.storage.database import BUSY_SECONDS, Database, troubles
from llmgw.storage.decisions import Decisions, remove_hints, write_outcomes
from llmgw.storage.recovery import Recovered, recover
from llmgw.storage.reports import Reports
from llmgw.storage.requests import Requests
from llmgw.storage.rows import CODES, USAGE, Dimensions, dimension_of, usage_values, write_requests
from llmgw.storage.shadows import write_shadows
from llmgw.storage.verify import Finding, verify
from llmgw.storage.writer import Writer, lost

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from llmgw.domain.clock import Clock
    from llmgw.domain.money import NanoUSD
    from llmgw.storage.decisions import Outcome as OutcomeOfAnswer
    from llmgw.storage.shadows import Shadow

log = logging.getLogger(__name__)

_HOLD = """INSERT INTO attempts (request_id, attempt, boot, dimension, state, started_at, model_asked, stream,
    held_cost) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_DISPATCH = "UPDATE attempts SET state = 1 WHERE request_id = ? AND attempt = ? AND state = 0"
_SETTLE = (
    f"UPDATE attempts SET ({USAGE}, complete) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?), state = ?, open = ?, "  # noqa: S608
    "ended_at = ?, status = ?, error = ?, cost = ?, premium_cost = ?, price = ?, ttft_us = ?, latency_us = ?, "
    "finish_reason = ?, upstream_id = ? WHERE request_id = ? AND attempt = ? AND state <= 1"
)
_AMEND = "UPDATE attempts SET held_cost = ? WHERE request_id = ? AND attempt = ? AND state <= 1"
_CLOSE = "UPDATE attempts SET open = 0 WHERE request_id = ? AND open = 1"


class _Dispatch(NamedTuple):
    request_id: int
    attempt: int


class _Held(NamedTuple):
    hold: Hold
    state: AttemptState


class _Settled(NamedTuple):
    outcome: Outcome
    request: RequestRow | None


class Written(NamedTuple):
    """Requests whose rows are in the ledger, numbered from ``first`` on in the order in which they ended."""

    first: int
    rows: Sequence[RequestRow]


class Ledger:
    """What a gateway writes while it serves, durable once the returned future resolves.

    Futures fail with Unavailable (``storage_unavailable``) in bounded time when the database cannot be written: a
    hold has then not happened, a settlement happens as soon as the trouble lifts. What costs nothing never fails for
    that: it is written when the trouble lifts, unless too much waits already.
    """

    def __init__(
        self, database: Database, boot: int, clock: Clock, writer: Writer, told: Callable[[Written], None]
    ) -> None:
        self._database = database
        self._boot = boot
        self._clock = clock
        self._writer = writer
        self._dimensions = Dimensions(lambda: writer.rollbacks)
        self._told = told
        self._written: list[Written] = []
        writer.ended = self._tell

    @classmethod
    def open(
        cls,
        path: Path,
        boot: str,
        clock: Clock,
        *,
        strict: bool = False,
        patience: float = BUSY_SECONDS,
        told: Callable[[Written], None] = lambda _: None,
    ) -> Self:
        """The ledger in the database at ``path``, for the process that calls itself ``boot``; on a running loop.

        ``strict`` makes each commit survive a power cut, ``patience`` is how many seconds a lock is waited for.
        ``told`` hears, on the writer's thread, of the requests that each commit has written, each of them once.
        """
        database = Database.open(path, clock=clock)
        with troubles(database.path), closing(database.connect()) as connection:
            number = connection.execute(
                "INSERT INTO boots (name, pid, started_at) VALUES (?, ?, ?)", (boot, os.getpid(), clock.now())
            ).lastrowid
        return cls(database, number or 0, clock, Writer(database, patience=patience, strict=strict), told)

    @property
    def healthy(self) -> bool:
        """Whether writes go through."""
        return self._writer.healthy

    def check(self) -> None:
        """Notice that a file was taken away, or is back; to be called now and then."""
        away, before = self._database.misplaced(), self._writer.lost
        if away != before:
            self._writer.lost = away
            log.error("%s", lost(away).message if away else "the database is back")

    @property
    def reports(self) -> Reports:
        """Sums of what was written, for any thread."""
        return Reports(self._database)

    @property
    def requests(self) -> Requests:
        """Single requests and their attempts, for any thread."""
        return Requests(self._database)

    @property
    def decisions(self) -> Decisions:
        """Why requests went where they did, and what became of them, for any thread."""
        return Decisions(self._database)

    def hold(self, hold: Hold, *, dispatched: bool = True) -> Future[None]:
        """Write an attempt before its bytes leave; ``dispatched`` says that they leave next."""
        state = AttemptState.DISPATCHED if dispatched else AttemptState.HELD
        return self._writer.submit(self._apply, _Held(hold, state), free=hold.cost == 0)

    def dispatch(self, request_id: int, attempt: int) -> Future[None]:
        """A held attempt's bytes leave now."""
        return self._writer.submit(self._apply, _Dispatch(request_id, attempt))

    def amend(self, request_id: int, attempt: int, cost: NanoUSD) -> Future[None]:
        """An attempt under way may come to cost so much."""
        return self._writer.submit(_amend, (cost, request_id, attempt))

    def settle(
        self, outcome: Outcome, request: RequestRow | None = None, *, held: bool = True
    ) -> Future[None]:
        """End an attempt, and with ``request`` its request too, in one transaction. A second settle changes nothing.

        An attempt whose hold was never written, ``held`` says so, leaves only its request's row.
        """
        settled = _Settled(outcome, request)
        return self._writer.submit(self._apply, settled, keep=held, free=outcome.cost == 0)

    def record(self, request: RequestRow) -> Future[None]:
        """Write a request that ends without settling an attempt; a second time changes nothing."""
        return self._writer.submit(self._apply, request, keep=request.attempts > 0, free=request.cost == 0)

    def note(self, outcome: OutcomeOfAnswer) -> Future[None]:
        """Write down how good an answer was."""
        return self._writer.submit(write_outcomes, outcome)

    def withdraw(self, number: int) -> Future[None]:
        """Take back what was concluded, and not told, of how good the answer to a request was."""
        return self._writer.submit(remove_hints, number)

    def note_shadow(self, shadow: Shadow) -> Future[None]:
        """Write down what a local model made of a call that was paid for."""
        return self._writer.submit(write_shadows, shadow)

    def recover(self) -> Recovered:
        """Close what earlier boots left open; to be called before the first hold. A second time changes nothing."""
        with troubles(self._database.path), closing(self._database.connect()) as connection:
            return recover(connection, self._boot, self._clock.now())

    def last_id(self) -> int:
        """The highest request id there is, 0 in an empty ledger."""
        with troubles(self._database.path):
            (last,) = (
                self._database.reader()
                .execute(
                    "SELECT max(coalesce((SELECT max(id) FROM requests), 0),"
                    " coalesce((SELECT max(request_id) FROM attempts), 0))"
                )
                .fetchone()
            )
            return int(last)

    def verify(self) -> list[Finding]:
        """What does not add up; empty when all is well. Reads every row, so not on the event loop."""
        with troubles(self._database.path):
            return verify(self._database.reader(), self._boot)

    def close(self) -> None:
        """Write what waits, note the end of this boot where that is possible, let go of the file. Idempotent."""
        # by the writer: a new connection would damage a database whose log was deleted
        self._writer.submit(_stop, (self._clock.now(), self._boot))
        self._writer.close()
        self._database.close()

    def _apply(
        self, connection: sqlite3.Connection, items: Sequence[_Held | _Dispatch | _Settled | RequestRow]
    ) -> None:
        """Write a batch, a kind at a time: of one attempt the kinds always follow each other in this order."""
        holds = [item for item in items if isinstance(item, _Held)]
        if holds:
            connection.executemany(_HOLD, [self._hold_values(connection, held) for held in holds])
        dispatches = [item for item in items if isinstance(item, _Dispatch)]
        if dispatches:
            connection.executemany(_DISPATCH, dispatches)
        settled = [item for item in items if isinstance(item, _Settled)]
        requests = [item for item in items if isinstance(item, RequestRow)]
        ending = requests + [item.request for item in settled if item.request is not None]
        if settled:
            changed = connection.executemany(_SETTLE, [_settle_values(item) for item in settled]).rowcount
            if changed != len(settled):
                if len(items) > 1:
                    raise _Mixed
                if _exists(connection, settled[0].outcome):
                    return
        if ending:
            try:
                last = write_requests(connection, self._dimensions, ending)
            except sqlite3.IntegrityError:
                if len(items) > 1 or settled:
                    raise
                return
            # the attempt that settles with its request is closed by its own statement
            recorded = [request.id for request in requests if request.attempts > 0]
            several = [request.id for request in ending[len(requests) :] if request.attempts > 1]
            connection.executemany(_CLOSE, [(number,) for number in recorded + several])
            extend(connection, len(ending), tried=any(request.attempts for request in ending))
            self._written.append(Written(last - len(ending) + 1, ending))

    def _tell(self, committed: bool) -> None:
        if self._written:
            written, self._written = self._written, []
            if committed:
                for each in written:
                    self._told(each)

    def _hold_values(self, connection: sqlite3.Connection, held: _Held) -> tuple[object, ...]:
        hold = held.hold
        return (
            hold.request_id,
            hold.attempt,
            self._boot,
            self._dimensions.number(connection, dimension_of(hold)),
            CODES[held.state],
            hold.started_at,
            hold.model_asked,
            hold.stream,
            hold.cost,
        )


class _Mixed(Exception):
    """Some of a batch's settlements had happened before: they must be told apart one by one."""


def _stop(connection: sqlite3.Connection, items: Sequence[tuple[int, int]]) -> None:
    connection.executemany("UPDATE boots SET stopped_at = ? WHERE id = ? AND stopped_at IS NULL", items)


def _amend(connection: sqlite3.Connection, items: Sequence[tuple[NanoUSD, int, int]]) -> None:
    connection.executemany(_AMEND, items)


def _settle_values(settled: _Settled) -> tuple[object, ...]:
    outcome = settled.outcome
    return (
        *usage_values(outcome.usage),
        CODES[outcome.state],
        settled.request is None,
        outcome.ended_at,
        outcome.status,
        outcome.error,
        outcome.cost,
        outcome.premium_cost,
        outcome.price,
        outcome.ttft_us,
        outcome.latency_us,
        outcome.finish_reason,
        outcome.upstream_id,
        outcome.request_id,
        outcome.attempt,
    )


def _exists(connection: sqlite3.Connection, outcome: Outcome) -> bool:
    sql = "SELECT 1 FROM attempts WHERE request_id = ? AND attempt = ?"
    return connection.execute(sql, (outcome.request_id, outcome.attempt)).fetchone() is not None
