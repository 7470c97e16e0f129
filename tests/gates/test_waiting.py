"""What only other calls' holds refuse waits for them a little; what is spent refuses at once. # D-20 D-19"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.budgets import Budgeted, budget
from support.fake_server import Behaviour
from support.gateway import upstream

from llmgw.domain.limit import Limit, Measure
from llmgw.domain.scope import parse_scope
from llmgw.gates.waiting import Lines
from llmgw.storage.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

CHAT = "/v1/chat/completions"
HOLD = 4_200 * 150 + 100 * 600
"""About what a short call to gpt-4o-mini with a limit of 100 tokens holds: most of it for a prompt's hidden part."""
COST = 4_000 * 150 // 10 + 7 * 600


@pytest.fixture
def gateway(tmp_path: Path, fake_openai: FakeOpenAI) -> Iterator[Budgeted]:
    fake_openai.default = Behaviour(input_tokens=400, output_tokens=7, latency=0.3)
    upstreams = [upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",), tier="cheap")]
    with Budgeted(tmp_path, upstreams, wait_seconds=1.5) as running:
        yield running


async def crowd(gateway: Budgeted, size: int) -> list[int]:
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.auth, timeout=30) as client:
        body = {
            "model": "gpt-4o-mini",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "hi"}],
        }
        replies = await asyncio.gather(*(client.post(CHAT, json=body) for _ in range(size)))
        return [reply.status_code for reply in replies]


def test_calls_wait_for_what_others_only_hold(gateway: Budgeted) -> None:
    """Eight calls of which two at a time fit under a ceiling all pass, one pair after the other, none past it."""
    gateway.set(budget("key:ci", hard=2 * HOLD + 8 * COST))
    assert asyncio.run(crowd(gateway, 8)) == [200] * 8
    assert gateway.accounts() == {"key:ci/day": (8 * COST, 0)}


