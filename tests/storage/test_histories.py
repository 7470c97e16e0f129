"""What a ledger tells of the past is what its rows add up to, at any moment."""

from __future__ import annotations

from contextlib import closing
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import astuple, replace
from support.beats import history, row

from llmgw.domain.ledger import first_id
from llmgw.domain.pulse import Counts
from llmgw.domain.route import Decision
from llmgw.rules.picture import WINDOWS, total
from llmgw.rules.tallying import Callers
from llmgw.rules.windows import HOUR, Window, bucket
from llmgw.storage.database import Database
from llmgw.storage.histories import Histories, last_by, newest, rows_after
from llmgw.storage.reports import Reports
from llmgw.storage.rows import Dimensions, write_requests

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from llmgw.domain.ledger import RequestRow
    from llmgw.domain.pulse import Line

DAY = 24 * HOUR
AT = 1_793_490_000 * 10**9  # 2026-10-31T23:00Z: midnight and the end of a month in Berlin


def ended(each: RequestRow) -> int:
    return each.started_at + each.latency_us * 1000


def some_rows(until: int, count: int = 1500) -> list[RequestRow]:
    """Requests of the last 40 days, most of them of the last hours, in the order in which they ended."""
    random = Random(11)
    reaches = (4 * 60 * 10**9, HOUR, 30 * HOUR, 8 * DAY, 40 * DAY)
    found = [row(at, until - random.randrange(random.choice(reaches)), random) for at in range(count)]
    found = [replace(each, id=first_id(each.started_at) + number) for number, each in enumerate(found)]
    escalated = Decision(tier="premium", target="x/y", reason="escalated: unsure", rule="hard")
    found[::50] = [replace(each, decision=escalated) for each in found[::50]]
    return sorted((each for each in found if ended(each) <= until), key=ended)


def fill(database: Database, rows: list[RequestRow]) -> None:
    with closing(database.connect()) as connection:
        connection.execute("BEGIN")
        for start in range(0, len(rows), 100):
            write_requests(connection, Dimensions(), rows[start : start + 100])
        connection.execute("COMMIT")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Database, list[RequestRow]]:
    rows = some_rows(AT)
    database = Database.open(tmp_path_factory.mktemp("ledger") / "llmgw.db")
    fill(database, rows)
    return database, rows


def of(lines: Iterable[Line]) -> dict[object, Counts]:
    return {astuple(replace(line, began=0, counts=Counts())): line.counts for line in lines}


def compare(found: object, wanted: object, zone: str) -> None:
    """Two histories tell the same of requests."""
    for name in ("today", "month"):
        assert of(getattr(found, name)) == of(getattr(wanted, name)), name
    buckets = [{each.at: of(each.lines) for each in side.buckets} for side in (found, wanted)]  # type: ignore[attr-defined]
    assert buckets[0] == buckets[1], zone
    for name in ("seq", "since", "step", "hour", "seen"):
        assert getattr(found, name) == getattr(wanted, name), name
    spreads = [
        sorted(side.spreads, key=lambda each: (each.began, each.provider, each.model))
        for side in (found, wanted)
    ]  # type: ignore[attr-defined]
    assert spreads[0] == spreads[1]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu"])
@pytest.mark.parametrize("window", list(WINDOWS))
def test_sums_of_rows(ledger: tuple[Database, list[RequestRow]], window: str, zone: str) -> None:
    """Every sum, span and cost of a history is that of the rows, just before, at and after midnight of a month's end."""
    database, rows = ledger
    histories = Histories(database, Callers(10**6))
    for now in (AT, AT + 1, AT + 5 * 60 * 10**9, AT + 2 * HOUR):
        compare(
            histories.past(window, ZoneInfo(zone), now),
            history(rows, now, window, zone=zone),
            f"{zone} {now}",
        )


