"""A hard budget is never exceeded, no hold leaks, nobody is refused wrongly. # D-20 A-11 A-15 B-05"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.budgets import Budgeted, budget
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import upstream

from llmgw.domain.money import NANO, decimal_usd
from llmgw.storage.database import Database
from llmgw.storage.decisions import Decisions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COST = 604_200
"""Nano-dollars of 4,000 tokens into and 7 out of gpt-4o-mini."""
HELD_AT_MOST = 650_000
SAID = Behaviour(input_tokens=4_000, output_tokens=7)
NESTED = ("all", "tenant:acme", "key:ci", "tag:batch", "model:gpt-4o-mini")
WINDOWS = ("day", "month", "week", "day", "total")
CHAT = "/v1/chat/completions"


def call(model: str = "gpt-4o-mini", *, stream: bool = False, max_tokens: int = 7) -> dict[str, Any]:
    return {
        "model": model,
        "max_tokens": max_tokens,
        "stream": stream,
        "messages": [{"role": "user", "content": "hi"}],
    }


@pytest.fixture
def broken() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        fake.default = Behaviour(status=500)
        yield fake


def build(home: Path, fake_openai: FakeOpenAI, broken: FakeOpenAI, **launch: Any) -> Budgeted:
    fake_openai.default = SAID
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini", "no-price-1"), tier="cheap"),
        upstream("broken", broken.url + "/v1", kind="openai", models=("gpt-4o",), tier="cheap"),
        upstream("dear", fake_openai.url + "/v1", kind="openai", models=("gpt-4.1",), tier="premium"),
        upstream("echo", "echo:", models=("echo",)),
    ]
    aliases = {
        "spare": ("broken/gpt-4o", "openai/gpt-4o-mini"),
        "best": ("dear/gpt-4.1", "openai/gpt-4o-mini"),
    }
    return Budgeted(home, upstreams, aliases, **launch)


@pytest.fixture
def gateway(tmp_path: Path, fake_openai: FakeOpenAI, broken: FakeOpenAI) -> Iterator[Budgeted]:
    with build(tmp_path, fake_openai, broken) as running:
        yield running


def ask(gateway: Budgeted, **changes: Any) -> httpx.Response:
    return httpx.post(gateway.url + CHAT, json=call(**changes), headers=gateway.auth)


async def crowd(gateway: Budgeted, size: int, chance: random.Random, leaving: float = 0.0) -> list[int]:
    """Plain, streamed and falling-back calls at one time; the statuses of those who stayed, 0 for a broken answer.

    ``leaving`` is the part of the callers who hang up at a random moment.
    """
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=gateway.url, headers=gateway.auth, timeout=60, limits=limits
    ) as client:

        async def one(number: int) -> int:
            model = "spare" if number % 4 == 3 else "gpt-4o-mini"
            try:
                reply = await client.post(CHAT, json=call(model, stream=number % 2 == 1))
            except httpx.HTTPError:
                return 0
            if '"error"' in reply.text and reply.status_code == 200:
                return 0
            if reply.status_code in {429, 500, 502}:  # a caller who tries once more
                reply = await client.post(CHAT, json=call(model))
            return reply.status_code

        async def impatient(number: int) -> int:
            task = asyncio.create_task(one(number))
            await asyncio.wait({task}, timeout=chance.random() * 0.3)
            task.cancel()
            return (await asyncio.gather(task, return_exceptions=True))[0] if not task.cancelled() else -1

        callers = [impatient if chance.random() < leaving else one for _ in range(size)]
        found = await asyncio.gather(*(caller(number) for number, caller in enumerate(callers)))
    return [status for status in found if isinstance(status, int) and status >= 0]


def nested(rooms: tuple[int, ...]) -> list[Any]:
    return [
        budget(scope, window, hard=room * COST)
        for scope, window, room in zip(NESTED, WINDOWS, rooms, strict=True)
    ]


@pytest.mark.parametrize("size", [120, pytest.param(500, marks=pytest.mark.slow)])
def test_five_nested_budgets_hold_under_a_crowd(size: int, gateway: Budgeted) -> None:
    """However many call at once, accepted calls times their cost stay within every ceiling, and no hold is left."""
    rooms = (size // 2, size // 2 + 7, size // 3, size, size // 3 + 1)
    gateway.set(*nested(rooms))

    statuses = asyncio.run(crowd(gateway, size, random.Random(1)))

    accepted = statuses.count(200)
    assert set(statuses) == {200, 402}
    assert accepted * COST <= min(rooms) * COST
    accounts = gateway.accounts()
    assert set(accounts.values()) == {(accepted * COST, 0)}
    assert gateway.recorded() == dict.fromkeys(accounts, accepted * COST)
    assert gateway.holes() == []
    while ask(gateway).status_code == 200:  # what was only held by others has come free again
        accepted += 1
    assert 0 <= min(rooms) * COST - accepted * COST < HELD_AT_MOST


STREAM = (
    b"".join(
        b"data: " + json.dumps(event).encode() + b"\n\n"
        for event in (
            {
                "id": "c",
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": "one two"}}],
            },
            {
                "id": "c",
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            },
        )
    )
    + b"data: [DONE]\n\n"
)


@pytest.mark.parametrize(
    ("size", "step", "rounds"), [(80, 40, 1), pytest.param(500, 1, 3, marks=pytest.mark.slow)]
)
def test_cancels_and_cuts_leave_no_hold(
    size: int, step: int, rounds: int, gateway: Budgeted, fake_openai: FakeOpenAI
) -> None:
    """Callers who hang up at random and upstreams that break off at every byte: sums agree and nothing stays held."""
    gateway.set(
        *nested((10 * size,) * 5),
        budget("provider:openai", hard=10 * size * COST),
        budget("tier:cheap", "hour", soft=1),
    )
    chance = random.Random(2)
    for _ in range(rounds):
        fake_openai.default = replace(SAID, latency=0.05, chunk_delay=0.005)
        for end in range(0, len(STREAM), step):
            fake_openai.behave(raw=STREAM[:end], raw_type="text/event-stream", raw_piece=7)
        for number in range(size // 10):
            fake_openai.behave(cut_after=number % 4, latency=0.02)
        asyncio.run(crowd(gateway, size, chance, leaving=0.5))
    accounts = gateway.accounts()
    assert {held for _, held in accounts.values()} == {0}
    assert all(spent <= 10 * size * COST for spent, _ in accounts.values())
    end = time.monotonic() + 10
    while gateway.holes() and time.monotonic() < end:
        time.sleep(0.05)
    assert gateway.holes() == []
    assert gateway.recorded() == {name: spent for name, (spent, _) in accounts.items()}
    assert accounts["all/day"][0] == sum(row["cost"] for row in gateway.requests())


@pytest.mark.parametrize("size", [60, pytest.param(2_000, marks=pytest.mark.slow)])
def test_nobody_is_refused_below_the_ceiling(size: int, gateway: Budgeted) -> None:
    """A workload that spends nine tenths of every budget, a few calls at a time, sees no refusal."""
    rooms = -(-size * 10 // 9)
    gateway.set(*nested((rooms,) * 5), budget("all", "day", "tokens", hard=rooms * 4_007))

    async def work() -> set[int]:
        found = []
        for start in range(0, size, 4):
            found += await crowd(gateway, min(4, size - start), random.Random(start))
        return set(found)

    assert asyncio.run(work()) == {200}


def test_a_refusal_says_all_that_is_needed(gateway: Budgeted) -> None:
    """402, not to be retried, naming the scope, what is spent of what, when it lifts, and the command that raises it."""
    gateway.set(budget("key:ci", "month", hard=NANO // 1000), budget("all", hard=NANO))
    assert ask(gateway, max_tokens=1).status_code == 200
    reply = ask(gateway, max_tokens=1_000)
    assert reply.status_code == 402
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["x-llmgw-budget-left"] == decimal_usd(NANO // 1000 - COST)
    error = reply.json()["error"]
    assert error["code"] == "budget_exceeded"
    for words in (
        "budget key:ci",
        "$0.0006042 of $0.001000 spent this month",
        "llmgw budget set key:ci",
        "wait until 20",
    ):
        assert words in json.dumps(error), error
    [_, row] = gateway.requests()
    assert (row["status"], row["error"], row["cost"]) == (402, "budget_exceeded", 0)


def test_a_raised_ceiling_counts_on_the_next_request(gateway: Budgeted) -> None:
    """Budgets are set, raised, reset and lifted while the gateway runs, and what was spent is known to a new one."""
    assert ask(gateway).headers["x-llmgw-budget-left"] == "unlimited"
    gateway.set(budget("key:ci", hard=COST))
    assert ask(gateway).status_code == 402
    gateway.set(budget("key:ci", hard=NANO))
    reply = ask(gateway)
    assert reply.headers["x-llmgw-budget-left"] == decimal_usd(NANO - 2 * COST)
    gateway.reset("key:ci")
    assert ask(gateway).headers["x-llmgw-budget-left"] == decimal_usd(NANO - COST)
    assert gateway.recorded() == {"key:ci/day": COST}
    assert len(gateway.requests()) == 4


def test_local_is_never_stopped_by_money(gateway: Budgeted) -> None:
    """With nothing left a local model still answers, and a route goes on to it by itself. # D-20"""
    gateway.set(budget("all", hard=0))
    assert ask(gateway).status_code == 402
    assert ask(gateway, model="echo").status_code == 200
    reply = ask(gateway, model="gateway-auto")
    assert (reply.status_code, reply.headers["x-llmgw-tier"]) == (200, "local")


