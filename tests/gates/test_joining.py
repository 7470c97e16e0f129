"""Equal calls at one time share one upstream call, live, and none pays for another's trouble. # D-13"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.caches import CHAT, Cached, options
from support.fake_server import Behaviour

from llmgw.domain.killswitch import Kill, Mode
from llmgw.storage.kills import Kills

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI

SLOW = Behaviour(text="one two three four five six seven eight nine ten", chunk_delay=0.1)


@pytest.fixture
def gateway(tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic) -> Iterator[Cached]:
    with Cached(tmp_path, fake_openai, fake_anthropic) as running:
        yield running


def body(*, stream: bool = False, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": stream, **more}


async def ask(
    client: httpx.AsyncClient, gateway: Cached, *, stream: bool = False, **more: Any
) -> httpx.Response:
    return await client.post(gateway.url + CHAT, json=body(stream=stream, **more), headers=gateway.auth)


async def lines(client: httpx.AsyncClient, gateway: Cached) -> AsyncIterator[tuple[float, str]]:
    """The events of a stream with the time they came at."""
    async with client.stream(
        "POST", gateway.url + CHAT, json=body(stream=True), headers=gateway.auth
    ) as answer:
        async for line in answer.aiter_lines():
            if line:
                yield time.monotonic(), line


@pytest.mark.parametrize("forms", [(False,) * 8, (True,) * 8, (True, False) * 4, (False, True) * 4], ids=str)
def test_equal_calls_at_one_time_are_one_call(
    gateway: Cached, fake_openai: FakeOpenAI, forms: tuple[bool, ...]
) -> None:
    """Eight at once in any mix of forms cost one upstream call; each gets the whole answer under an id of its own."""
    fake_openai.default = Behaviour(text=SLOW.text, latency=0.2, chunk_delay=0.02)

    async def crowd() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=20) as client:
            first = asyncio.create_task(ask(client, gateway, stream=forms[0]))
            await asyncio.sleep(0.1)
            return [
                *await asyncio.gather(*(ask(client, gateway, stream=form) for form in forms[1:])),
                await first,
            ]

    answers = asyncio.run(crowd())
    assert len(fake_openai.chats) == 1
    assert sorted(each.headers["x-llmgw-cache"] for each in answers) == ["joined"] * 7 + ["miss"]
    ids = set()
    for answer in answers:
        assert answer.status_code == 200
        if answer.headers["content-type"].startswith("text/event-stream"):
            assert answer.text.endswith("data: [DONE]\n\n")
            assert all(word in answer.text for word in SLOW.text.split())
            ids.add(answer.text.split('"id":"')[1].split('"')[0])
        else:
            assert answer.json()["choices"][0]["message"]["content"] == SLOW.text
            ids.add(answer.json()["id"])
    assert len(ids) == 8
    rows = gateway.requests()
    paid = [row["cost"] for row in rows if row["cache"] == "miss"]
    assert len(paid) == 1
    assert {(row["cost"], row["saved"], row["status"]) for row in rows if row["cache"] == "joined"} == {
        (0, paid[0], 200)
    }


def test_a_follower_gets_a_stream_as_it_comes(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """Whoever joins late gets at once what there is, and the rest when it comes."""
    fake_openai.default = SLOW

    async def two() -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        async with httpx.AsyncClient(timeout=20) as client:
            first = asyncio.create_task(_all(lines(client, gateway)))
            await asyncio.sleep(0.5)
            return await _all(lines(client, gateway)), await first

    follower, leader = asyncio.run(two())
    assert len(fake_openai.chats) == 1
    assert abs(follower[-1][0] - leader[-1][0]) < 0.3
    assert follower[-1][0] - follower[0][0] > 0.2
    assert [line for _, line in follower][-1] == "data: [DONE]"


async def _all(events: AsyncIterator[tuple[float, str]]) -> list[tuple[float, str]]:
    return [each async for each in events]


def test_a_leader_who_hangs_up_does_not_cut_off_those_who_listen(
    gateway: Cached, fake_openai: FakeOpenAI
) -> None:
    """The upstream call goes on for its followers, is paid by the leader's key and remembered."""
    fake_openai.default = SLOW

    async def leave() -> httpx.Response:
        async with httpx.AsyncClient(timeout=20) as client:
            leader = asyncio.create_task(ask(client, gateway, stream=True))
            await asyncio.sleep(0.3)
            follower = asyncio.create_task(ask(client, gateway, stream=True))
            await asyncio.sleep(0.2)
            leader.cancel()
            return await follower

    answer = asyncio.run(leave())
    assert answer.text.endswith("data: [DONE]\n\n")
    assert len(fake_openai.chats) == 1
    assert fake_openai.cancelled == 0
    (attempt,) = gateway.attempts()
    assert (attempt["status"], attempt["error"]) == (200, "")
    assert gateway.chat().headers["x-llmgw-cache"] == "exact"


