"""Sick targets of every kind under load: callers do not notice, the ledger counts every try once. # B-04 D-09 E-12"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour, Reply
from support.gateway import RunningGateway, upstream

from llmgw.gates.resilience import Resilient
from llmgw.rules.backoff import Retrying
from llmgw.rules.breaker import Breaking
from llmgw.storage.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.fake_server import Request

MODEL = "gpt-4o-mini"
SICK = ("refusing", "hanging", "failing", "cutting")
AT_ONCE = 24
SILENCE = 0.3
"""Seconds until the gateway gives the hanging target up."""


class Failing(FakeOpenAI):
    """Answers half of its calls with status 500."""

    def __init__(self) -> None:
        super().__init__()
        self._random = Random(5)
        self.failed = 0

    def chat(self, request: Request, how: Behaviour) -> Reply:
        if self._random.random() < 0.5:
            self.failed += 1
            return self.error(500)
        return super().chat(request, how)


class Cutting(FakeOpenAI):
    """Plain answers are whole, streams break off before their first token."""

    def stream(self, call: dict[str, Any], how: Behaviour) -> Iterator[bytes]:
        raise ConnectionResetError
        yield b""


class Storm:
    """A gateway before four sick targets and a healthy one."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.fakes = {
            "hanging": stack.enter_context(FakeOpenAI()),
            "failing": stack.enter_context(Failing()),
            "cutting": stack.enter_context(Cutting()),
            "healthy": stack.enter_context(FakeOpenAI()),
        }
        self.fakes["hanging"].default = Behaviour(hang=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
        urls = {"refusing": closed} | {name: fake.url for name, fake in self.fakes.items()}
        upstreams = [
            upstream(name, urls[name] + "/v1", kind="openai", models=(MODEL,), timeout=SILENCE)
            for name in (*SICK, "healthy")
        ]
        aliases = {
            "sick": tuple(f"{name}/{MODEL}" for name in SICK),
            "all": tuple(f"{name}/{MODEL}" for name in (*SICK, "healthy")),
            "well": (f"healthy/{MODEL}",),
        }
        resilience = Resilient(
            breaking=Breaking(open_seconds=0.5, longest_seconds=5), retrying=Retrying(wait_seconds=0.01)
        )
        self.gateway = stack.enter_context(RunningGateway(home, upstreams, aliases, resilience=resilience))

    async def _one(self, client: httpx.AsyncClient, model: str, *, stream: bool) -> tuple[bool, float]:
        begun = time.perf_counter()
        call = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        reply = await client.post(self.gateway.url + "/v1/chat/completions", json=call)
        whole = reply.status_code == 200 and (not stream or reply.text.rstrip().endswith("[DONE]"))
        return whole, time.perf_counter() - begun

    async def send(self, model: str, count: int, *, stream: bool) -> list[tuple[bool, float]]:
        """So many calls, some at a time: whether each was answered whole, and in how many seconds."""
        left = iter(range(count))

        async def work(client: httpx.AsyncClient) -> list[tuple[bool, float]]:
            return [await self._one(client, model, stream=stream) for _ in left]

        async with httpx.AsyncClient(headers=self.gateway.auth, timeout=30) as client:
            done = await asyncio.gather(*(work(client) for _ in range(AT_ONCE)))
            return [each for part in done for each in part]

    def notices(self) -> list[str]:
        with self.gateway.control as control:
            return [each.name for each in Notices(control).list(10_000) if each.kind == "breaker"]


def p99(done: list[tuple[bool, float]]) -> float:
    return sorted(seconds for _, seconds in done)[len(done) * 99 // 100]


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    with ExitStack() as stack:
        yield Storm(tmp_path, stack)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_callers_do_not_notice(count: int, storm: Storm, capsys: pytest.CaptureFixture[str]) -> None:
    """Half plain calls over the four sick targets, half streams with a healthy one at the end: 99.9 % are answered."""
    usual = asyncio.run(storm.send("well", 100, stream=False))
    alone = len(storm.fakes["healthy"].chats)
    plain = asyncio.run(storm.send("sick", count // 2, stream=False))
    streams = asyncio.run(storm.send("all", count - count // 2, stream=True))

    # the failing one answers half of what it gets and the cutting one all plain calls, so somebody always can
    done = plain + streams
    assert sum(whole for whole, _ in done) >= 0.999 * count
    with capsys.disabled():
        added = 1000 * (p99(done) - p99(usual))
        print(f"\n{count} calls: {sum(whole for whole, _ in done)} answered, p99 {added:+.0f} ms")

    requests, attempts = storm.gateway.requests(), storm.gateway.attempts()
    assert len(requests) == count + len(usual)
    costs: Counter[int] = Counter()
    good: Counter[int] = Counter()
    for each in attempts:
        costs[each["request_id"]] += each["cost"]
        good[each["request_id"]] += each["status"] == 200
    assert all(row["cost"] == costs[row["id"]] for row in requests)
    assert all(good[row["id"]] == (row["status"] == 200) for row in requests)
    tries = Counter(each["provider"] for each in attempts)
    for name, fake in storm.fakes.items():
        assert tries[name] == len(fake.chats), name
    assert all(each["cost"] == 0 for each in attempts if each["provider"] == "refusing")
    failing = storm.fakes["failing"]
    assert isinstance(failing, Failing)
    free = [each for each in attempts if each["provider"] == "failing" and each["state"] == "released"]
    assert len(free) == failing.failed
    assert alone == len(usual)

    # and where nobody is well for long, whoever may be is asked before a caller hears of a failure
    bare = asyncio.run(storm.send("sick", count // 10, stream=True))
    lost = {row["id"] for row in storm.gateway.requests()[-len(bare) :] if row["status"] != 200}
    assert len(lost) == sum(not whole for whole, _ in bare)
    asked = {each["request_id"] for each in storm.gateway.attempts() if each["provider"] == "failing"}
    assert lost <= asked
    assert len(lost) < 0.75 * len(bare)
    with capsys.disabled():
        print(f"{len(bare)} streams with nobody but the four: {len(bare) - len(lost)} answered")

    # nearly nobody is sent where nobody answers
    opened = {name.split(" ")[1] for name in storm.notices() if " open " in name}
    assert {f"refusing/{MODEL}", f"hanging/{MODEL}"} <= opened
    assert tries["refusing"] + tries["hanging"] < 0.1 * count + 4 * AT_ONCE
    assert not any(" closed " in name for name in storm.notices() if "hanging" in name or "refusing" in name)

    # and the breaker closes once the target is well
    storm.fakes["hanging"].default = Behaviour()
    end = time.monotonic() + 15
    while not any("hanging" in name and " closed " in name for name in storm.notices()):
        assert time.monotonic() < end
        asyncio.run(storm.send("all", 1, stream=True))
        time.sleep(0.05)