def test_an_unknown_price_is_refused_under_a_hard_budget(gateway: Budgeted) -> None:
    """A model that nobody knows the price of might cost anything; without a hard budget it is let through."""
    assert ask(gateway, model="no-price-1").status_code == 200
    gateway.set(budget("all", hard=NANO))
    reply = ask(gateway, model="no-price-1")
    assert reply.status_code == 402
    assert "price of openai/no-price-1 is not known" in reply.text


def test_a_call_that_does_not_fit_goes_to_another_tier(gateway: Budgeted) -> None:
    """With `downgrade:local` a spent budget sends calls to the local tier, with `cache` it says that none is sent."""
    gateway.set(budget("all", hard=0, on_exceed="downgrade:local"))
    reply = ask(gateway)
    assert (reply.status_code, reply.headers["x-llmgw-target"]) == (200, "echo/echo")
    gateway.set(budget("all", hard=0, on_exceed="cache"))
    assert "only cached answers" in ask(gateway).text


def test_medium_takes_premium_away(gateway: Budgeted) -> None:
    """Past the medium mark premium targets are passed over; a call with no other one is refused, or downgraded. # D-20"""
    assert ask(gateway, model="best").headers["x-llmgw-tier"] == "premium"
    gateway.set(budget("all", hard=NANO, medium=1))
    assert ask(gateway, model="best").headers["x-llmgw-target"] == "openai/gpt-4o-mini"
    reply = ask(gateway, model="gpt-4.1")
    assert reply.status_code == 402
    assert "premium" in reply.text
    gateway.set(budget("all", hard=NANO, medium=1, on_exceed="downgrade:cheap"))
    assert ask(gateway, model="gpt-4.1").headers["x-llmgw-target"] == "openai/gpt-4o-mini"


