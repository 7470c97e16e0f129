"""Opening a database: made, brought up to date, refused, and what it costs."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from zoneinfo import ZoneInfo

import pytest
from support.ledger_words import NOON, a_hold, a_request, an_outcome, standing_clock

from llmgw.domain.budget import Budget, Window
from llmgw.domain.scope import parse_scope
from llmgw.errors import ConfigInvalid, Unavailable
from llmgw.storage import schema
from llmgw.storage.budgets import Budgets
from llmgw.storage.control import Control
from llmgw.storage.database import Database
from llmgw.storage.ledger import Ledger
from llmgw.storage.verify import verify

NEXT = ("9998_more", ("CREATE TABLE more (id INTEGER PRIMARY KEY)", "INSERT INTO more VALUES (7)"))

RELEASED = len(schema.STEPS)


def version(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_new_file_is_private_and_in_wal_mode(tmp_path):
    """A new database and what lies beside it can be read by its owner only, and readers do not block the writer."""
    path = tmp_path / "deep" / "llmgw.db"
    with Database.open(path) as database, closing(database.connect()) as connection:
        connection.execute("UPDATE control SET version = version")
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)
    assert version(path) == len(schema.STEPS)


def test_open_file_is_made_private(tmp_path):
    """A database that others could read is closed to them when it is opened."""
    path = tmp_path / "llmgw.db"
    Database.open(path).close()
    path.chmod(0o644)
    Database.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_current_database_opens_without_heavy_imports(tmp_path):
    """Control of a current database loads neither sqlite_utils nor asyncio, so a key command stays fast."""
    path = tmp_path / "llmgw.db"
    Database.open(path).close()
    code = (
        "import sys, pathlib\n"
        "from llmgw.storage.control import Control\n"
        "with Control(pathlib.Path(sys.argv[1])) as control: control.load_keys()\n"
        "print(sorted({'sqlite_utils', 'asyncio', 'click', 'pydantic'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_upgrade_leaves_a_backup(tmp_path, monkeypatch):
    """Before a step is applied to a database with content, that content is copied beside it."""
    path = tmp_path / "llmgw.db"
    with Database.open(path) as database, closing(database.connect()) as connection:
        connection.execute("INSERT INTO settings VALUES ('kept', 'yes')")
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, NEXT))
    with Database.open(path, clock=standing_clock()) as database:
        assert database.reader().execute("SELECT id FROM more").fetchone() == (7,)
        assert database.reader().execute("SELECT value FROM settings").fetchone() == ("yes",)
    backup = tmp_path / f"llmgw.db.v{RELEASED}-{NOON // 10**9}.bak"
    assert version(backup) == RELEASED
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT value FROM settings").fetchone() == ("yes",)


def _copy_rows(source, target):
    """Put every row into a database of an older release, without the columns that it does not know."""
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("ATTACH ? AS source", (str(source),))
        tables = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            if table.startswith(("_", "sqlite_")):
                continue
            known = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} ({known}) SELECT {known} FROM source.{table}")
        connection.commit()


def test_upgrade_from_the_first_step_keeps_everything(tmp_path, monkeypatch):
    """A ledger with a key and a settled call, written before there were budgets, is whole after the upgrade."""
    path, today = tmp_path / "llmgw.db", tmp_path / "today" / "llmgw.db"

    async def a_call():
        ledger = Ledger.open(today, "old", standing_clock())
        await ledger.hold(a_hold(7))
        await ledger.settle(an_outcome(7), a_request(7))
        ledger.close()

    asyncio.run(a_call())
    with Control(today, standing_clock()) as control:
        _, token = control.create("ci")
    with monkeypatch.context() as older:
        older.setattr(schema, "STEPS", schema.STEPS[:1])
        Database.open(path).close()
    _copy_rows(today, path)
    assert version(path) == 1

    with Control(path, standing_clock()) as control:
        assert control.find(token).name == "ci"
        budgets = Budgets(control, standing_clock())
        budgets.set(Budget(scope=parse_scope("key:ci"), window=Window.DAY, hard=10**9))
        [spending] = budgets.spending(ZoneInfo("UTC"))
        assert (spending.spent, spending.bucket) == (68, "2026-11-21")
    with Database.open(path) as database:
        assert verify(database.reader(), 0) == []
    assert version(path) == RELEASED
    assert [version(copy) for copy in tmp_path.glob("*.bak")] == [1]


def test_failed_upgrade_changes_nothing(tmp_path, monkeypatch):
    """When a step fails, the database is as it was before the first of them."""
    path = tmp_path / "llmgw.db"
    Database.open(path).close()
    broken = ("9999_broken", ("CREATE TABLE less (id INTEGER)", "INSERT INTO nowhere VALUES (1)"))
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, NEXT, broken))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        Database.open(path)
    assert version(path) == RELEASED
    with closing(sqlite3.connect(path)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert not names & {"more", "less"}


def test_newer_database_is_refused(tmp_path, monkeypatch):
    """A database of a newer release is not touched, and the error says what to do."""
    path = tmp_path / "llmgw.db"
    with monkeypatch.context() as newer:
        newer.setattr(schema, "STEPS", (*schema.STEPS, NEXT))
        Database.open(path).close()
    for readonly in (False, True):
        with pytest.raises(ConfigInvalid, match="newer llmgw") as refusal:
            Database.open(path, readonly=readonly)
        assert "upgrade" in refusal.value.hint
    assert version(path) == RELEASED + 1


def test_older_database_cannot_be_read_only(tmp_path, monkeypatch):
    """Reading without writing needs a current database."""
    path = tmp_path / "llmgw.db"
    Database.open(path).close()
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, NEXT))
    with pytest.raises(ConfigInvalid, match="older llmgw"):
        Database.open(path, readonly=True)


def test_places_that_cannot_serve(tmp_path):
    """A folder, a text file, a damaged file, another program's database and a path below a file are named as such."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("hello " * 1000)
    Database.open(tmp_path / "damaged").close()
    content = bytearray((tmp_path / "damaged").read_bytes())
    content[100:200] = b"\xff" * 100
    (tmp_path / "damaged").write_bytes(content)
    with closing(sqlite3.connect(tmp_path / "foreign")) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    for name, words in {
        "folder": "is a directory",
        "text": "damaged, or no database",
        "damaged": "damaged",
        "foreign": "another program",
        "text/llmgw.db": "not a directory|exists",
    }.items():
        with pytest.raises(ConfigInvalid, match=words) as refusal:
            Database.open(tmp_path / name)
        assert refusal.value.hint
    assert (tmp_path / "text").read_text().startswith("hello")


