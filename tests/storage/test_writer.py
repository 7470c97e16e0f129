"""The writer thread: one commit for all that wait, one failure for one fault, and what it does in trouble."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest

from llmgw.errors import Unavailable
from llmgw.storage import writer as writer_module
from llmgw.storage.database import Database
from llmgw.storage.writer import Writer

PATIENCE = 0.15


def put(connection, names):
    """Write settings; ``bad`` breaks a rule of the table, which takes its whole transaction along."""
    for name in names:
        connection.execute("INSERT INTO settings VALUES (?, ?)", (name, None if name == "bad" else "x"))


class Trying:
    """A database whose connections can be made to suffer."""

    def __init__(self, path):
        self.pragmas = []
        real = Database.open(path)
        connect = real.connect

        def suffering(**options):
            connection = connect(**options)
            for pragma in self.pragmas:
                connection.execute(pragma)
            return connection

        real.connect = suffering
        self.real = real


@contextmanager
def writing(path, **options):
    trying = Trying(path)
    writer = Writer(trying.real, patience=PATIENCE, **options)
    try:
        yield writer, trying
    finally:
        writer.close()
        trying.real.close()


@contextmanager
def locked(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def names(path):
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM settings")}


async def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.01)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "llmgw.db"


def test_waiting_writes_share_a_commit(path, monkeypatch):
    """Writes that wait together are one transaction, and the loop is woken once for all of them."""

    async def journey():
        resolved = []
        resolve = writer_module._resolve
        monkeypatch.setattr(
            writer_module,
            "_resolve",
            lambda writes, failures: (resolved.append(len(writes)), resolve(writes, failures)),
        )
        with writing(path) as (writer, _):
            with locked(path):
                first = writer.submit(put, "first")
                await asyncio.sleep(0.05)
                rest = [writer.submit(put, f"n{number}") for number in range(50)]
            await asyncio.gather(first, *rest)
        assert resolved == [1, 50]

    asyncio.run(journey())
    assert len(names(path)) == 51


def test_one_fault_does_not_sink_the_batch(path):
    """An operation that fails gets its own exception; those beside it are committed."""

    async def journey():
        with writing(path) as (writer, _):
            with locked(path):
                futures = [writer.submit(put, name) for name in ("a", "b", "bad", "c", "a")]
                await asyncio.sleep(0.02)
            outcomes = await asyncio.gather(*futures, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [
                type(None),
                type(None),
                sqlite3.IntegrityError,
                type(None),
                sqlite3.IntegrityError,
            ]
            assert writer.healthy

    asyncio.run(journey())
    assert names(path) == {"a", "b", "c"}


def test_cancelled_caller_does_not_undo_the_write(path):
    """Who stops waiting stops waiting; the write happens."""

    async def journey():
        with writing(path) as (writer, _):
            with locked(path):
                task = asyncio.ensure_future(asyncio.wait_for(writer.submit(put, "a"), 10))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await writer.submit(put, "b")

    asyncio.run(journey())
    assert names(path) == {"a", "b"}


def test_close_strands_nobody(path):
    """With close called from another thread amid submits, each future ends: written, or told that it is closed."""

    async def journey():
        for turn in range(20):
            with writing(path) as (writer, _):
                futures = []
                closer = threading.Thread(target=writer.close)
                for number in range(200):
                    if number == turn * 10:
                        closer.start()
                    futures.append(writer.submit(put, f"{turn}.{number}"))
                await asyncio.to_thread(closer.join)
                done = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 5)
                written = {f"{turn}.{number}" for number, outcome in enumerate(done) if outcome is None}
                assert all(outcome is None or isinstance(outcome, Unavailable) for outcome in done)
                assert {name for name in names(path) if name.startswith(f"{turn}.")} == written

    asyncio.run(journey())


def test_queue_is_bounded(path, monkeypatch):
    """When too much waits, new work is refused at once, but what must be kept is still taken."""
    monkeypatch.setattr(writer_module, "MOST_WAITING", 5)

    async def journey():
        with writing(path) as (writer, _):
            with locked(path):
                first = writer.submit(put, "first")
                await asyncio.sleep(0.05)
                taken = [writer.submit(put, f"n{number}") for number in range(5)]
                refused = writer.submit(put, "refused")
                kept = writer.submit(put, "kept", keep=True)
                with pytest.raises(Unavailable, match="too many"):
                    await refused
            await asyncio.gather(first, *taken, kept)

    asyncio.run(journey())
    assert "refused" not in names(path)
    assert len(names(path)) == 7


def test_locked_by_another_process(path):
    """A lock fails a write in bounded time; what must be kept is written once the lock is gone, nothing else is."""

    async def journey():
        with writing(path) as (writer, _):
            await writer.submit(put, "before")
            with locked(path):
                began = time.monotonic()
                futures = [writer.submit(put, "hold"), writer.submit(put, "settlement", keep=True)]
                outcomes = await asyncio.gather(*futures, return_exceptions=True)
                assert time.monotonic() - began < 4 * PATIENCE
                assert [outcome.code for outcome in outcomes] == ["storage_unavailable"] * 2
                assert "locked" in outcomes[0].message
                assert not writer.healthy
                await asyncio.sleep(2 * PATIENCE)
            await until(lambda: writer.healthy)
            await writer.submit(put, "after")

    asyncio.run(journey())
    assert names(path) == {"before", "settlement", "after"}


def test_health_returns_without_traffic(path, monkeypatch):
    """A gateway that nobody calls finds out by itself that the trouble has lifted."""
    monkeypatch.setattr(writer_module, "RETRY_SECONDS", 0.05)

    async def journey():
        with writing(path) as (writer, _):
            with locked(path):
                with pytest.raises(Unavailable):
                    await writer.submit(put, "hold")
                await asyncio.sleep(0.3)
                assert not writer.healthy
            await until(lambda: writer.healthy)

    asyncio.run(journey())
    assert names(path) == set()


def test_disk_full(path, monkeypatch):
    """On a full disk writes fail, what was acknowledged stays, and kept ones land when there is room again."""
    monkeypatch.setattr(writer_module, "RETRY_SECONDS", 0.05)
    large = "x" * 200_000

    async def journey():
        with writing(path) as (writer, _):
            await writer.submit(put, "before")
            (pages,) = writer._connection.execute("PRAGMA page_count").fetchone()
            writer._connection.execute(f"PRAGMA max_page_count = {pages + 10}")
            for name, keep in ((large + "hold", False), (large + "settlement", True)):
                with pytest.raises(Unavailable, match="disk is full"):
                    await writer.submit(put, name, keep=keep)
            assert not writer.healthy
            assert names(path) == {"before"}
            writer._connection.execute("PRAGMA max_page_count = 1000000")
            await until(lambda: writer.healthy)

    asyncio.run(journey())
    assert names(path) == {"before", large + "settlement"}


def test_read_only_disk(path, monkeypatch):
    """A disk that turns read-only fails writes; a new connection is tried until one may write again."""
    monkeypatch.setattr(writer_module, "RETRY_SECONDS", 0.05)

    async def journey():
        with writing(path) as (writer, trying):
            await writer.submit(put, "before")
            trying.pragmas = ["PRAGMA query_only = ON"]
            writer._connection.execute("PRAGMA query_only = ON")
            with pytest.raises(Unavailable, match="read-only"):
                await writer.submit(put, "settlement", keep=True)
            await asyncio.sleep(0.2)
            assert not writer.healthy
            trying.pragmas = []
            await until(lambda: writer.healthy)

    asyncio.run(journey())
    assert names(path) == {"before", "settlement"}


def test_hanging_disk_is_unhealthy(path):
    """A write that hangs is seen by the health check although it has not failed yet."""
    release = threading.Event()

    async def journey():
        with writing(path) as (writer, _):
            future = writer.submit(lambda connection, items: release.wait(5), "slow")
            await asyncio.sleep(0.02)
            assert writer.healthy
            await until(lambda: not writer.healthy)
            release.set()
            await future
            await until(lambda: writer.healthy)

    asyncio.run(journey())


def test_writes_after_the_end_are_refused(path):
    """A closed writer says so, closing twice is no error, and what waited before is written."""

    async def journey():
        with writing(path) as (writer, _):
            waiting = writer.submit(put, "a")
            writer.close()
            writer.close()
            await waiting
            with pytest.raises(Unavailable, match="closed"):
                await writer.submit(put, "b")
            assert not writer.healthy

    asyncio.run(journey())
    assert names(path) == {"a"}


def test_close_in_trouble_ends(path, caplog):
    """Closing while the file is locked does not hang, and says what was lost."""

    async def journey():
        with writing(path) as (writer, _), locked(path):
            future = writer.submit(put, "settlement", keep=True)
            writer.close()
            with pytest.raises(Unavailable):
                await future

    asyncio.run(journey())
    assert "1 ledger entries could not be written" in caplog.text


def test_strict_commits_reach_the_disk(path):
    """Strict durability waits for the disk on each commit."""

    async def journey():
        with writing(path, strict=True) as (writer, _):
            assert writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)
            await writer.submit(put, "a")

    asyncio.run(journey())
    assert names(path) == {"a"}
