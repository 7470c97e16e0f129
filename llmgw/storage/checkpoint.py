"""Moving what was committed from the log into the database file on a thread of its own, so that no commit waits for it.

SQLite would do it at the end of a commit, where everybody waits tens of milliseconds for the disk.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time

log = logging.getLogger(__name__)

EVERY = 400
"""Commits after which the thread is woken; under load that is about 4,000 pages, or 16 MB of log."""
PAGES = 16_000
"""From so many pages of log on (64 MB) each commit moves what it can all the same."""


class Checkpoints:
    """Follows one writing connection. ``use`` and ``committed`` are for its thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._commits = 0
        self._due = threading.Event()
        self._moved = False
        self._closed = False
        self.began: float | None = None
        """When the thread set to work, by the monotonic clock, if it is at work now."""
        self._thread = threading.Thread(target=self._run, name="llmgw-checkpoint", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def use(self, connection: sqlite3.Connection | None) -> None:
        """Move by this connection from now on, which nobody else uses; None leaves the file alone."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = connection

    def committed(self, writer: sqlite3.Connection) -> None:
        """One more transaction is in the log.

        What was committed while the thread was at work is moved here: the log is begun anew only once all of it is in
        the file, or it would grow for as long as anybody writes.
        """
        self._commits += 1
        if self._commits == EVERY:
            self._due.set()
        elif self._moved:
            self._moved = False
            self._commits = 0
            _move(writer)

    def close(self) -> None:
        """End the thread and let go of the connection."""
        self._closed = True
        self._due.set()
        self._thread.join()
        self.use(None)

    def _run(self) -> None:
        while self._due.wait() and not self._closed:
            self._due.clear()
            with self._lock:
                if self._connection is not None:
                    self.began = time.monotonic()
                    _move(self._connection)
                    self.began = None
            self._moved = True


def _move(connection: sqlite3.Connection) -> None:
    """Move what can be moved now: what a reader still needs, or another process is moving, stays for the next time."""
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error as error:  # nothing is lost: the log has it all
        log.debug("the log cannot be moved into the database: %s", error)
