"""The ledger's words: hold, dispatch, settle, record, recover, verify."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, closing

import pytest
from msgspec import structs
from support.ledger_words import NOON, USAGE, a_hold, a_refusal, a_request, an_outcome, standing_clock

from llmgw.domain.ledger import AttemptState, CacheVerdict
from llmgw.domain.usage import Usage
from llmgw.errors import Unavailable
from llmgw.storage import writer
from llmgw.storage.database import Database
from llmgw.storage.ledger import Ledger
from llmgw.storage.reports import Reports
from llmgw.storage.requests import Requests


@pytest.fixture
def path(tmp_path):
    return tmp_path / "llmgw.db"


@asynccontextmanager
async def opened(path, boot="first", **options):
    ledger = Ledger.open(path, boot, standing_clock(), **options)
    try:
        yield ledger
    finally:
        ledger.close()


def show(path, number):
    with Database.open(path) as database:
        return Requests(database).show(number)


def totals(path):
    with Database.open(path) as database:
        return Reports(database).totals()


def sql(path, statement, *values):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def crashed(path):
    """Make a boot look as if its process had been killed: its end was never noted."""
    sql(path, "UPDATE boots SET stopped_at = NULL")


def test_one_call_from_hold_to_row(path):
    """A call that went well is one attempt and one request, each field as it was given, and one line of sums."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(7))
            flying = show(path, 7)
            assert flying.request is None
            assert flying.attempts[0].state is AttemptState.DISPATCHED
            assert flying.attempts[0].held_cost == 900
            await ledger.settle(an_outcome(7), a_request(7, cache=CacheVerdict.MISS))
            assert ledger.verify() == []

    asyncio.run(journey())
    detail = show(path, 7)
    assert detail.request == a_request(7, cache=CacheVerdict.MISS)
    (attempt,) = detail.attempts
    outcome = structs.asdict(an_outcome(7))
    del outcome["request_id"]
    assert {name: getattr(attempt, name) for name in outcome} == outcome
    sums = totals(path)
    assert (sums.requests, sums.errors, sums.cost, sums.premium_cost, sums.saving) == (1, 0, 68, 1000, 932)
    assert (sums.input_tokens, sums.cache_read_tokens, sums.estimated) == (1000, 600, 0)
    assert (sums.mean_latency_us, sums.mean_ttft_us) == (1_000_000, 300_000)


def test_states_only_go_forward(path):
    """Held, then dispatched, then settled; a settled attempt cannot be dispatched again."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(7), dispatched=False)
            assert show(path, 7).attempts[0].state is AttemptState.HELD
            await ledger.dispatch(7, 1)
            assert show(path, 7).attempts[0].state is AttemptState.DISPATCHED
            await ledger.settle(an_outcome(7), a_request(7))
            await ledger.dispatch(7, 1)
            assert show(path, 7).attempts[0].state is AttemptState.SETTLED

    asyncio.run(journey())


@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "two batches"])
def test_second_settlement_changes_nothing(path, at_once):
    """A second settle, whatever it says, leaves the attempt, the request and the sums as they are."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(7))
            twice = [
                ledger.settle(an_outcome(7), a_request(7)),
                ledger.settle(an_outcome(7, cost=99, status=500), a_request(7, cost=99)),
            ]
            if at_once:
                await asyncio.gather(*twice)
            else:
                for settlement in twice:
                    await settlement
            assert ledger.verify() == []

    asyncio.run(journey())
    assert show(path, 7).request.cost == 68
    assert (totals(path).requests, totals(path).cost) == (1, 68)


def test_fallback_is_an_attempt_of_its_own(path):
    """A failed attempt and the one after it are two rows and one request, whose cost is their sum."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(7))
            await ledger.settle(an_outcome(7, status=502, error="upstream_error", cost=5))
            await ledger.hold(a_hold(7, 2, provider="groq", model="llama"))
            await ledger.settle(
                an_outcome(7, 2), a_request(7, provider="groq", model="llama", attempts=2, cost=73)
            )
            assert ledger.verify() == []

    asyncio.run(journey())
    assert [attempt.provider for attempt in show(path, 7).attempts] == ["openai", "groq"]
    assert totals(path).cost == 73


def test_request_recorded_after_its_last_attempt_closes_it(path):
    """A request that ends between two attempts leaves none open, also when others settle in the same batch."""

    async def journey():
        async with opened(path) as ledger:
            await asyncio.gather(ledger.hold(a_hold(7)), ledger.hold(a_hold(8)))
            await ledger.settle(an_outcome(7, status=502, error="upstream_error", cost=5))
            await asyncio.gather(
                ledger.record(a_request(7, status=499, error="cancelled", cost=5)),
                ledger.settle(an_outcome(8), a_request(8)),
            )
            assert ledger.verify() == []

    asyncio.run(journey())


def test_unknown_price_is_not_zero(path):
    """A request without a price is counted as unknown, and its cost stays unknown in its row."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(7, cost=None))
            await ledger.settle(an_outcome(7, cost=None), a_request(7, cost=None))
            assert ledger.verify() == []

    asyncio.run(journey())
    assert show(path, 7).request.cost is None
    assert (totals(path).cost, totals(path).unknown_cost, totals(path).saving) == (0, 1, 0)


