"""The file of the caches: its tables, and opening it. It holds nothing that is worth keeping through an upgrade."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager, suppress
from os.path import samestat
from typing import TYPE_CHECKING

from llmgw.errors import ConfigInvalid
from llmgw.storage.database import Database, error_code, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmgw.domain.clock import Clock

log = logging.getLogger(__name__)

FILE_NAME = "cache.db"
"""Beside the ledger's database."""

APPLICATION_ID = 0x6C6C6763
"""``llgc`` in the file's header."""

VERSION = 3
"""Of the tables below. A file of another version is emptied: whatever is in it can be asked for again."""

_TABLES = (
    # used_at is when it was stored or hit last, by which the least recently used goes first. No id is given twice:
    # what judges have learnt of an entry that is gone says nothing about another.
    """CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint BLOB NOT NULL UNIQUE, context BLOB NOT NULL, tenant TEXT NOT NULL,
    key_id INTEGER NOT NULL, key_name TEXT NOT NULL, tags TEXT NOT NULL, model_asked TEXT NOT NULL,
    provider TEXT NOT NULL, model TEXT NOT NULL, tier TEXT NOT NULL, kind TEXT NOT NULL, prompt TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, size INTEGER NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0, last_hit_at INTEGER, used_at INTEGER NOT NULL,
    pinned INTEGER NOT NULL DEFAULT 0, cost INTEGER, saved INTEGER NOT NULL DEFAULT 0,
    latency_us INTEGER NOT NULL, usage BLOB NOT NULL)""",
    "CREATE INDEX entries_used ON entries (used_at) WHERE pinned = 0",
    "CREATE INDEX entries_expiry ON entries (expires_at) WHERE pinned = 0",
    "CREATE INDEX entries_context ON entries (context)",
    # Apart from the rest of an entry, so that counting a hit does not write the answer again.
    """CREATE TABLE bodies (
    id INTEGER PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE, checksum BLOB NOT NULL,
    body BLOB NOT NULL)""",
    # Answers kept under an idempotency key; scope is a digest of tenant and key.
    """CREATE TABLE replays (
    scope BLOB PRIMARY KEY, body_hash BLOB NOT NULL, status INTEGER NOT NULL, content_type TEXT NOT NULL,
    checksum BLOB NOT NULL, body BLOB NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL)
    WITHOUT ROWID""",
    "CREATE INDEX replays_expiry ON replays (expires_at)",
    # The semantic cache's: a byte a dimension by the static table and by the embedder, whose answers mean the same,
    # what judges have learnt (no texts), and what was judged lately. Each checksum covers all that is judged by.
    """CREATE TABLE vectors (
    entry_id INTEGER PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE, screener TEXT NOT NULL,
    screen BLOB NOT NULL, embedder TEXT NOT NULL, vector BLOB, "group" INTEGER NOT NULL DEFAULT 0,
    checksum BLOB NOT NULL DEFAULT x'')""",
    """CREATE TABLE judges (
    name TEXT PRIMARY KEY, state BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE sightings (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, tenant TEXT NOT NULL, prompt TEXT NOT NULL,
    entry_id INTEGER NOT NULL, other TEXT NOT NULL, cosine REAL NOT NULL, score REAL NOT NULL,
    outcome TEXT NOT NULL, "right" INTEGER)""",
    # What happened in each hour: hits, what they saved, what was evicted.
    """CREATE TABLE counters (
    hour INTEGER, tenant TEXT, name TEXT, value INTEGER NOT NULL, PRIMARY KEY (hour, tenant, name))
    WITHOUT ROWID""",
)


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite says that the file is not what it wrote, or that a table of it is missing."""
    if isinstance(error, sqlite3.Error):
        damaged = error_code(error) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
        cut = getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_SHORT_READ"
        return damaged or cut or "no such " in str(error)
    return isinstance(error, UnicodeDecodeError)  # an error's own words, which quote what is damaged


@contextmanager
def troubles(path: Path) -> Iterator[None]:
    """Turn whatever SQLite says inside the block into Unavailable: of a cache nothing is worth an error."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise unavailable(error, path) from error


def set_aside(path: Path) -> None:
    """Move a damaged file out of the way, so that a new one is begun."""
    log.warning("%s is damaged: it is kept as %s.damaged and begun anew", path, path.name)
    with suppress(OSError):  # where it cannot be moved it stays in the way, and whoever opens it says so
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.replace(path.with_name(path.name + ".damaged"))


def _text(raw: bytes) -> str:
    """A text of the file, also one that is damaged: its checksum tells."""
    return raw.decode(errors="replace")


class AnswerFile(Database):
    """The file at ``path``."""

    def connect(self, *, readonly: bool = False, timeout: float | None = None) -> sqlite3.Connection:
        """See Database. Nothing waits for the disk: a checksum in each entry tells what a power cut tore."""
        connection = super().connect(readonly=readonly, timeout=timeout)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.text_factory = _text
        return connection

    def leave(self) -> None:
        """Where another file is in its place take the log along, which would be read as that one's."""
        log = self.path.with_name(self.path.name + "-wal")
        with suppress(OSError):
            if self.misplaced() == self.path and samestat(log.stat(), self._files[log]):
                for suffix in ("-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink()

    def is_current(self, connection: sqlite3.Connection) -> bool:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        empty = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
        if application != APPLICATION_ID and not empty:
            raise ConfigInvalid(f"{self.path} is the database of another program", hint="move it away")
        return bool(version == VERSION)

    def bring_up(self, connection: sqlite3.Connection, clock: Clock) -> None:  # noqa: ARG002 (no backup is dated)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not self.is_current(connection):
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                ).fetchall():
                    connection.execute(f'DROP TABLE "{name}"')
                for statement in _TABLES:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