def test_what_is_spent_is_not_waited_for(gateway: Budgeted) -> None:
    """A call that would not fit even if nothing were held is refused at once."""
    gateway.set(budget("key:ci", hard=HOLD // 2))
    begun = time.monotonic()
    assert asyncio.run(crowd(gateway, 3)) == [402] * 3
    assert time.monotonic() - begun < 1


def test_nobody_waits_for_ever(gateway: Budgeted, fake_openai: FakeOpenAI) -> None:
    """A call that others do not make room for in time is refused."""
    fake_openai.default = Behaviour(input_tokens=400, output_tokens=7, latency=3)
    gateway.set(budget("key:ci", hard=HOLD * 3 // 2))
    begun = time.monotonic()
    assert sorted(asyncio.run(crowd(gateway, 3))) == [200, 402, 402]
    assert 2.5 < time.monotonic() - begun < 6
    assert set(gateway.accounts().values()) == {(COST, 0)}


def test_tokens_that_are_only_set_aside_are_waited_for(gateway: Budgeted) -> None:
    """Eight calls of which three foresee all of a limit on tokens all pass, since they use little of it."""
    with gateway.control as control:
        tokens = Limit(scope=parse_scope("key:ci"), measure=Measure.TOKENS_PER_DAY, amount=4_000)
        Limits(control).set(tokens)
    assert asyncio.run(crowd(gateway, 8)) == [200] * 8


def test_whoever_leaves_while_waiting_is_not_asked_for(gateway: Budgeted, fake_openai: FakeOpenAI) -> None:
    """A caller who hangs up while its call waits for tokens costs nothing: no provider is asked for it."""
    with gateway.control as control:
        tokens = Limit(scope=parse_scope("key:ci"), measure=Measure.TOKENS_PER_DAY, amount=1_000)
        Limits(control).set(tokens)

    async def scenario() -> None:
        async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.auth, timeout=30) as client:
            body = {
                "model": "gpt-4o-mini",
                "max_tokens": 900,
                "messages": [{"role": "user", "content": "hi"}],
            }
            first = asyncio.create_task(client.post(CHAT, json=body))
            await asyncio.sleep(0.1)
            second = asyncio.create_task(client.post(CHAT, json=body | {"max_tokens": 500}))
            await asyncio.sleep(0.1)
            second.cancel()
            assert (await first).status_code == 200
            await asyncio.sleep(0.2)

    asyncio.run(scenario())
    assert len(fake_openai.requests) == 1
    assert [row["status"] for row in gateway.requests()] == [200]


def test_whoever_gives_up_lets_the_next_one_try(gateway: Budgeted, fake_openai: FakeOpenAI) -> None:
    """A call that turns out never to fit does not keep those behind it standing until their time is over."""
    fake_openai.default = Behaviour(input_tokens=4_000, output_tokens=7, latency=0.5)
    cost, least, most = 604_200, 623_400, 1_219_200  # of a small call, and what small and large ones hold
    gateway.set(budget("key:ci", hard=cost + least))
    assert max(cost + least, most) < 2 * least < cost + most

    async def timed(client: httpx.AsyncClient, most: int, after: float) -> tuple[int, float]:
        await asyncio.sleep(after)
        body = {"model": "gpt-4o-mini", "max_tokens": most, "messages": [{"role": "user", "content": "hi"}]}
        begun = time.monotonic()
        return (await client.post(CHAT, json=body)).status_code, time.monotonic() - begun

    async def scenario() -> list[tuple[int, float]]:
        async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.auth, timeout=30) as client:
            calls = (7, 0.0), (1_000, 0.1), (7, 0.2)
            return await asyncio.gather(*(timed(client, *call) for call in calls))

    (first, _), (large, _), (small, seconds) = asyncio.run(scenario())
    assert (first, large, small) == (200, 402, 200)
    assert seconds < 1.3


async def in_turn(gateway: Budgeted, *calls: tuple[int, float]) -> None:
    """Calls of so many tokens at most, each so many seconds after the first; all are answered."""
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.auth, timeout=30) as client:

        async def one(most: int, after: float) -> None:
            await asyncio.sleep(after)
            body = {
                "model": "gpt-4o-mini",
                "max_tokens": most,
                "messages": [{"role": "user", "content": "hi"}],
            }
            assert (await client.post(CHAT, json=body)).status_code == 200

        await asyncio.gather(*(one(*call) for call in calls))


def asked(fake: FakeOpenAI) -> list[int]:
    return [request.json["max_tokens"] for request in fake.chats]


def test_newcomers_do_not_overtake_who_waits_for_money(gateway: Budgeted, fake_openai: FakeOpenAI) -> None:
    """A small call for which there is room stands behind a larger one that waits for it."""
    hold = {most: 4_200 * 150 + most * 600 for most in (100, 1_000, 1)}
    gateway.set(budget("key:ci", hard=hold[1_000] + hold[1] - 1_000))
    asyncio.run(in_turn(gateway, (100, 0), (1_000, 0.1), (1, 0.2)))
    assert asked(fake_openai) == [100, 1_000, 1]


def test_newcomers_do_not_overtake_who_waits_for_tokens(gateway: Budgeted, fake_openai: FakeOpenAI) -> None:
    """The same with a limit on tokens."""
    with gateway.control as control:
        tokens = Limit(scope=parse_scope("key:ci"), measure=Measure.TOKENS_PER_DAY, amount=2_000)
        Limits(control).set(tokens)
    asyncio.run(in_turn(gateway, (900, 0), (1_200, 0.1), (100, 0.2)))
    assert asked(fake_openai) == [900, 1_200, 100]


def test_a_place_in_line() -> None:
    """Whoever came first is called first; one who gives up passes the call on, and no line is left behind."""

    async def scenario() -> list[Any]:
        lines, order = Lines(), []

        async def stand(name: str, seconds: float) -> None:
            order.append((name, await lines.turn("room", seconds)))

        tasks = [asyncio.create_task(stand(name, 5)) for name in "abc"]
        late = asyncio.create_task(stand("late", 0.01))
        await asyncio.sleep(0)
        lines.call("room")
        tasks[0].cancel()  # called, and gone before it could take the room
        await asyncio.gather(*tasks, late, return_exceptions=True)
        assert not lines
        return order

    assert asyncio.run(scenario()) == [("b", True), ("late", False), ("c", True)]
