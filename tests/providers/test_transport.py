"""Lines to upstreams: how many are kept, and how much they take."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.fake_openai import FakeOpenAI

from llmgw.errors import UpstreamFailed
from llmgw.providers import transport
from llmgw.providers.transport import HttpAnswer, Transport

BODY = b'{"model":"fake-model","messages":[{"role":"user","content":"hi"}]}'


async def ask(lines: Transport, fake: FakeOpenAI, *, stream: bool = False) -> HttpAnswer:
    url, headers = fake.url + "/v1/chat/completions", [("content-type", "application/json")]
    return await lines.send("POST", url, headers, BODY, stream=stream)


async def crowd(lines: Transport, fake: FakeOpenAI, size: int) -> None:
    answers = await asyncio.gather(*(ask(lines, fake) for _ in range(size)))
    await asyncio.gather(*(answer.read() for answer in answers))


def run(check: Callable[[Transport], Any], **given: Any) -> None:
    async def whole() -> None:
        lines = Transport(**given)
        try:
            await check(lines)
        finally:
            await lines.close()

    asyncio.run(whole())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PRUNE_PAUSE", 0.05)
    monkeypatch.setattr(transport, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(transport, "MOST_IDLE", 5)


def test_idle_lines_are_closed(fake_openai: FakeOpenAI, quick: None) -> None:
    """After a crowd only so many lines are kept, after a while none, and the next call works as ever."""
    fake_openai.default = fake_openai.default.__class__(latency=0.5)

    async def check(lines: Transport) -> None:
        await crowd(lines, fake_openai, 12)
        assert len(lines._lines) == 12
        await asyncio.sleep(0.15)
        assert len(lines._lines) == 5
        await asyncio.sleep(0.5)
        assert len(lines._lines) == 0
        assert (await ask(lines, fake_openai)).status == 200

    run(check)


def test_lines_in_use_are_kept(fake_openai: FakeOpenAI, quick: None) -> None:
    """A line that waits for its upstream, however long, is none that is idle."""
    fake_openai.default = fake_openai.default.__class__(latency=0.8)

    async def check(lines: Transport) -> None:
        await crowd(lines, fake_openai, 7)

    run(check)
    assert len(fake_openai.chats) == 7


def test_marks_are_used_again(fake_openai: FakeOpenAI, quick: None) -> None:
    """A line's mark is a time that the system bounds, so those of closed lines come back."""
    fake_openai.default = fake_openai.default.__class__(latency=0.02)
    seen = set()

    async def check(lines: Transport) -> None:
        for _ in range(4):
            await crowd(lines, fake_openai, 4)
            seen.update(line.mark for line in lines._lines)
            await asyncio.sleep(0.6)

    run(check)
    assert len(seen) == 4


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_that_is_too_large(stream: bool, fake_openai: FakeOpenAI) -> None:
    """A body of the largest size is read, one byte more is an error that names the option, and its line is let go."""
    fake_openai.behave(raw=b"x" * 100_000)
    fake_openai.behave(raw=b"x" * 100_001)

    async def check(lines: Transport) -> None:
        assert len(await (await ask(lines, fake_openai, stream=stream)).read()) == 100_000
        answer = await ask(lines, fake_openai, stream=stream)
        with pytest.raises(UpstreamFailed, match="an answer larger than") as raised:
            await answer.read()
        assert "server.max_answer_mb" in str(raised.value.hint)
        assert (await ask(lines, fake_openai)).status == 200
        assert len(lines._lines) == 1

    run(check, most=100_000)


def test_no_client_is_made_on_the_event_loop(
    fake_openai: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making one takes milliseconds of CPU, which another thread gives; a call given up meanwhile loses no mark."""
    true, where = transport._client, []

    def note(*given: Any) -> Any:
        where.append(threading.current_thread())
        return true(*given)

    monkeypatch.setattr(transport, "_client", note)

    async def check(lines: Transport) -> None:
        assert (await ask(lines, fake_openai)).status == 200
        given_up = asyncio.create_task(ask(lines, fake_openai))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert len(lines._spare) == 1

    run(check)
    assert where
    assert threading.main_thread() not in where


def test_who_waits_for_a_line_takes_one_that_is_free(
    fake_openai: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where making one takes longer than a call, a crowd makes do with few lines, and nobody waits for one of its own."""
    true = transport._client

    def slowly(*given: Any) -> Any:
        time.sleep(0.1)
        return true(*given)

    monkeypatch.setattr(transport, "_client", slowly)

    async def check(lines: Transport) -> None:
        async def one() -> None:
            answer = await ask(lines, fake_openai)
            await answer.read()

        await asyncio.gather(*(one() for _ in range(8)))
        assert len(lines._lines) < 8
        assert len(fake_openai.chats) == 8
        assert len({line.mark for line in lines._lines} | set(lines._spare)) == len(lines._lines) + len(
            lines._spare
        )

    run(check)
