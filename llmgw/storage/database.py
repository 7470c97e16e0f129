"""One SQLite file: opening it, connections to it, and its troubles in words.

Whoever only reads or changes a key (a command) needs no more than this; the gateway adds the writer.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Self

from llmgw.domain.clock import SYSTEM_CLOCK, Clock
from llmgw.errors import ConfigInvalid, GatewayError, Unavailable
from llmgw.storage.schema import is_current, migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 5.0
"""How long a statement waits for another process to let go of the file."""

_TROUBLES = {
    sqlite3.SQLITE_BUSY: ("another process holds it locked", "wait, or close the program that has it open"),
    sqlite3.SQLITE_LOCKED: ("another process holds it locked", "wait, or close the program that has it open"),
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space; nothing else is needed"),
    sqlite3.SQLITE_READONLY: ("it is read-only", "make the file and its folder writable"),
    sqlite3.SQLITE_PERM: ("permission denied", "make the file and its folder writable"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "make the file and its folder writable"),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "see the system's log; check the disk"),
    sqlite3.SQLITE_NOMEM: ("out of memory", "free some memory"),
    sqlite3.SQLITE_NOTADB: (
        "it is damaged, or no database",
        "move it away, or restore a backup in its place",
    ),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "move it away, or restore a backup in its place"),
}
_WRONG_AT_START = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
}


def error_code(error: BaseException) -> int:
    """SQLite's primary result code; 0 when the error is not SQLite's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_trouble(error: BaseException) -> bool:
    """Whether the file or its disk is at fault, rather than one statement."""
    return error_code(error) in _TROUBLES


def unavailable(error: BaseException, path: Path) -> Unavailable:
    """The trouble in words, with what lifts it; code ``storage_unavailable``."""
    words, hint = _TROUBLES.get(error_code(error), (str(error), None))
    return Unavailable(f"cannot use {path}: {words}", hint=hint, code="storage_unavailable")


@contextmanager
def troubles(path: Path) -> Iterator[None]:
    """Turn the file's troubles inside the block into Unavailable; other errors pass."""
    try:
        yield
    except sqlite3.Error as error:
        if is_trouble(error):
            raise unavailable(error, path) from error
        raise


class Database:
    """The file at ``path``, its tables up to date. ``readonly`` opens what is there and changes nothing."""

    def __init__(self, path: Path, *, readonly: bool = False, patience: float = BUSY_SECONDS) -> None:
        """``patience`` is how many seconds a connection waits for another process, if it is told nothing else."""
        self.path = path
        self.readonly = readonly
        self.patience = patience
        self.before_upgrade: Path | None = None
        """The copy that opening made, where it had to bring older tables up to date."""
        self._immutable = False
        self._files: dict[Path, os.stat_result] = {}
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        readonly: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        patience: float = BUSY_SECONDS,
    ) -> Self:
        """Create or bring up to date what is needed; about a millisecond when nothing is.

        ConfigInvalid when the place or the file cannot serve, Unavailable when the disk is full or the file locked.
        """
        database = cls(path.absolute(), readonly=readonly, patience=patience)
        try:
            database._prepare(clock)
            database._files[database.path] = database.path.stat()
        except OSError as error:
            raise ConfigInvalid(
                f"cannot use {path}: {(error.strerror or str(error)).lower()}",
                hint="choose another home with LLMGW_HOME",
            ) from error
        except sqlite3.Error as error:
            if not is_trouble(error):
                raise
            trouble: GatewayError = unavailable(error, path)
            if error_code(error) in _WRONG_AT_START:
                trouble = ConfigInvalid(trouble.message, hint=trouble.hint)
            raise trouble from error
        return database

    def _prepare(self, clock: Clock) -> None:
        if self.readonly:
            self._probe_readonly()
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            # A file that exists is left to SQLite: closing it here would drop every lock that this process has on it.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if self.path.stat().st_mode & 0o077:
            with suppress(PermissionError):  # somebody else's file, which the system lets us use
                self.path.chmod(0o600)
        with closing(self.connect()) as connection:
            if not self.is_current(connection):
                self.bring_up(connection, clock)

    def is_current(self, connection: sqlite3.Connection) -> bool:
        """Whether the tables are those of this release."""
        return is_current(connection, self.path)

    def bring_up(self, connection: sqlite3.Connection, clock: Clock) -> None:
        """Make the tables those of this release."""
        self.before_upgrade = migrate(connection, self.path, clock.now())

    def _probe_readonly(self) -> None:
        if not self.path.is_file():
            raise ConfigInvalid(
                f"there is no database at {self.path}", hint="start the gateway: `llmgw serve`"
            )
        try:
            current = self._is_current()
        except sqlite3.OperationalError as error:
            if error_code(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
                raise
            # A reader of a WAL file wants to write its index beside it; on a read-only disk nobody can be
            # writing, so the file may be read as it stands.
            self._immutable = True
            current = self._is_current()
        if not current:
            raise ConfigInvalid(
                f"{self.path} was written by an older llmgw and cannot be upgraded without writing to it",
                hint="make it writable and run the command again",
            )

    def _is_current(self) -> bool:
        with closing(self.connect()) as connection:
            return self.is_current(connection)

    def connect(self, *, readonly: bool = False, timeout: float | None = None) -> sqlite3.Connection:
        """A new connection in autocommit, to be closed by the caller; usable from any one thread at a time."""
        mode = "ro" if readonly or self.readonly else "rw"
        if self._immutable:
            mode = "ro&immutable=1"
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            uri=True,
            timeout=self.patience if timeout is None else timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def misplaced(self) -> Path | None:
        """The file that is not at its path any more: what is written to one of the database's files is lost then.

        The log beside it is known from the first call on, before which a connection must have been opened for good.
        """
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            try:
                now = path.stat()
            except OSError:
                return path
            if not os.path.samestat(self._files.setdefault(path, now), now):
                return path
        return None

    def reader(self) -> sqlite3.Connection:
        """This thread's own read-only connection; closed with the database."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connect(readonly=True)
            self._readers.append(connection)
        return connection

    def close(self) -> None:
        while self._readers:
            self._readers.pop().close()
        self._local = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
