"""Calls stand in line for the slots of an upstream: by plan, each key in turn, and they may leave. # E-09"""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway, upstream

from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.route import Target, Tier
from llmgw.gates import keepalive
from llmgw.gates.queue import Queues

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = "qwen3"
CHAT = "/v1/chat/completions"
PLANS = ("enterprise", "pro", "")


def body(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}]} | fields


@pytest.fixture
def local() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        fake.default = Behaviour(latency=0.1)
        yield fake


def running(home: Path, local: FakeOpenAI, *others: Any, **changes: Any) -> RunningGateway:
    upstreams = [upstream("vllm", local.url + "/v1", models=(MODEL,), credential="", **changes), *others]
    return RunningGateway(home, upstreams)


def test_four_slots_two_hundred_waiting(tmp_path: Path, local: FakeOpenAI) -> None:
    """No more than four run at a time, the median wait is shorter the better the plan, and all are answered."""
    local.default = Behaviour(latency=0.02)
    most = 0

    async def ask(client: httpx.AsyncClient, token: str) -> httpx.Response:
        nonlocal most
        reply = await client.post(CHAT, json=body(), headers={"authorization": f"Bearer {token}"})
        most = max(most, local.active)
        return reply

    async def crowd(url: str, tokens: list[str]) -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=300)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(ask(client, tokens[number % 3]) for number in range(204)))

    with running(tmp_path, local, slots=4, queue_wait=60.0) as gateway:
        with gateway.control as control:
            tokens = [control.create(f"key-{plan or 'free'}", plan=plan)[1] for plan in PLANS]
        replies = asyncio.run(crowd(gateway.url, tokens))
    assert {reply.status_code for reply in replies} == {200}
    assert most <= 4
    waits = [
        median(
            int(reply.headers.get("x-llmgw-queue", "0; waited=0").partition("waited=")[2])
            for reply in replies[number::3]
        )
        for number in range(3)
    ]
    assert waits[0] < waits[1] < waits[2], waits
    places = [
        int(reply.headers["x-llmgw-queue"].partition(";")[0])
        for reply in replies
        if "x-llmgw-queue" in reply.headers
    ]
    assert max(places) > 100


def test_who_hangs_up_leaves_the_line_at_once(tmp_path: Path, local: FakeOpenAI) -> None:
    """The upstream never hears of a caller who left, and whoever stands behind moves up."""
    local.default = Behaviour(latency=1.0)

    async def act(client: httpx.AsyncClient) -> float:
        first = asyncio.create_task(client.post(CHAT, json=body()))
        await asyncio.sleep(0.15)
        leaving = [asyncio.create_task(client.post(CHAT, json=body())) for _ in range(5)]
        await asyncio.sleep(0.15)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        await asyncio.sleep(0.15)
        begun = time.monotonic()
        last = await client.post(CHAT, json=body())
        assert (await first).status_code == last.status_code == 200
        assert last.headers["x-llmgw-queue"].partition(";")[0] == "1"
        return time.monotonic() - begun

    async def main(gateway: RunningGateway) -> float:
        async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.auth, timeout=20) as client:
            return await act(client)

    with running(tmp_path, local, slots=1) as gateway:
        assert asyncio.run(main(gateway)) < 2.5
    assert len(local.chats) == 2


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_stream_that_waits_in_line_is_kept_alive(
    dialect: str, tmp_path: Path, local: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is told in comments, the last one nearer than the first; both SDKs read the answer as ever."""
    monkeypatch.setattr(keepalive, "PAUSE", 0.1)
    local.default = Behaviour(latency=0.4, text="Well then.")
    with running(tmp_path, local, slots=1) as gateway:

        def whole() -> str:
            if dialect == "openai":
                with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token) as client:
                    stream = client.chat.completions.create(**body(stream=True))
                    return "".join(each.choices[0].delta.content or "" for each in stream if each.choices)
            with (
                anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token) as client,
                client.messages.stream(**body(max_tokens=50)) as stream,
            ):
                return stream.get_final_text()

        def raw() -> str:
            path = CHAT if dialect == "openai" else "/v1/messages"
            call = body(stream=True, max_tokens=50)
            return httpx.post(gateway.url + path, headers=gateway.auth, json=call, timeout=20).text

        with ThreadPoolExecutor(4) as pool:
            first = pool.submit(whole)
            time.sleep(0.1)
            seconds = [pool.submit(whole), pool.submit(raw)]
            time.sleep(0.1)
            last = pool.submit(raw)
            assert [each.result() for each in (first, seconds[0])] == ["Well then."] * 2
            assert "Well then." not in last.result().partition("data:")[0]
            places = [int(each) for each in re.findall(r"^: queued (\d+)$", last.result(), re.MULTILINE)]
        assert places[0] == 3
        assert places[-1] == 1
        assert places == sorted(places, reverse=True)
        assert re.search(r"^: x-llmgw-request-id=req_", last.result(), re.MULTILINE)
    assert {row["status"] for row in gateway.requests()} == {200}


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_whoever_waits_too_long_in_an_open_stream_hears_an_error(
    dialect: str, tmp_path: Path, local: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal comes as an event, which both SDKs raise."""
    monkeypatch.setattr(keepalive, "PAUSE", 0.1)
    local.default = Behaviour(latency=1.5)
    with running(tmp_path, local, slots=1, queue_wait=0.4) as gateway, ThreadPoolExecutor(1) as pool:
        taken = pool.submit(httpx.post, gateway.url + CHAT, headers=gateway.auth, json=body(), timeout=20)
        time.sleep(0.2)
        if dialect == "openai":
            client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0)
            with client, pytest.raises(openai.APIError, match="too many in line"):
                list(client.chat.completions.create(**body(stream=True)))
        else:
            other = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0)
            with (
                other,
                pytest.raises(anthropic.APIStatusError, match="too many in line"),
                other.messages.stream(**body(max_tokens=50)) as stream,
            ):
                stream.get_final_text()
        assert taken.result().status_code == 200