def test_refusals_are_recorded_once(path):
    """A request refused before any target has a row and counts as an error; a second record changes nothing."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.record(a_refusal(7))
            await ledger.record(a_refusal(7))
            await asyncio.gather(*(ledger.record(a_refusal(number)) for number in (7, 8)))
            assert ledger.verify() == []

    asyncio.run(journey())
    assert show(path, 7).request == a_refusal(7)
    assert (totals(path).requests, totals(path).errors) == (2, 2)


def test_settlement_without_a_hold_keeps_the_request(path):
    """When the hold could not be written, the refusal that follows from it is still recorded."""

    async def journey():
        async with opened(path) as ledger:
            released = an_outcome(7, state=AttemptState.RELEASED, cost=0)
            await ledger.settle(released, a_request(7, cost=0, status=503, error="storage_unavailable"))
            assert ledger.verify() == []

    asyncio.run(journey())
    assert show(path, 7).request.error == "storage_unavailable"


def test_record_ends_what_fell_back_in_vain(path):
    """A request whose last attempt was never held is closed by its record, and nothing of it is left open."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(7))
            await ledger.settle(an_outcome(7, cost=5))
            await ledger.record(a_request(7, cost=5, status=402, error="budget_exceeded"))
            assert ledger.verify() == []
        async with opened(path, "second") as ledger:
            assert not ledger.recover()

    asyncio.run(journey())


def test_what_a_dead_process_left_is_closed(path):
    """Unsent holds are released at no cost, sent ones orphaned at their hold, settled ones keep their cost; each
    request gets a row, and a second recovery finds nothing.
    """

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(1), dispatched=False)
            await ledger.hold(a_hold(2))
            await ledger.hold(a_hold(3, cost=None))
            await ledger.hold(a_hold(4))
            await ledger.settle(an_outcome(4, cost=5, error="upstream_error"))
            await ledger.hold(a_hold(4, 2, model="dear"))
            await ledger.hold(a_hold(5))
            await ledger.settle(an_outcome(5), a_request(5))
        crashed(path)
        async with opened(path, "second") as ledger:
            await ledger.hold(a_hold(6))
            assert [finding.code for finding in ledger.verify()] == ["stuck"] * 5
            assert ledger.recover() == (1, 3, 4)
            assert not ledger.recover()
            assert ledger.verify() == []
            await ledger.settle(an_outcome(6), a_request(6))
            await ledger.settle(an_outcome(2), a_request(2))
            assert ledger.verify() == []

    asyncio.run(journey())
    rows = {number: show(path, number) for number in range(1, 7)}
    assert [rows[number].request.error for number in rows] == ["orphaned"] * 4 + ["", ""]
    assert [rows[number].request.cost for number in rows] == [0, 900, None, 905, 68, 68]
    assert [rows[number].attempts[-1].state for number in rows] == [
        AttemptState.RELEASED,
        AttemptState.ORPHANED,
        AttemptState.ORPHANED,
        AttemptState.ORPHANED,
        AttemptState.SETTLED,
        AttemptState.SETTLED,
    ]
    assert rows[4].request.model == "dear"
    assert rows[2].request.usage == Usage(estimated=True, complete=False)
    assert (totals(path).requests, totals(path).cost, totals(path).unknown_cost) == (6, 1941, 1)
    assert sql(path, "SELECT name, stopped_at FROM boots") == [("first", NOON), ("second", NOON)]


def test_highest_id_counts_calls_in_flight(path):
    """New ids start above every id in the ledger, also those whose requests have not ended."""

    async def journey():
        async with opened(path) as ledger:
            assert ledger.last_id() == 0
            await ledger.record(a_refusal(5))
            await ledger.hold(a_hold(9))
            assert ledger.last_id() == 9

    asyncio.run(journey())


def test_locked_ledger_refuses_holds_and_keeps_settlements(path):
    """Under a lock a hold fails and never happens; a settlement fails too, yet is in the ledger afterwards."""

    async def journey():
        async with opened(path, patience=0.1) as ledger:
            await ledger.hold(a_hold(1))
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                for write in (
                    ledger.hold(a_hold(2)),
                    ledger.settle(an_outcome(1), a_request(1)),
                ):
                    with pytest.raises(Unavailable):
                        await write
                assert not ledger.healthy
                other.execute("ROLLBACK")
            await until_healthy(ledger)
            await ledger.record(a_refusal(3))
            assert ledger.verify() == []

    asyncio.run(journey())
    assert totals(path).requests == 2
    assert sql(path, "SELECT request_id FROM attempts") == [(1,)]


