"""How things stand as files tell it: the same as the commands, with what would change it."""

from __future__ import annotations

import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.budgets import budget

from llmgw.client.standing import notice, read_kept
from llmgw.config.caching import Cache
from llmgw.desk.overview import overview
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.killswitch import Kill, Mode
from llmgw.domain.limit import Limit, Measure
from llmgw.domain.money import NANO
from llmgw.domain.scope import ALL, Scope, ScopeKind
from llmgw.storage.answers import AnswerStore
from llmgw.storage.answers_schema import FILE_NAME
from llmgw.storage.budgets import Budgets
from llmgw.storage.control import Control
from llmgw.storage.kills import Kills
from llmgw.storage.limits import Limits
from llmgw.storage.notices import Notice, Notices

UTC = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("kind", "name", "command"),
    [
        ("budget", "budget key:ci day money 2026-11-21 80% 400", "llmgw budget set key:ci AMOUNT/day"),
        ("kill", "kill paid 1795253491", "llmgw kill off paid"),
        ("loop", "loop ci 1795253491", "llmgw kill off key:ci"),
        ("breaker", "breaker groq/llama-4-8b open 17952", "llmgw provider test groq"),
        ("breaker", "breaker groq/llama-4-8b closed 17952", ""),
        ("other", "something", ""),
    ],
)
def test_what_changes_it(kind: str, name: str, command: str) -> None:
    """A notice comes with the command that changes what it tells of."""
    assert notice(Notice(1, kind, name, "words")).command == command


def test_budgets_keys_and_notices(tmp_path: Path) -> None:
    """Budgets are those of `budget list`, nested by what holds them; keys come with their limits, revoked ones not."""
    path = tmp_path / "llmgw.db"
    with Control(path) as control:
        for name, tags in (("ci", ("build",)), ("me", ()), ("old", ())):
            control.create(name, tenant="ml", tags=tags)
        control.revoke("old")
        control.touch({1: time.time_ns()})
        Budgets(control).set(
            budget("all", "month", hard=200 * NANO),
            budget("tenant:ml", "week", hard=3 * NANO),
            budget("key:ci", hard=5 * NANO),
        )
        Limits(control).set(
            Limit(scope=Scope(ScopeKind.KEY, "ci"), measure=Measure.REQUESTS_PER_MINUTE, amount=60)
        )
        Kills(control).set(Kill(scope="key:me", mode=Mode.KILL, at=1))
        Notices(control).add(Notice(7, "kill", "kill all 7", "it threw itself"))
        found = overview(control, UTC, time.time_ns())
    declared = Limit(scope=Scope(ScopeKind.KEY, "ci"), measure=Measure.CONCURRENCY, amount=4)
    kept = read_kept(path, UTC, SYSTEM_CLOCK, (declared,), Cache())
    budgets = {each.scope: each for each in kept.budgets}
    assert {name: each.parent for name, each in budgets.items()} == {
        "all": None,
        "tenant:ml": "all",
        "key:ci": "tenant:ml",
    }
    assert budgets["key:ci"].tightest == "tenant:ml"
    for row in found:
        told = budgets[str(row.budget.scope)]
        assert (told.spent, told.held, told.left, told.burn, told.used) == (
            row.spent, row.held, row.left, row.burn, row.used,
        )  # fmt: skip
    assert [each.name for each in kept.keys] == ["ci", "me"]
    assert kept.keys[0].limits == ("60 requests/minute", "4 at one time")
    assert [each.paused for each in kept.keys] == [False, True]
    assert [(each.message, each.command) for each in kept.notices] == [
        ("it threw itself", "llmgw kill off all")
    ]
    assert kept.cache is None
    assert str(ALL) in budgets


def test_caches(tmp_path: Path) -> None:
    """Of the caches it is told what they hold and may hold; without a file nothing."""
    with AnswerStore.open(tmp_path / FILE_NAME):
        pass
    kept = read_kept(tmp_path / "llmgw.db", UTC, SYSTEM_CLOCK, (), Cache(size_mb=100))
    assert kept.cache is not None
    assert (kept.cache.entries, kept.cache.cap_bytes, kept.cache.oldest_at) == (0, 100 << 20, None)
    assert kept.cache.state.startswith("shadow")
