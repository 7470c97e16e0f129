"""Looking after the file itself: how big it is, a copy of it while others write, whether its pages are sound."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from llmgw.errors import BadRequest, Conflict
from llmgw.storage.database import troubles

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.storage.database import Database

_COUNTS = {
    "requests": "SELECT coalesce(sum(requests), 0) FROM overall",
    "open_attempts": "SELECT count(*) FROM attempts WHERE open = 1",
    "keys": "SELECT count(*) FROM keys WHERE revoked_at IS NULL",
    "budgets": "SELECT count(*) FROM budgets",
    "limits": "SELECT count(*) FROM limits",
    "first_request_at": "SELECT min(started_at) FROM requests",
    "last_request_at": "SELECT max(started_at) FROM requests",
}


def stats(database: Database) -> dict[str, Any]:
    """Where the file is, its bytes (``log_bytes``: written and not yet moved into it), and what is in it."""
    path = database.path
    log = path.with_name(path.name + "-wal")
    with troubles(path):
        reader = database.reader()
        (schema,) = reader.execute("PRAGMA user_version").fetchone()
        (free,) = reader.execute("PRAGMA freelist_count").fetchone()
        (page,) = reader.execute("PRAGMA page_size").fetchone()
        counts = {name: reader.execute(sql).fetchone()[0] for name, sql in _COUNTS.items()}
    return {
        "path": str(path),
        "schema": schema,
        "bytes": path.stat().st_size,
        "log_bytes": log.stat().st_size if log.exists() else 0,
        "free_bytes": free * page,
        **counts,
    }


def back_up(database: Database, copy: Path) -> int:
    """Copy the committed state of one moment to a new file, whoever writes meanwhile; its size in bytes.

    Conflict where the file exists, BadRequest where it cannot be made. The copy is checked before this returns.
    """
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Conflict(f"{copy} exists and is not overwritten", hint="choose another name") from None
    except OSError as error:
        raise BadRequest(f"cannot write {copy}: {(error.strerror or str(error)).lower()}") from None
    try:
        with (
            troubles(copy),
            closing(database.connect(readonly=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            # a file of its own: nothing beside it has to travel along
            target.execute("PRAGMA journal_mode = DELETE")
            if damage := damages(target):
                raise Conflict(f"the database is damaged, and so is a copy of it: {damage[0]}")
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return copy.stat().st_size


def damages(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the pages; empty when they are sound."""
    found = [row[0] for row in connection.execute("PRAGMA quick_check")]
    return [] if found == ["ok"] else found


def schema_version(path: Path) -> int:
    """The number of the last step that was applied to the tables of a file; 0 where there is none."""
    if not path.exists():
        return 0
    with (
        troubles(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def boot_number(database: Database, name: str) -> int:
    """The number under which the attempts of a process are kept; 0, which is nobody's, for an unknown one."""
    row = database.reader().execute("SELECT id FROM boots WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0
