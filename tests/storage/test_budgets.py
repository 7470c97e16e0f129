"""Budgets as they are kept, and what the ledger says was spent of them. # D-20 A-11"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from zoneinfo import ZoneInfo

import pytest
from support.budgets import UTC, budget
from support.ledger_words import NOON, a_hold, a_request, an_outcome, standing_clock

from llmgw.domain.budget import Unit, Window
from llmgw.domain.scope import parse_scope
from llmgw.errors import BadRequest, NotFound
from llmgw.storage.budgets import Budgets
from llmgw.storage.control import Control
from llmgw.storage.database import Database
from llmgw.storage.ledger import Ledger
from llmgw.storage.notices import Notice, Notices

HOUR = 3600 * 10**9


@pytest.fixture
def path(tmp_path):
    return tmp_path / "llmgw.db"


@pytest.fixture
def control(path):
    with Control(path, standing_clock()) as opened:
        yield opened


@pytest.fixture
def budgets(control):
    return Budgets(control, standing_clock())


def write(path, *calls):
    """Calls as pairs of a number and changed fields; several attempts where ``tried`` names their providers."""

    async def journey():
        ledger = Ledger.open(path, "test", standing_clock())
        for number, changed in calls:
            tried = changed.pop("tried", {changed.get("provider", "openai"): changed.get("cost", 68)})
            for attempt, (provider, cost) in enumerate(tried.items(), 1):
                at = changed.get("started_at", NOON)
                await ledger.hold(a_hold(number, attempt, provider=provider, started_at=at))
                last = attempt == len(tried)
                total = sum(tried.values())
                fields = {"provider": provider, "attempts": attempt, **changed, "cost": total}
                row = a_request(number, **fields) if last else None
                failed = {} if last else {"status": 502, "error": "upstream_error"}
                await ledger.settle(an_outcome(number, attempt, cost=cost, **failed), row)
        assert ledger.verify() == []
        ledger.close()

    asyncio.run(journey())


def spent(budgets, zone=UTC, now=NOON):
    return {f"{each.budget.scope}/{each.budget.window}": each.spent for each in budgets.spending(zone, now)}


def test_budgets_are_kept_whole_and_in_order(budgets, control):
    """What is set is what is listed, from the widest scope on; setting it again replaces it, and all see a change."""
    mark = control.stamp.read()
    wide = budget("all", "month", hard=200)
    narrow = budget(
        "key:ci", "day", "tokens", hard=9, medium=5, soft=5, warn=(80, 95), on_exceed="downgrade:local"
    )
    budgets.set(narrow, wide)
    assert budgets.list() == (wide, narrow)
    assert control.stamp.read() != mark
    budgets.set(budget("all", "month", hard=300))
    assert [each.hard for each in budgets.show(parse_scope("all"))] == [300]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"hard": -1},
        {"hard": 5, "soft": 6},
        {"hard": 5, "medium": 6},
        {"soft": 5, "warn": (80,)},
        {"hard": 5, "warn": (0,)},
        {"hard": 5, "warn": (101,)},
        {"hard": 5, "on_exceed": "downgrade"},
        {"hard": 5, "on_exceed": "downgrade:gold"},
        {"hard": 5, "on_exceed": "shrug"},
    ],
)
def test_nonsense_is_refused_and_nothing_is_set(budgets, wrong):
    """Of several budgets of which one makes no sense none is put in force."""
    with pytest.raises(BadRequest):
        budgets.set(budget("all", hard=1), budget("key:ci", **wrong))
    assert budgets.list() == ()


def test_declaring_removes_what_is_not_declared(budgets, control):
    """A declared set replaces all others in one step, and a budget that stays keeps its reset."""
    kept, gone, new = budget("all", hard=1), budget("key:a", hard=1), budget("key:b", hard=1)
    budgets.set(kept, gone)
    budgets.reset()
    budgets.replace(budget("all", hard=2), new)
    assert [str(each.scope) for each in budgets.list()] == ["all", "key:b"]
    assert [each.since for each in budgets.load()] == [NOON, 0]


def test_removing_takes_one_or_all_of_a_scope(budgets):
    """Without a window all budgets of the scope go; what is not there is NotFound."""
    budgets.set(
        *(budget("all", window, hard=1) for window in ("day", "month")),
        budget("all", "day", "tokens", hard=1),
    )
    assert len(budgets.remove(parse_scope("all"), Window.DAY, Unit.TOKENS)) == 1
    assert len(budgets.remove(parse_scope("all"))) == 2
    for method in (budgets.show, budgets.remove, budgets.reset):
        with pytest.raises(NotFound):
            method(parse_scope("all"))


def test_spending_is_that_of_the_running_window(path, budgets):
    """Yesterday's calls are not in today's budget, and whose midnight it is decides which are today's."""
    write(
        path,
        (1, {"started_at": NOON, "cost": 1}),
        (2, {"started_at": NOON - 12 * HOUR, "cost": 10}),  # midnight in UTC
        (3, {"started_at": NOON - 12 * HOUR - 1, "cost": 100}),
        (4, {"started_at": NOON - 13 * HOUR - 1, "cost": 1000}),
    )
    budgets.set(*(budget("all", window, hard=1) for window in Window))
    assert spent(budgets) == {
        "all/hour": 1, "all/day": 11, "all/week": 1111, "all/month": 1111, "all/total": 1111,
    }  # fmt: skip
    assert spent(budgets, ZoneInfo("Europe/Berlin"))["all/day"] == 111


