"""What the ledger tells of its commits is what is in it: each request once, under its number."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING

from support.ledger_words import a_hold, a_refusal, a_request, an_outcome, standing_clock

from llmgw.errors import GatewayError
from llmgw.storage.ledger import Ledger, Written

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Told(list[Written]):
    """Everything that was told, as pairs of number and id."""

    @property
    def rows(self) -> list[tuple[int, int]]:
        return [(written.first + at, row.id) for written in self for at, row in enumerate(written.rows)]


@asynccontextmanager
async def opened(path: Path, told: Told, **options: float) -> AsyncIterator[Ledger]:
    ledger = Ledger.open(path, "boot", standing_clock(), told=told.append, **options)
    try:
        yield ledger
    finally:
        ledger.close()


def written(path: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT seq, id FROM requests ORDER BY seq").fetchall()


def test_each_once(tmp_path: Path) -> None:
    """Settled, refused and settled twice: told is what has a row, once, under the row's number."""
    told, path = Told(), tmp_path / "llmgw.db"

    async def play() -> None:
        async with opened(path, told) as ledger:
            for number in range(1, 60):
                ledger.hold(a_hold(number))
                ledger.settle(an_outcome(number), a_request(number))
                if number % 5 == 0:
                    ledger.settle(an_outcome(number), a_request(number))
                if number % 3 == 0:
                    ledger.record(a_refusal(1000 + number))
                if number % 6 == 0:
                    ledger.record(a_refusal(1000 + number))
                if number % 7 == 0:
                    await asyncio.sleep(0.002)

    asyncio.run(play())
    assert told.rows == written(path)
    assert len(told.rows) == 59 + 19


def test_a_faulty_one_among_others(tmp_path: Path) -> None:
    """A batch that is taken back and written one by one is told once, without the row that is at fault."""
    told, path = Told(), tmp_path / "llmgw.db"

    async def play() -> None:
        async with opened(path, told) as ledger:
            for number in range(1, 30):
                bad = number in {7, 20}
                row = a_request(number, latency_us=None) if bad else a_request(number)
                ledger.hold(a_hold(number))
                future = ledger.settle(an_outcome(number), row)
            with suppress(Exception):
                await future

    asyncio.run(play())
    assert told.rows == written(path)
    assert len(told.rows) == 27


def test_late_after_trouble(tmp_path: Path) -> None:
    """What had to wait for a locked file is told when it is written, once, and nothing before."""
    told, path = Told(), tmp_path / "llmgw.db"

    async def play() -> None:
        async with opened(path, told, patience=0.05) as ledger:
            await ledger.hold(a_hold(1))
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with suppress(GatewayError):
                    await ledger.settle(an_outcome(1), a_request(1))
                assert told.rows == []
                other.execute("ROLLBACK")
            for _ in range(100):
                if told.rows:
                    break
                await asyncio.sleep(0.05)

    asyncio.run(play())
    assert told.rows == written(path)
    assert len(told.rows) == 1


def test_taken_back(tmp_path: Path) -> None:
    """What was written in a transaction that could not be ended is told when it is written again, and only then."""
    told, path = Told(), tmp_path / "llmgw.db"
    troubles = [True]

    def troubled(_connection: sqlite3.Connection, _items: object) -> None:
        if troubles:
            troubles.pop()
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    async def play() -> None:
        async with opened(path, told) as ledger:
            for number in range(1, 6):
                ledger.hold(a_hold(number))
            await ledger.hold(a_hold(6))
            for number in range(1, 6):
                ledger.settle(an_outcome(number), a_request(number))
            with suppress(GatewayError):
                await ledger._writer.submit(troubled, None)
            assert not troubles
            assert told.rows == []
            for _ in range(100):
                if told.rows:
                    break
                await asyncio.sleep(0.05)

    asyncio.run(play())
    assert told.rows == written(path)
    assert len(told.rows) == 5