def test_a_spent_budget_after_a_failed_target(gateway: Budgeted, broken: FakeOpenAI) -> None:
    """When the first target fails and the next has no room, the caller hears of both and the ledger is whole."""
    gateway.set(budget("provider:openai", hard=0))
    reply = ask(gateway, model="spare")
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (402, "budget_exceeded")
    assert "budget provider:openai" in error["message"]
    assert "before that: broken: " in error["message"]
    assert "llmgw budget set" in error["hint"]
    [row] = gateway.requests()
    assert (row["provider"], row["attempts"], row["status"]) == ("broken", 1, 402)
    assert gateway.accounts() == {"provider:openai/day": (0, 0)}
    assert gateway.holes() == []


def test_soft_and_warn_marks_are_noticed_once(gateway: Budgeted) -> None:
    """Passing a mark makes one notice a window; the header stays on every answer while it is passed."""
    gateway.set(budget("all", hard=10 * COST, soft=COST, warn=(30,)))
    warnings = [ask(gateway, max_tokens=1).headers.get("x-llmgw-budget-warning") for _ in range(4)]
    assert warnings[0] == "budget all: $0.0006042 of $0.006042 spent this day"
    assert None not in warnings
    end = time.monotonic() + 5
    while len(gateway._rows("SELECT * FROM notices")) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    messages = [row["message"] for row in gateway._rows("SELECT * FROM notices ORDER BY id")]
    assert len(messages) == 2
    assert sorted(message.partition("the ")[2].split()[0] for message in messages) == ["30%", "soft"]