def test_the_upstream_is_cancelled_when_the_last_listener_leaves(
    gateway: Cached, fake_openai: FakeOpenAI
) -> None:
    """A leader and its only follower hang up one after the other: nobody pays for the rest."""
    fake_openai.default = Behaviour(text=" ".join(["word"] * 200), chunk_delay=0.05)

    async def leave() -> None:
        async with httpx.AsyncClient(timeout=20) as client:
            leader = asyncio.create_task(ask(client, gateway, stream=True))
            await asyncio.sleep(0.3)
            follower = asyncio.create_task(ask(client, gateway, stream=True))
            await asyncio.sleep(0.2)
            leader.cancel()
            await asyncio.sleep(0.2)
            follower.cancel()
            await asyncio.sleep(0.5)

    asyncio.run(leave())
    assert fake_openai.cancelled == 1
    rows = {row["cache"]: row for row in gateway.requests()}
    assert (rows["joined"]["status"], rows["joined"]["cost"]) == (499, 0)
    assert rows["miss"]["error"] == "cancelled"


def test_followers_of_a_failed_call_try_themselves(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """The leader fails before its first byte: one of its followers leads, the others follow that one."""
    fake_openai.default = Behaviour(latency=0.3)
    fake_openai.behave(status=500, latency=0.3)

    async def crowd() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=20) as client:
            first = asyncio.create_task(ask(client, gateway))
            await asyncio.sleep(0.1)
            return [
                await first,
                *await asyncio.gather(*(ask(client, gateway, stream=True) for _ in range(4))),
            ]

    first, *others = asyncio.run(crowd())
    assert first.status_code >= 500
    assert [each.status_code for each in others] == [200] * 4
    assert sorted(each.headers["x-llmgw-cache"] for each in others) == ["joined"] * 3 + ["miss"]
    assert len(fake_openai.chats) == 2


def test_the_kill_switch_ends_followers_too(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """A switch on everything cuts the leader and whoever follows it."""
    fake_openai.default = Behaviour(text=" ".join(["word"] * 200), chunk_delay=0.05)

    async def crowd() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=20) as client:
            leader = asyncio.create_task(ask(client, gateway, stream=True))
            await asyncio.sleep(0.3)
            followers = [asyncio.create_task(ask(client, gateway, stream=form)) for form in (True, False)]
            await asyncio.sleep(0.3)
            with gateway.control as control:
                Kills(control).set(Kill(scope="all", mode=Mode.KILL, reason="test", by="me", at=1))
            return await asyncio.gather(leader, *followers)

    began = time.monotonic()
    leader, live, whole = asyncio.run(crowd())
    assert time.monotonic() - began < 5
    for stream in (leader, live):
        assert "kill switch" in stream.text
    assert whole.status_code == 503
    while fake_openai.cancelled == 0 and time.monotonic() - began < 5:
        time.sleep(0.05)
    assert fake_openai.cancelled == 1


def test_joining_can_be_switched_off(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Without it equal calls at one time are calls of their own."""
    fake_openai.default = Behaviour(latency=0.2)

    async def crowd(gateway: Cached) -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=20) as client:
            return await asyncio.gather(*(ask(client, gateway) for _ in range(3)))

    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options(join=False)) as gateway:
        answers = asyncio.run(crowd(gateway))
    assert [each.headers["x-llmgw-cache"] for each in answers] == ["miss"] * 3
    assert len(fake_openai.chats) == 3
