"""The chain of hashes: whatever is changed after it was written is found, by name, and nothing else is."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, closing

import pytest
from support.ledger_words import NOON, a_hold, a_refusal, a_request, an_outcome, standing_clock

from llmgw.domain.ledger import show_id
from llmgw.storage import chain, schema
from llmgw.storage.database import Database
from llmgw.storage.ledger import Ledger
from llmgw.storage.rows import Dimensions, write_requests
from llmgw.storage.verify import verify


@asynccontextmanager
async def opened(path, boot="first"):
    gateway = Ledger.open(path, boot, standing_clock())
    try:
        yield gateway
    finally:
        gateway.close()


async def answer(gateway, number, **words):
    """A call that falls back once: two attempts, one request."""
    await gateway.hold(a_hold(number, **words))
    await gateway.settle(an_outcome(number, cost=5, status=502, error="upstream_error"))
    await gateway.hold(a_hold(number, 2))
    await gateway.settle(an_outcome(number, 2), a_request(number, attempts=2, cost=73, **words))


def write(path, first=1, last=9):
    """Nine calls, each in a link of its own, of two users."""

    async def journey():
        async with opened(path, f"from {first}") as gateway:
            for number in range(first, last + 1):
                await answer(gateway, number, user="ada" if number < 5 else "bob")

    asyncio.run(journey())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "llmgw.db"
    write(path)
    return path


def sql(path, script):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def findings(path):
    with Database.open(path) as database:
        return [each for each in verify(database.reader(), 0) if each.code in {"changed", "unlinked"}]


def span(path):
    with Database.open(path) as database:
        return chain.span(database.reader())


def columns(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


UNCHAINED = {
    "requests": {"seq"},  # the key by which an edit finds its row
    "attempts": {"request_id", "boot", "open"},  # who served, and whether it is over: neither is money
    "dimensions": {"id"},
}


@pytest.mark.parametrize("table", UNCHAINED)
def test_every_edited_column_is_found(path, table):
    """Whatever column of a final row is edited, the request it belongs to is named, and no other one."""
    names = [name for name in columns(path, table) if name not in UNCHAINED[table]]
    assert len(names) > 9
    where = {
        "requests": "id = 6",
        "attempts": "request_id = 6 AND attempt = 1",
        "dimensions": "id = (SELECT min(id) FROM dimensions WHERE user = 'bob')",
    }[table]
    at = {"requests": 6, "attempts": 6, "dimensions": 5}[table]  # bob's first
    for name in names:
        with closing(sqlite3.connect(path)) as connection:
            (before,) = connection.execute(f"SELECT {name} FROM {table} WHERE {where}").fetchone()
            after = f"{before}1" if isinstance(before, str) else (before or 0) + 7
            connection.execute(f"UPDATE {table} SET {name} = ? WHERE {where}", (after,))
            found = [(each.first, each.last) for each in chain.breaks(connection)]
            connection.rollback()
        assert found == [(13, 13) if (table, name) == ("requests", "id") else (at, at)], name
    assert findings(path) == []


@pytest.mark.parametrize(
    ("change", "request_id", "code"),
    [
        ("DELETE FROM requests WHERE id = 6; DELETE FROM attempts WHERE request_id = 6", 0, "changed"),
        ("DELETE FROM attempts WHERE request_id = 6 AND attempt = 2", 6, "changed"),
        ("UPDATE requests SET seq = seq + 1000 WHERE id = 6", 6, "unlinked"),
        ("DELETE FROM requests WHERE id = 9; DELETE FROM attempts WHERE request_id = 9", 0, "changed"),
        ("DELETE FROM links WHERE seq = 6", 6, "changed"),
        ("DELETE FROM links WHERE seq >= 6", 6, "unlinked"),
        ("DELETE FROM links", 1, "unlinked"),
        ("UPDATE links SET hash = randomblob(32) WHERE seq = 6", 6, "changed"),
        (
            "UPDATE attempts SET request_id = 5, attempt = 3 WHERE request_id = 6 AND attempt = 1",
            5,
            "changed",
        ),
    ],
)
def test_what_is_taken_away_or_moved_is_found(path, change, request_id, code):
    """Deleted and moved rows and links leave a break where they were."""
    sql(path, change)
    assert (request_id, code) in {(each.request_id, each.code) for each in findings(path)}


ANOTHER_MODEL = """INSERT INTO dimensions
    SELECT 99, '', '', 0, '', '', surface, provider, 'another', tier, cache FROM dimensions LIMIT 1;
    UPDATE overall SET dimension = 99"""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (ANOTHER_MODEL, "sum_differs"),
        ("UPDATE overall SET bucket = 'x'", "sum_differs"),
        ("UPDATE days SET day = 'x'", "sum_differs"),
        ("UPDATE rollups SET bucket = 'x'", "rollup_differs"),
        ("UPDATE requests SET id = 'x' WHERE id = 6", "changed"),
        ("UPDATE attempts SET request_id = 'x' WHERE request_id = 6", "missing_request"),
        ("UPDATE links SET dimension = 'x' WHERE seq = 1", "changed"),
        ("UPDATE links SET hash = 'x' || hash WHERE seq = 6", "changed"),
    ],
)
def test_what_makes_no_sense_is_found_too(path, change, code):
    """Sums that were moved to another model are found, and so is a text where a number belongs."""
    sql(path, change)
    with Database.open(path) as database:
        assert code in {each.code for each in verify(database.reader(), 0)}


def test_row_that_was_slipped_in_is_found(path):
    """A request that somebody adds is not taken for one of the gateway's when that goes on, whatever its number."""
    copied = ", ".join(name for name in columns(path, "requests") if name not in {"seq", "id"})
    sql(path, f"INSERT INTO requests (id, {copied}) SELECT 77, {copied} FROM requests WHERE id = 6")
    assert [(each.code, each.request_id) for each in findings(path)] == [("unlinked", 77)]
    write(path, 10, 12)
    assert [(each.code, each.request_id) for each in findings(path)] == [("changed", 77)]
    assert show_id(77) in findings(path)[0].message
    assert show_id(10) in findings(path)[0].message


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM links",
        "DELETE FROM requests WHERE id > 5; DELETE FROM attempts WHERE request_id > 5",
        "UPDATE requests SET seq = 9223372036854775807 WHERE id = 6",
    ],
)
def test_a_broken_chain_stops_nobody(path, change):
    """Whatever was done to the file, calls go on and are in the ledger, and the damage stays visible."""
    sql(path, change)
    write(path, 10, 14)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM requests WHERE id >= 10").fetchone() == (5,)
    assert findings(path) or change == "DELETE FROM links"
    if change == "DELETE FROM links":  # a new beginning, which `verify` says
        assert span(path).requests == 4


