"""The one thread that writes while the gateway serves: everything waiting goes into one commit.

An awaited write costs a microsecond or two of the event loop and its share of a commit; the loop is woken once a
batch. A batch that fails is taken back and its operations are run one by one, so that only the faulty one fails.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from llmgw.errors import Unavailable
from llmgw.storage.checkpoint import PAGES, Checkpoints
from llmgw.storage.database import BUSY_SECONDS, Database, error_code, is_trouble, unavailable

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

Apply = Callable[[sqlite3.Connection, Sequence[Any]], None]
"""Writes several items inside the open transaction. Called again with each item alone when that raised."""

RETRY_SECONDS = 0.5
MOST_WAITING = 20_000
"""From so many on nothing more is taken that need not be: about 40 MB."""
GATHER_FROM = 4
GATHER_SECONDS = 0.0005
"""After a batch of more than so many writes the next one waits this long: a third less CPU a write under load, while
a lone write is never held up."""
_WAITS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}


class _Write(NamedTuple):
    apply: Apply
    item: Any
    future: asyncio.Future[None]
    keep: bool
    free: bool


class Writer:
    """Owns the writing connection. Made and used on one event loop; ``close`` may be called from anywhere.

    While the file is locked, full or read-only, writes fail with Unavailable: the first ones after at most ``patience``
    seconds in the database and as long again in the queue, those after them at once.
    """

    def __init__(self, database: Database, *, patience: float = BUSY_SECONDS, strict: bool = False) -> None:
        """``strict`` waits for the disk on each commit, which also survives a power cut."""
        self._database = database
        self._patience = patience
        self._strict = strict
        self._loop = asyncio.get_running_loop()
        self._turn: list[_Write] = []
        """What was submitted in this turn of the loop, at whose end it is handed over: the thread is woken once."""
        self._queue: SimpleQueue[list[_Write] | None] = SimpleQueue()
        self._given = self._taken = 0
        """How many writes the loop has submitted, and the thread has taken."""
        self._lock = threading.Lock()
        self._closed = False
        self._kept: list[_Write] = []
        self._carried = 0
        self._trouble: sqlite3.Error | None = None
        self._batch_began: float | None = None
        self._gathered = 0
        self.lost: Path | None = None
        """The file that was taken away, so that no write is worth anything until it is back."""
        self.rollbacks = 0
        """How often a transaction was taken back: what was remembered of its effects no longer holds."""
        self.ended: Callable[[bool], None] = _unheard
        """Told on the writer's thread whether a transaction was committed, or taken back whole."""
        self._checkpoints = Checkpoints()
        self._connection: sqlite3.Connection | None = self._connect()
        self._checkpoints.start()
        self._thread = threading.Thread(target=self._run, name="llmgw-writer", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the last write worked and none hangs, nor what makes room for others."""
        now = time.monotonic()
        began = self._batch_began or now, self._checkpoints.began or now
        hangs = now - min(began) > 2 * self._patience
        return self._trouble is None and not (hangs or self.lost) and self._thread.is_alive()

    def submit(
        self, apply: Apply, item: Any, *, keep: bool = False, free: bool = False
    ) -> asyncio.Future[None]:
        """A future that resolves once the item is committed. Cancelling the future does not undo the write.

        What is marked ``keep`` or ``free`` is tried again until the trouble lifts, so it happens although its caller
        was told that it had not happened yet (``keep``, which is always taken), or is not told, as nothing depends on
        it (``free``).
        """
        future = self._loop.create_future()
        path, trouble = self._database.path, self._trouble
        with self._lock:
            if self._closed:
                _fail(future, Unavailable("the ledger is closed", code="storage_unavailable"))
            elif not keep and self._given - self._taken + self._carried >= MOST_WAITING:
                _fail(future, Unavailable("too many writes wait for the disk", code="storage_unavailable"))
            elif self.lost and not (keep or free):
                _fail(future, lost(self.lost))
            elif trouble is not None and not (keep or free):
                _fail(future, unavailable(trouble, path))
            else:
                if not self._turn:
                    self._loop.call_soon(self._hand_over)
                self._turn.append(_Write(apply, item, future, keep, free))
                self._given += 1
                if free and trouble is not None:
                    future.set_result(None)
        return future

    def close(self) -> None:
        """Write what waits and end the thread; later submits fail. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(self._turn)
                self._queue.put(None)
        self._thread.join()

    def _hand_over(self) -> None:
        with self._lock:
            if not self._closed:
                turn, self._turn = self._turn, []
                self._queue.put(turn)

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._gather()
            writes = self._kept + batch
            if writes or self._trouble is not None:
                self._write(writes)
        if self._kept:
            log.error("%d ledger entries could not be written before the end", len(self._kept))
        self._checkpoints.close()
        if self._connection is not None:
            self._connection.close()

    def _gather(self) -> tuple[list[_Write], bool]:
        """Everything that waits now, at least one turn's unless there is trouble; and whether nothing more will come."""
        queue, batch = self._queue, []
        turn: list[_Write] | None = []
        try:
            if self._trouble is not None:
                time.sleep(RETRY_SECONDS)  # not with each that comes: all that waits is tried again with it
            else:
                turn = queue.get()
                if self._gathered > GATHER_FROM:
                    time.sleep(GATHER_SECONDS)
            while turn is not None:
                batch += turn
                turn = queue.get_nowait()
        except Empty:
            pass
        self._gathered = len(batch)
        self._taken += len(batch)
        return batch, turn is None

    def _write(self, writes: list[_Write]) -> None:
        self._batch_began = time.monotonic()
        self._kept = []
        failures: list[Exception | None] = [None] * len(writes)
        try:
            self._commit(writes, failures)
            self._carried = 0
            if self._trouble is not None:
                log.warning("the ledger can be written again")
                self._trouble = None
        except sqlite3.Error as error:
            if self._trouble is None:
                log.error("%s", unavailable(error, self._database.path).message)  # noqa: TRY400
            self._trouble = error
            failures = [None if write.free else unavailable(error, self._database.path) for write in writes]
            self._kept = [write for write in writes if write.keep or write.free]
            self._carried = len(self._kept)
            if error_code(error) not in _WAITS and self._connection is not None:
                self._checkpoints.use(None)
                self._connection.close()
                self._connection = None
        with suppress(RuntimeError):  # the loop has ended; nobody waits any more
            self._loop.call_soon_threadsafe(_resolve, writes, failures)
        if self._trouble is None and self._connection is not None:
            self._checkpoints.committed(self._connection)
        self._batch_began = None

    def _commit(self, writes: list[_Write], failures: list[Exception | None]) -> None:
        """One transaction; raises sqlite3.Error for trouble with the file, puts other errors into ``failures``."""
        connection = self._connection = self._connection or self._connect()
        committed = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not writes:  # a trial whether the trouble has lifted: it must reach the disk
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                connection.execute(f"PRAGMA user_version = {version:d}")
            try:
                for apply, group in groupby(writes, itemgetter(0)):
                    apply(connection, [write.item for write in group])
            except Exception as error:
                if is_trouble(error):
                    raise
                connection.execute("ROLLBACK")
                self.rollbacks += 1
                self.ended(False)
                connection.execute("BEGIN IMMEDIATE")
                self._one_by_one(connection, writes, failures)
            connection.execute("COMMIT")
            committed = True
        finally:
            if not committed:  # some troubles take it back themselves
                self.rollbacks += 1
            self.ended(committed)
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _one_by_one(
        self, connection: sqlite3.Connection, writes: list[_Write], failures: list[Exception | None]
    ) -> None:
        for index, write in enumerate(writes):
            connection.execute("SAVEPOINT one")
            try:
                write.apply(connection, [write.item])
            except Exception as error:
                if is_trouble(error):
                    raise
                failures[index] = error
                if write.future.done():
                    log.exception("a ledger entry could not be written")
                self.rollbacks += 1
                connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")

    def _connect(self) -> sqlite3.Connection:
        self._checkpoints.use(self._database.connect())
        connection = self._database.connect(timeout=self._patience)
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES}")
        if self._strict:
            connection.execute("PRAGMA synchronous = FULL")
        return connection


def _unheard(_committed: bool) -> None:
    """Nobody asked how transactions end."""


def lost(path: Path) -> Unavailable:
    """The refusal of writes to a file that is not in its place any more."""
    return Unavailable(
        f"{path} was moved, deleted or replaced while the gateway ran",
        hint="`llmgw restart`, or put it back",
        code="storage_unavailable",
    )


def _resolve(writes: list[_Write], failures: list[Exception | None]) -> None:
    for write, failure in zip(writes, failures, strict=True):
        if write.future.done():
            continue
        if failure is None:
            write.future.set_result(None)
        else:
            _fail(write.future, failure)


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    future.set_exception(error)
    future.exception()  # a caller who left is not to be reported as one who forgot