def test_every_target_is_charged_what_it_cost(path, budgets):
    """Of a call that fell back each provider's budget has its own attempt's cost, and everybody's has both."""
    write(path, (1, {"tried": {"openai": 5, "groq": 7}}), (2, {"cost": 100}))
    budgets.set(*(budget(scope, hard=1) for scope in ("all", "provider:openai", "provider:groq")))
    budgets.set(budget("provider:groq", unit="tokens", window="total", hard=1))
    assert spent(budgets) == {
        "all/day": 112, "provider:groq/day": 7, "provider:openai/day": 105, "provider:groq/total": 1050,
    }  # fmt: skip


def test_a_reset_forgets_what_was_before_to_the_nanosecond(path, budgets):
    """A reset in the middle of a quarter of an hour leaves out the calls before it and counts those after it."""
    write(path, (1, {"started_at": NOON - 1, "cost": 10}), (2, {"started_at": NOON, "cost": 1}))
    write(path, (3, {"started_at": NOON + 1, "cost": 100}), (4, {"started_at": NOON + HOUR, "cost": 1000}))
    middle = NOON + 60 * 10**9
    write(
        path,
        (5, {"started_at": middle, "cost": 10_000}),
        (6, {"tried": {"a": 1, "b": 2}, "started_at": middle - 1}),
    )
    budgets.set(budget("all", hard=1), budget("tag:nightly", hard=1))
    assert spent(budgets) == {"all/day": 11_114, "tag:nightly/day": 11_114}
    budgets._clock = standing_clock(middle)
    budgets.reset(parse_scope("all"))
    assert spent(budgets) == {"all/day": 11_000, "tag:nightly/day": 11_114}


def test_orphans_are_charged_at_their_hold(path, budgets):
    """What a dead process left under way is in its budgets once the ledger has been recovered."""

    async def life(boot, *, die):
        ledger = Ledger.open(path, boot, standing_clock())
        if die:
            await ledger.hold(a_hold(1, cost=900))
        else:
            ledger.recover()
        ledger.close()

    asyncio.run(life("first", die=True))
    asyncio.run(life("second", die=False))
    budgets.set(budget("all", hard=1))
    assert spent(budgets) == {"all/day": 900}


@pytest.mark.slow
def test_ten_million_rows_and_a_thousand_budgets(path, budgets):
    """With the roll-ups of 10 million requests of 10,000 keys, reading 1,000 budgets takes less than half a second."""
    keys, quarters = 10_000, 40
    with Database.open(path) as database, closing(database.connect()) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO dimensions VALUES (?, 'default', '', ?, ?, '', 'openai', 'openai', 'gpt-4o-mini', 'cheap', 'bypass')",
            ((number, number, f"key{number}") for number in range(1, keys + 1)),
        )
        columns = [row[1] for row in connection.execute("PRAGMA table_info(rollups)")]
        values = ", ".join({"bucket": "?", "dimension": "?"}.get(name, "25") for name in columns)
        connection.executemany(
            f"INSERT INTO rollups VALUES ({values})",
            (
                (NOON - quarter * 900 * 10**9, key)
                for quarter in range(quarters)
                for key in range(1, keys + 1)
            ),
        )
        connection.execute("COMMIT")
    budgets.set(
        *(budget(f"key:key{number}", "month", hard=1) for number in range(1, 1000)), budget("all", hard=1)
    )
    began = time.perf_counter()
    found = budgets.spending(UTC, NOON)
    assert time.perf_counter() - began < 0.5
    assert found[0].spent == quarters * keys * 25


def test_a_notice_is_kept_once(control):
    """The second notice of a name is not kept, and neither makes a gateway read its settings again."""
    mark = control.stamp.read()
    notices = Notices(control)
    notice = Notice(NOON, "budget", "budget all soft", "words")
    assert [notices.add(notice), notices.add(notice)] == [True, False]
    assert notices.list() == (notice,)
    assert control.stamp.read() == mark