def test_too_long_a_line_overflows_to_the_next_target(tmp_path: Path, local: FakeOpenAI) -> None:
    """Who would wait too long is answered elsewhere; where nobody else is, the refusal says when to come again."""
    local.default = Behaviour(latency=0.4)

    async def crowd(url: str, auth: dict[str, str], size: int) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, headers=auth, timeout=20) as client:
            await client.post(CHAT, json=body())
            return await asyncio.gather(*(client.post(CHAT, json=body()) for _ in range(size)))

    with FakeOpenAI() as cloud:
        hosted = upstream("openai", cloud.url + "/v1", models=(MODEL,))
        with running(tmp_path, local, hosted, slots=1, queue_wait=0.6) as gateway:
            begun = time.monotonic()
            replies = asyncio.run(crowd(gateway.url, gateway.auth, 6))
            assert time.monotonic() - begun < 2.5
        went = sorted(reply.headers["x-llmgw-target"] for reply in replies)
        assert went.count(f"openai/{MODEL}") >= 4
        assert went.count(f"vllm/{MODEL}") >= 1
    (tmp_path / "alone").mkdir()
    with running(tmp_path / "alone", local, slots=1, queue_wait=0.6) as gateway:
        replies = asyncio.run(crowd(gateway.url, gateway.auth, 6))
    refused = [reply for reply in replies if reply.status_code == 429]
    assert 3 <= len(refused) <= 5
    assert {reply.json()["error"]["code"] for reply in refused} == {"queue_full"}
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)


def test_without_slots_nobody_waits(tmp_path: Path, local: FakeOpenAI) -> None:
    """Where no slots are declared calls go out as they come."""
    local.default = Behaviour(latency=0.3)

    async def crowd(gateway: RunningGateway) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.auth, timeout=20) as client:
            return await asyncio.gather(*(client.post(CHAT, json=body()) for _ in range(10)))

    with running(tmp_path, local) as gateway:
        begun = time.monotonic()
        replies = asyncio.run(crowd(gateway))
        assert time.monotonic() - begun < 2
    assert not any("x-llmgw-queue" in reply.headers for reply in replies)


def test_a_slot_of_one_who_left_is_not_lost(local: FakeOpenAI) -> None:
    """Who hangs up in the very moment in which the slot is theirs gives it back."""
    queues = Queues(SYSTEM_CLOCK)
    target = Target("vllm", MODEL, Tier.LOCAL)
    one_slot = upstream("vllm", local.url, slots=1)

    def place() -> Any:
        peek = SimpleNamespace(stream=False)
        call: Any = SimpleNamespace(
            key=SimpleNamespace(plan="", id=1), queued=None, peek=peek, keepalive=None
        )
        return queues.place(call, target, one_slot, last=True)

    async def main() -> None:
        first = await place()
        waiting = asyncio.create_task(place())
        await asyncio.sleep(0)
        first.leave()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        async with asyncio.timeout(1):
            (await place()).leave()

    asyncio.run(main())