def test_missing_database_is_not_made_for_a_reader(tmp_path):
    """Opening to read only says that there is nothing yet, and makes nothing."""
    with pytest.raises(ConfigInvalid, match="no database"):
        Database.open(tmp_path / "llmgw.db", readonly=True)
    assert not list(tmp_path.iterdir())


def test_reader_changes_nothing(tmp_path):
    """A database opened to read only, and every reader's connection, refuses to write."""
    Database.open(tmp_path / "llmgw.db").close()
    for readonly in (False, True):
        with (
            Database.open(tmp_path / "llmgw.db", readonly=readonly) as database,
            pytest.raises(sqlite3.OperationalError, match="readonly"),
        ):
            database.reader().execute("UPDATE control SET version = 99")


def test_no_room_for_a_new_database(tmp_path, monkeypatch):
    """A full disk is Unavailable, and a later try begins from nothing."""
    connect = Database.connect

    def cramped(self, **options):
        connection = connect(self, **options)
        connection.execute("PRAGMA max_page_count = 3")
        return connection

    with monkeypatch.context() as full:
        full.setattr(Database, "connect", cramped)
        with pytest.raises(Unavailable, match="disk is full") as refusal:
            Database.open(tmp_path / "llmgw.db")
    assert refusal.value.code == "storage_unavailable"
    Database.open(tmp_path / "llmgw.db").close()


def test_many_processes_may_open_a_new_database_at_once(tmp_path):
    """Of several processes that start on nothing one makes the tables and the others find them."""
    code = "import sys, pathlib; from llmgw.storage.database import Database as D; D.open(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, tmp_path / "llmgw.db"]
    with ThreadPoolExecutor(4) as pool:
        done = [
            pool.submit(subprocess.run, command, capture_output=True, text=True, check=False)
            for _ in range(4)
        ]
        assert [process.result().stderr for process in done] == [""] * 4
    assert version(tmp_path / "llmgw.db") == len(schema.STEPS)


def test_opening_twice_in_a_process_drops_no_lock(tmp_path):
    """A second opening does not cost the first its locks: a passing process must not think that it is the last one
    and take the log away, which would damage the database.
    """
    path = tmp_path / "llmgw.db"
    with Database.open(path) as first, closing(first.connect()) as connection:
        connection.execute("UPDATE control SET version = 5")
        Database.open(path).close()
        code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM control'); c.close()"
        subprocess.run([sys.executable, "-c", code, path], check=True)
        assert (tmp_path / "llmgw.db-wal").exists()


def test_unwritable_places(tmp_path):
    """A folder or a file that may not be written to is refused by name, and can still be read from."""
    path = tmp_path / "llmgw.db"
    Database.open(path).close()
    path.chmod(0o400)
    if os.access(path, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(ConfigInvalid, match="permission denied"):
        Database.open(path)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ConfigInvalid, match="permission denied"):
            Database.open(tmp_path / "other.db")
        with Database.open(path, readonly=True) as database:
            assert database.reader().execute("SELECT version FROM control").fetchone() == (1,)
    finally:
        tmp_path.chmod(0o700)
