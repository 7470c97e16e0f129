"""The log beside the database is moved into it while the gateway writes, and no write waits for that or fails by it."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest

from llmgw.storage import checkpoint
from llmgw.storage.checkpoint import Checkpoints
from llmgw.storage.database import Database
from llmgw.storage.writer import Writer

SOME = 150
"""Commits, after every twentieth of which the log is moved."""
MOVES = []
"""When the thread was at work."""


def put(connection, names):
    connection.executemany("INSERT INTO settings VALUES (?, ?)", [(name, "x" * 4000) for name in names])


@contextmanager
def writing(path, **options):
    database = Database.open(path)
    writer = Writer(database, **options)
    try:
        yield writer
    finally:
        writer.close()
        database.close()


def head_of_log(path):
    """Says anew at random which log it is whenever that is begun anew at its start."""
    with path.with_name(f"{path.name}-wal").open("rb") as log:
        return log.read(32)


async def write_until(condition, writer, numbers):
    """Write without a pause until something has happened."""
    end = len(MOVES) + 10
    while not condition():
        assert len(MOVES) < end, "written in vain"
        await writer.submit(put, f"n{next(numbers)}")


def count(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM settings").fetchone()[0]


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A database whose log is moved often, and each time something is written before all of it is moved."""
    path = tmp_path / "llmgw.db"

    def move(connection):
        if threading.current_thread().name != "llmgw-checkpoint":
            move_now(connection)
            return
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM settings").fetchone()
            time.sleep(0.01)
            move_now(connection)
        MOVES.append(time.monotonic())

    move_now = checkpoint._move
    monkeypatch.setattr(checkpoint, "_move", move)
    monkeypatch.setattr(checkpoint, "EVERY", 20)
    return path


def test_the_log_is_begun_anew_while_everybody_writes(path):
    """Commit follows commit, and still the log starts over time and again; in the end nothing is missing."""
    numbers = itertools.count()

    async def journey():
        with writing(path) as writer:
            for _ in range(3):
                await writer.submit(put, f"n{next(numbers)}")
                head = head_of_log(path)
                await write_until(lambda head=head: head_of_log(path) != head, writer, numbers)

    asyncio.run(journey())
    assert count(path) == next(numbers)
    assert not path.with_name("llmgw.db-wal").exists()


def test_a_reader_keeps_its_moment(path):
    """What somebody still reads stays in the log; it is moved once they are done."""
    numbers = itertools.count()

    async def journey():
        with writing(path) as writer:
            await writer.submit(put, f"n{next(numbers)}")
            head = head_of_log(path)
            with closing(sqlite3.connect(path, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                assert reader.execute("SELECT count(*) FROM settings").fetchone() == (1,)
                for _ in range(SOME):
                    await writer.submit(put, f"n{next(numbers)}")
                assert reader.execute("SELECT count(*) FROM settings").fetchone() == (1,)
                reader.execute("COMMIT")
            assert head_of_log(path) == head
            await write_until(lambda: head_of_log(path) != head, writer, numbers)

    asyncio.run(journey())
    assert count(path) == next(numbers)


def test_trouble_with_it_is_no_trouble_of_a_write(path, monkeypatch):
    """A log that cannot be moved costs room and nothing else."""
    seen = []

    def broken(self, connection):
        if connection is not None:
            seen.append(connection)
            connection.close()
        use(self, connection)

    use = Checkpoints.use
    monkeypatch.setattr(Checkpoints, "use", broken)

    async def journey():
        with writing(path) as writer:
            for number in range(SOME):
                await writer.submit(put, f"n{number}")
            assert writer.healthy

    asyncio.run(journey())
    assert seen
    assert count(path) == SOME


def test_a_disk_that_hangs_is_seen(path, monkeypatch):
    """Writes go on while the disk does not take the log; the health check tells, until it does."""
    release = threading.Event()
    monkeypatch.setattr(checkpoint, "_move", lambda _: release.wait(10))

    async def journey():
        with writing(path, patience=0.1) as writer:
            for number in range(SOME):
                await writer.submit(put, f"n{number}")
            end = time.monotonic() + 5
            while writer.healthy:
                assert time.monotonic() < end, "nobody noticed"
                await asyncio.sleep(0.01)
            await writer.submit(put, "more")
            release.set()
            while not writer.healthy:
                assert time.monotonic() < end + 5, "it does not end"
                await asyncio.sleep(0.01)

    asyncio.run(journey())
    assert count(path) == SOME + 1