def test_locked_ledger_takes_what_costs_nothing(path):
    """Under a lock free calls and refusals go on, as many as may wait, and are in the ledger once it is gone; a hold
    that costs is refused at once.
    """

    async def journey():
        async with opened(path, patience=0.1) as ledger:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                await ledger.hold(a_hold(1, cost=0))
                assert not ledger.healthy
                begun = time.monotonic()
                await ledger.settle(an_outcome(1, cost=0), a_request(1, cost=0))
                await ledger.record(a_refusal(2))
                for cost in (900, None):
                    with pytest.raises(Unavailable, match="locked"):
                        await ledger.hold(a_hold(3, cost=cost))
                assert time.monotonic() - begun < 0.05
                other.execute("ROLLBACK")
            await until_healthy(ledger)
            assert ledger.verify() == []

    asyncio.run(journey())
    assert show(path, 1).request == a_request(1, cost=0)
    assert show(path, 2).request == a_refusal(2)
    assert sql(path, "SELECT request_id FROM attempts") == [(1,)]


def test_what_waits_for_the_disk_is_bounded(path, monkeypatch):
    """In a long trouble memory does not grow without end: no new free call is taken then, yet each one taken ends."""
    monkeypatch.setattr(writer, "MOST_WAITING", 3)

    async def journey():
        async with opened(path, patience=0.1) as ledger:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                for number in (1, 2, 3):
                    await ledger.hold(a_hold(number, cost=0))
                unheld = an_outcome(4, state=AttemptState.RELEASED, cost=0)
                for write in (
                    ledger.hold(a_hold(4, cost=0)),
                    ledger.settle(unheld, a_request(4, cost=0, status=503), held=False),
                    ledger.record(a_refusal(5)),
                ):
                    with pytest.raises(Unavailable, match="too many"):
                        await write
                for number in (1, 2, 3):
                    await ledger.settle(an_outcome(number, cost=0), a_request(number, cost=0))
                other.execute("ROLLBACK")
            await until_healthy(ledger)
            await ledger.record(a_refusal(6))
            assert ledger.verify() == []

    asyncio.run(journey())
    assert sql(path, "SELECT id FROM requests ORDER BY seq") == [(1,), (2,), (3,), (6,)]


def test_log_that_was_deleted_loses_nothing(path):
    """A log that somebody deletes is noticed; paid calls are refused, and once the ledger is closed all is in the file."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(1))
            ledger.check()
            path.with_name("llmgw.db-wal").unlink()
            ledger.check()
            with pytest.raises(Unavailable, match="-wal was moved, deleted") as refusal:
                await ledger.hold(a_hold(2))
            assert "restart" in refusal.value.hint
            assert not ledger.healthy
            await ledger.settle(an_outcome(1), a_request(1))

    asyncio.run(journey())
    assert show(path, 1).request == a_request(1)
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


async def until_healthy(ledger):
    end = time.monotonic() + 5
    while not ledger.healthy:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_dimensions_survive_a_batch_taken_back(path):
    """Words first seen in a batch that was taken back are written again with the next one."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(1))
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                futures = [
                    ledger.hold(a_hold(2, model="new")),
                    ledger.hold(a_hold(1)),
                    ledger.hold(a_hold(3, model="newer")),
                ]
                await asyncio.sleep(0.05)
                other.execute("ROLLBACK")
            done = await asyncio.gather(*futures, return_exceptions=True)
            assert [type(outcome) for outcome in done] == [type(None), sqlite3.IntegrityError, type(None)]
            await ledger.hold(a_hold(4, model="newer"))

    asyncio.run(journey())
    assert [show(path, number).attempts[0].model for number in (2, 3, 4)] == ["new", "newer", "newer"]


DAMAGE = {
    "cost_differs": "UPDATE attempts SET cost = cost + 1 WHERE request_id = 1",
    "rollup_differs": "UPDATE rollups SET cost = cost + 1",
    "attempts_differ": "UPDATE requests SET attempts = 0 WHERE id = 1",
    "missing_request": "DELETE FROM requests WHERE id = 1",
    "undecided": "UPDATE attempts SET state = 1 WHERE request_id = 1",
    "unclosed": "UPDATE attempts SET open = 1 WHERE request_id = 1",
    "stuck": "UPDATE attempts SET boot = 99 WHERE request_id = 2",
}


@pytest.mark.parametrize("code", DAMAGE)
def test_damage_is_found(path, code):
    """Each way in which the ledger may not add up is found and named."""

    async def journey():
        async with opened(path) as ledger:
            await ledger.hold(a_hold(1))
            await ledger.settle(an_outcome(1), a_request(1))
            await ledger.hold(a_hold(2))
            sql(path, DAMAGE[code])
            findings = ledger.verify()
            assert code in [finding.code for finding in findings]
            assert all(finding.message for finding in findings)

    asyncio.run(journey())


def test_quarters_of_an_hour(path):
    """Sums are kept in the quarter of an hour in which a request started, and equal ones share a row."""

    async def journey():
        async with opened(path) as ledger:
            minute = 60 * 10**9
            await asyncio.gather(
                *(ledger.record(a_refusal(n, started_at=NOON + n * minute, usage=USAGE)) for n in range(30))
            )
            assert ledger.verify() == []

    asyncio.run(journey())
    quarter = 900 * 10**9
    assert sql(path, "SELECT bucket, requests, input_tokens FROM rollups") == [
        (NOON, 15, 15_000),
        (NOON + quarter, 15, 15_000),
    ]
