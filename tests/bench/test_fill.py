"""The script that makes large databases makes true ones, and what people wait for is quick on them."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from llmgw.domain.budget import Budget, Window
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.scope import parse_scope
from llmgw.rules.reservations import Standing
from llmgw.storage.balance import balances
from llmgw.storage.budgets import Budgets
from llmgw.storage.control import Control
from llmgw.storage.database import Database
from llmgw.storage.keyring import Keys
from llmgw.storage.ledger import Ledger
from llmgw.storage.reports import Reports
from llmgw.storage.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

BERLIN = ZoneInfo("Europe/Berlin")


def fill(home: Path, **size: int) -> str:
    spec = spec_from_file_location("fill", Path(__file__).with_name("fill.py"))
    assert spec is not None
    assert spec.loader is not None
    module: Any = module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.fill(home, **size))


def test_a_filled_database_adds_up(tmp_path: Path) -> None:
    """Requests, attempts, roll-ups, sums and the chain agree, and the key that was printed is the first one's."""
    token = fill(tmp_path, requests=5_000, keys=40, budgets=25, days=3)
    with Control(tmp_path / "llmgw.db") as control, Database.open(tmp_path / "llmgw.db") as database:
        key = control.find(token)
        assert key is not None
        assert key.name == "key0"
        with closing(database.connect()) as connection:
            assert verify(connection, 0) == []
            assert all(each.even for each in balances(connection, BERLIN))
            (spent,) = connection.execute("SELECT sum(cost) FROM requests").fetchone()
        total = Budget(scope=parse_scope("all"), window=Window.TOTAL, hard=1)
        assert Budgets(control).spent([Standing(total)], BERLIN, time.time_ns())[0] == [spent]
        assert Reports(database).totals().cost == spent


@pytest.mark.parametrize("table", ["days", "overall"])
def test_a_changed_sum_is_found(table: str, tmp_path: Path) -> None:
    """`db verify` tells where a sum that reports or budgets read is not that of its roll-ups."""
    fill(tmp_path, requests=500, keys=4, budgets=1, days=1)
    with Database.open(tmp_path / "llmgw.db") as database, closing(database.connect()) as connection:
        connection.execute(f"UPDATE {table} SET cost = cost + 1")
        assert {finding.code for finding in verify(connection, 0)} == {"sum_differs"}


def best(action: Callable[[], object]) -> float:
    """Seconds of CPU of the quickest of three runs."""
    spans = []
    for _ in range(3):
        begun = time.process_time()
        action()
        spans.append(time.process_time() - begun)
    return min(spans)


@pytest.mark.slow
def test_ten_thousand_keys_and_a_thousand_budgets(tmp_path: Path) -> None:
    """With two million requests of 10,000 keys and 1,000 budgets reports, budgets, a start and a change take no time."""
    fill(tmp_path, requests=2_000_000, keys=10_000, budgets=1_000, days=30)
    path = tmp_path / "llmgw.db"
    with Control(path) as control, Database.open(path) as database:
        budgets, reports, keys = Budgets(control), Reports(database), Keys(control)
        for window in ("day", "month"):
            for by in (None, "model", "tier"):
                assert best(lambda w=window, b=by: reports.report(w, BERLIN, 0, 2**63 - 1, b)) < 0.1
        assert best(lambda: budgets.spending(BERLIN)) < 0.4
        one = Standing(Budget(scope=parse_scope("key:key7"), window=Window.TOTAL, hard=1))
        assert best(lambda: budgets.spent([one], BERLIN, time.time_ns())) < 0.02
        keys()
        assert best(keys) < 0.003

    async def restart() -> None:
        ledger = Ledger.open(path, "again", SYSTEM_CLOCK)
        ledger.recover()
        ledger.last_id()
        ledger.close()

    assert best(lambda: asyncio.run(restart())) < 0.1