def test_shortened_chain_is_found_by_a_head_kept_elsewhere(path):
    """Who takes the newest rows with their links away leaves a sound chain, in which a head noted before is missing."""
    before = bytes.fromhex(span(path).head)
    sql(
        path,
        "DELETE FROM requests WHERE id > 7; DELETE FROM attempts WHERE request_id > 7;"
        "DELETE FROM links WHERE seq > 7",
    )
    assert findings(path) == []
    with Database.open(path) as database:
        assert not chain.holds(database.reader(), before)
    now = bytes.fromhex(span(path).head)
    write(path, 10, 12)
    with Database.open(path) as database:
        assert chain.holds(database.reader(), now)


def test_first_link_proves_no_head(path):
    """Who starts the chain anew and calls its beginning by a head that was noted is not believed."""
    noted = bytes.fromhex(span(path).head)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE requests SET cost = 0, premium_cost = 0")
        connection.execute("DELETE FROM links")
        connection.execute("INSERT INTO links SELECT max(seq), 99, ? FROM requests", (noted,))
    assert findings(path) == []
    assert span(path).requests == 0
    with Database.open(path) as database:
        assert not chain.holds(database.reader(), noted)


def test_older_ledger_is_chained_from_its_next_request_on(tmp_path):
    """Rows from before there was a chain are taken as they stand; what follows is proven, and it is told from when."""
    path = tmp_path / "llmgw.db"
    write(path, 1, 3)
    sql(path, "; ".join(["DROP TABLE links", *dict(schema.STEPS)["0004_chain"]]))
    assert span(path) == ("", 0, None)
    write(path, 4, 6)
    assert findings(path) == []
    assert span(path)[1:] == (3, NOON)
    sql(path, "UPDATE requests SET latency_us = 1 WHERE id = 2")
    assert findings(path) == []
    sql(path, "UPDATE requests SET latency_us = 1 WHERE id = 5")
    assert [each.request_id for each in findings(path)] == [5]


def test_oldest_rows_may_be_pruned_up_to_a_link(path):
    """Rows that are deleted together with the links before theirs leave a chain that is whole from there on."""
    sql(
        path,
        "DELETE FROM attempts WHERE request_id <= 4; DELETE FROM requests WHERE seq <= 4;"
        "DELETE FROM links WHERE seq < 4",
    )
    assert findings(path) == []
    assert span(path).requests == 5
    sql(path, "UPDATE requests SET cost = 1 WHERE id = 7")
    assert [each.request_id for each in findings(path)] == [7]


def test_what_recovery_closes_is_chained(tmp_path):
    """Requests that a dead process left get their link with their rows."""
    path = tmp_path / "llmgw.db"

    async def journey():
        async with opened(path) as gateway:
            await gateway.hold(a_hold(1))
            await gateway.hold(a_hold(2), dispatched=False)
        async with opened(path, "second") as gateway:
            assert gateway.recover().requests == 2
            await gateway.record(a_refusal(3))
            assert gateway.verify() == []

    asyncio.run(journey())
    assert span(path).requests == 3
    sql(path, "UPDATE attempts SET cost = 0, held_cost = 0 WHERE request_id = 1")
    assert [each.code for each in findings(path)] == ["changed"]


@pytest.mark.slow
def test_a_million_rows_are_proven_in_seconds(tmp_path):
    """A million requests, twenty to a link, are walked in well under half a minute."""
    with Database.open(tmp_path / "llmgw.db") as database, closing(database.connect()) as connection:
        dimensions = Dimensions()
        connection.execute("BEGIN")
        for first in range(1, 1_000_001, 20):
            write_requests(connection, dimensions, [a_request(first + more) for more in range(20)])
            chain.extend(connection, 20)
        connection.execute("COMMIT")
        begun = time.monotonic()
        assert list(chain.breaks(connection)) == []
        took = time.monotonic() - begun
        print(f"{took:.1f} s")
        assert took < 30