@pytest.mark.parametrize("window", list(WINDOWS))
def test_earlier_moments(ledger: tuple[Database, list[RequestRow]], window: str) -> None:
    """As of an earlier row a history tells what it would have told then."""
    database, rows = ledger
    histories = Histories(database, Callers(10**6))
    for seq in (len(rows) - 1, len(rows) - 40, len(rows) // 2, 3):
        now = ended(rows[seq - 1])
        found = histories.past(window, ZoneInfo("Europe/Berlin"), now, seq)
        compare(found, history(rows[:seq], now, window, zone="Europe/Berlin"), str(seq))
    compare(
        histories.past(window, ZoneInfo("Europe/Berlin"), AT),
        history(rows, AT, window, zone="Europe/Berlin"),
        "",
    )


def test_the_same_as_reports(ledger: tuple[Database, list[RequestRow]]) -> None:
    """Today, this month and the month before are what `report` and `status` say."""
    database, _ = ledger
    zone, reports = ZoneInfo("Europe/Berlin"), Reports(database)
    for now in (AT - 1, AT, AT + HOUR):
        past = Histories(database, Callers()).past("24h", zone, now)
        for window, lines in ((Window.DAY, past.today), (Window.MONTH, past.month)):
            totals, counts = reports.current(window, now, zone), total(lines)
            for name in ("requests", "errors", "cost", "premium_cost", "saving", "saved", "unknown_cost", "estimated",
                         "input_tokens", "output_tokens", "cache_read_tokens", "latency_us", "ttft_us"):  # fmt: skip
                assert getattr(counts, name) == getattr(totals, name), (window, name)
        month = bucket(Window.MONTH, now, zone)
        assert past.last_month == reports.current(Window.MONTH, month.start_ns - 1, zone).cost


def test_the_last_hour_is_not_looked_for_in_all_rows(ledger: tuple[Database, list[RequestRow]]) -> None:
    """No question about a window reads every row up to the last: of ten million that takes most of a second each."""
    database, _ = ledger
    asked: list[str] = []
    reader = database.reader()
    reader.set_trace_callback(asked.append)
    try:
        Histories(database, Callers()).past("1h", ZoneInfo("UTC"), AT)
    finally:
        reader.set_trace_callback(None)
    questions = [sql for sql in asked if sql.startswith("SELECT") and "ORDER BY seq DESC" not in sql]
    assert len(questions) > 5
    plans = [str(step[3]) for sql in questions for step in reader.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert [plan for plan in plans if plan.endswith("requests USING INTEGER PRIMARY KEY (rowid<?)")] == []


def test_an_earlier_moment_is_not_looked_for_in_all_that_came_after(
    ledger: tuple[Database, list[RequestRow]],
) -> None:
    """What was told weeks ago is found among the rows of its own days, however many came later."""
    database, rows = ledger
    now = ended(rows[len(rows) // 8])
    histories, asked = Histories(database, Callers()), list[str]()
    histories.past("1h", ZoneInfo("UTC"), now, 1)  # what is read once for all moments
    reader = database.reader()
    reader.set_trace_callback(asked.append)
    try:
        histories.past("24h", ZoneInfo("UTC"), now, last_by(database, now))
    finally:
        reader.set_trace_callback(None)
    questions = [
        sql for sql in asked if "started_at" in sql and "attempts > 1 AND" not in sql and "+seq" in sql
    ]
    questions += [sql for sql in asked if "max(seq) FROM requests WHERE" in sql]
    assert len(questions) == 6
    for sql in questions:
        plans = " ".join(str(step[3]) for step in reader.execute(f"EXPLAIN QUERY PLAN {sql}"))
        assert "(started_at>? AND started_at<?)" in plans, plans


def test_read_again(tmp_path: Path) -> None:
    """What was written since the last look is in the next one, also what only rows know."""
    rows = some_rows(AT, 300)
    with Database.open(tmp_path / "llmgw.db") as database:
        histories = Histories(database, Callers(10**6))
        zone = ZoneInfo("UTC")
        assert histories.past("1h", zone, AT).seq == newest(database) == 0
        for start in range(0, len(rows), 70):
            fill(database, rows[start : start + 70])
            known = rows[: start + 70]
            compare(histories.past("7d", zone, AT), history(known, AT, "7d"), "UTC")
        assert newest(database) == len(rows)


def test_many_callers(tmp_path: Path) -> None:
    """With more callers than are told by name the sums stay whole."""
    rows = [replace(each, key_name=f"key{each.id % 40}", tenant="") for each in some_rows(AT, 400)]
    with Database.open(tmp_path / "llmgw.db") as database:
        fill(database, rows)
        past = Histories(database, Callers(10)).past("30d", ZoneInfo("UTC"), AT)
    wanted = history(rows, AT, "30d")
    assert total(past.month) == total(wanted.month)
    assert len({line.key for line in past.month}) <= 11


def test_rows_by_number(ledger: tuple[Database, list[RequestRow]]) -> None:
    """Rows are read in the order in which they ended, with what decided on them; a moment finds the last one by then."""
    database, rows = ledger
    found = rows_after(database, 100, 50)
    assert [seq for seq, _ in found] == list(range(101, 151))
    for (_, each), wanted in zip(found, rows[100:150], strict=True):
        assert replace(each, decision=None) == replace(wanted, decision=None)
        assert (each.decision and each.decision.reason) == (wanted.decision and wanted.decision.reason)
    for place in (1, 5, 700, len(rows)):
        at = ended(rows[place - 1])
        assert last_by(database, at) == max(n for n, each in enumerate(rows, 1) if ended(each) <= at)
    assert last_by(database, 0) == 0
    assert last_by(database, AT + 90 * DAY) == len(rows)