def test_a_restart_keeps_what_was_spent(tmp_path: Path, fake_openai: FakeOpenAI, broken: FakeOpenAI) -> None:
    """Spending is read from the ledger at start, also what a failed attempt cost at another provider."""
    scopes = ("all", "provider:broken", "provider:openai", "key:ci")
    with build(tmp_path, fake_openai, broken) as gateway:
        gateway.set(
            *(budget(scope, hard=NANO) for scope in scopes),
            budget("all", unit="tokens", window="hour", hard=10**6),
        )
        broken.behave(cut_after=0, latency=0.05)
        assert ask(gateway, model="spare").status_code == 200
        assert ask(gateway, stream=True).status_code == 200
        before = gateway.accounts()
        assert before["provider:broken/day"][0] > 0
        assert gateway.recorded() == {name: spent for name, (spent, _) in before.items()}
    with build(tmp_path, fake_openai, broken) as gateway:
        assert gateway.accounts() == before
        assert gateway.holes() == []


def test_declared_daily_budget(tmp_path: Path, fake_openai: FakeOpenAI, broken: FakeOpenAI) -> None:
    """A declared budget is put in force, follows its declaration, and yields to what an operator set. # D-20"""

    def stored(hard: int | None) -> list[int | None]:
        declared = None if hard is None else budget("all", hard=hard)
        with (
            build(tmp_path, fake_openai, broken, daily_budget=declared) as gateway,
            gateway.control as control,
        ):
            from llmgw.storage.budgets import Budgets

            return [each.hard for each in Budgets(control).list()]

    assert [stored(5), stored(7), stored(None)] == [[5], [7], []]
    assert stored(5) == [5]
    with build(tmp_path, fake_openai, broken, daily_budget=budget("all", hard=5)) as gateway:
        gateway.set(budget("all", hard=100))
    assert [stored(5), stored(9), stored(None)] == [[100]] * 3


def test_what_was_moved_says_so(gateway: Budgeted) -> None:
    """A request that a budget moved to a lower tier, by its word or along its route, is written down as such."""
    ask(gateway, model="best")
    gateway.set(budget("all", hard=NANO, medium=1))
    ask(gateway, model="best")
    ask(gateway, model="gpt-4o-mini")
    gateway.set(budget("key:ci", hard=0, on_exceed="downgrade:local"))
    ask(gateway)
    ask(gateway, model="echo")
    with Database.open(gateway.database) as database:
        decisions = [Decisions(database).find(row["id"]) for row in gateway.requests()]
    reasons = [decision.reason if decision else "" for decision in decisions]
    assert reasons == ["", "downgraded by budget all", "", "downgraded by budget key:ci", ""]
