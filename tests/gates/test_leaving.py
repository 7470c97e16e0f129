"""Callers who leave, and a gateway that stops: whatever was begun ends, is billed, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway, upstream
from support.process import GatewayProcess

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
MESSAGES = {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


def request(token: str, call: dict, path: str = "/v1/chat/completions") -> bytes:
    body = json.dumps(call)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


def wait_until(fact, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_cancelled_calls_harm_neither_descriptors_nor_the_database(
    tmp_path: Path, fake_openai: FakeOpenAI
) -> None:
    """Cancelling leaves the gateway's files alone: no descriptor is lost, and the rows that follow are not either.

    Another process that reads the database meanwhile would drop what is written to one that has lost its locks.
    """
    offline = RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",))])
    with GatewayProcess(offline.launch) as gateway:
        descriptors = Path(f"/proc/{gateway.pid}/fd")
        if not descriptors.is_dir():
            pytest.skip("no /proc here")
        before = 0
        for number in range(14):
            if number == 2:  # what is opened once, by the first calls and by the threads, is open by now
                before = len(list(descriptors.iterdir()))
            fake_openai.behave(hang=True)
            port = int(gateway.url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(request(offline.token, CHAT))
                wait_until(lambda: fake_openai.active == 1)
                time.sleep(0.03)
            wait_until(lambda number=number: fake_openai.cancelled == number + 1)
            wait_until(lambda number=number: len(offline.requests()) == number + 1)
        assert len(list(descriptors.iterdir())) <= before + 4
        for _ in range(3):
            assert httpx.post(
                gateway.url + "/v1/chat/completions", headers=offline.auth, json=CHAT
            ).is_success
        assert [row["status"] for row in offline.requests()] == [499] * 14 + [200] * 3


def test_storm_of_cancels_settles_every_attempt(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Three hundred callers who leave at random moments, of plain and streamed calls: a row each, nothing stays open."""
    fake_openai.default = fake_anthropic.default = Behaviour(
        text="word " * 30, latency=0.03, chunk_delay=0.01
    )
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    with RunningGateway(tmp_path, upstreams) as gateway:

        async def leave(number: int, turn: asyncio.Semaphore) -> None:
            call = (CHAT, MESSAGES)[number % 2] | {"stream": number % 3 > 0}
            path = ("/v1/chat/completions", "/v1/messages")[number // 2 % 2]
            async with turn:
                reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                writer.write(request(gateway.token, call | {"max_tokens": 50}, path))
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), random.random() * 0.2)
                writer.transport.abort()

        async def storm() -> None:
            turn = asyncio.Semaphore(60)
            await asyncio.gather(*(leave(number, turn) for number in range(300)))

        asyncio.run(storm())
        wait_until(lambda: not any(attempt["open"] for attempt in gateway.attempts()))
        wait_until(lambda: fake_openai.active == fake_anthropic.active == 0)
        rows = gateway.requests()
        assert len(rows) == len({row["id"] for row in rows}) == len(gateway.attempts())
        assert {row["status"] for row in rows} <= {200, 499}
        assert all(row["cost"] is not None for row in rows)


def test_caller_who_leaves_between_two_targets_leaves_a_row(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """With one target failed and the next one asked, leaving closes the request with the cost of both."""
    fake_openai.default = Behaviour(status=500)
    fake_anthropic.default = Behaviour(hang=True)
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    aliases = {"fast": ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-6")}
    with RunningGateway(tmp_path, upstreams, aliases) as gateway:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                gateway.url + "/v1/chat/completions",
                headers=gateway.auth,
                json=CHAT | {"model": "fast"},
                timeout=0.4,
            )
        wait_until(lambda: len(gateway.requests()) == 1)
        [row] = gateway.requests()
        assert (row["status"], row["error"], row["attempts"]) == (499, "cancelled", 2)
        assert not any(attempt["open"] for attempt in gateway.attempts())


@pytest.mark.parametrize(("drain", "signals"), [(0.5, 1), (30, 2)])
def test_stopping_cuts_what_does_not_end_in_time(
    drain: float, signals: int, tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """After the drain time, or at a second signal, each caller hears of the end in its dialect, and it is billed."""
    fake_openai.default = fake_anthropic.default = Behaviour(text="word " * 4_000, chunk_delay=0.02)
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    offline = RunningGateway(tmp_path, upstreams, drain_seconds=drain)
    said: dict[str, bytes] = {}

    async def ask(port: int, name: str, sent: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        said[name] = await reader.read()
        writer.close()

    async def scene(gateway: GatewayProcess) -> None:
        port = int(gateway.url.rpartition(":")[2])
        calls = {
            f"{path} {model}": request(offline.token, MESSAGES | {"model": model, "stream": True}, path)
            for path in ("/v1/chat/completions", "/v1/messages")
            for model in ("gpt-4o-mini", "claude-sonnet-4-6")
        }
        calls["half a body"] = request(offline.token, CHAT)[:-4]
        asking = [asyncio.create_task(ask(port, name, sent)) for name, sent in calls.items()]
        await asyncio.sleep(0.4)
        for _ in range(signals):
            os.kill(gateway.pid, signal.SIGTERM)
            await asyncio.sleep(0.15)
        await asyncio.wait_for(asyncio.gather(*asking), 10)

    with GatewayProcess(offline.launch) as gateway:
        begun = time.monotonic()
        asyncio.run(scene(gateway))
    assert time.monotonic() - begun < 8
    for name, stream in said.items():
        assert b'"stopping"' in stream, name
        assert stream.endswith(b"}" if name == "half a body" else b"}\n\n\r\n0\r\n\r\n"), name
        last = stream.rpartition(b"data: ")[2] if name != "half a body" else stream.rpartition(b"\r\n\r\n")[2]
        assert "error" in json.loads(last.partition(b"\n")[0]), name
    streams = [row for row in offline.requests() if row["attempts"]]
    assert len(streams) == 4
    assert all(row["error"] == "stopping" and row["output_tokens"] > 5 and row["cost"] > 0 for row in streams)
    assert not any(attempt["open"] for attempt in offline.attempts())
    assert not Path(offline.launch.run_file).exists()
