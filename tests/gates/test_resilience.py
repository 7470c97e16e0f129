"""Retries, breakers, the choice among equals and hedging: calls survive bad targets. # B-04 C-06 D-09 E-12"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from support.budgets import budget
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway, upstream

from llmgw.gates.resilience import Resilient
from llmgw.rules.backoff import Retrying
from llmgw.rules.balancing import Balance
from llmgw.rules.breaker import Breaking
from llmgw.storage.budgets import Budgets
from llmgw.storage.headroom import read_failing
from llmgw.storage.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.fake_server import Reply, Request

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
HOLD = 4_200 * 150 + 100 * 600
"""About what a short call with a limit of 100 tokens holds."""
NO_RETRY = Retrying(attempts=0)
QUICK = Retrying(attempts=1, wait_seconds=0.01, longest_seconds=1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def notices(gateway: RunningGateway) -> list[str]:
    """What people were told, the oldest first."""
    with gateway.control as control:
        return [each.message for each in reversed(Notices(control).list())]


class Pair:
    """Two upstreams with one model, and a gateway in front of them."""

    def __init__(self, home: Path, resilience: Resilient, stack: ExitStack, **launch: Any) -> None:
        self.one, self.two = stack.enter_context(FakeOpenAI()), stack.enter_context(FakeOpenAI())
        upstreams = [
            upstream("one", self.one.url + "/v1", kind="openai", models=(MODEL,), timeout=0.4),
            upstream("two", self.two.url + "/v1", kind="openai", models=(MODEL,), timeout=5),
        ]
        aliases = {"single": (f"one/{MODEL}",)}
        self.gateway = stack.enter_context(
            RunningGateway(home, upstreams, aliases, resilience=resilience, **launch)
        )

    def ask(self, model: str = MODEL, **fields: Any) -> httpx.Response:
        call = {"model": model, "messages": [{"role": "user", "content": "hi"}]} | fields
        return httpx.post(self.gateway.url + CHAT, headers=self.gateway.auth, json=call, timeout=20)

    def where(self, **fields: Any) -> str:
        reply = self.ask(**fields)
        assert reply.status_code == 200, reply.text
        return reply.headers["x-llmgw-target"].partition("/")[0]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


# Retries


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "failure", [{"status": 502}, {"status": 503}, {"status": 504}, {"hang": True}, {"cut_after": 0}]
)
def test_a_single_target_is_asked_once_more(
    failure: dict[str, Any], stream: bool, tmp_path: Path, stack: ExitStack
) -> None:
    """What fails only for the moment is sent again: two attempts, each with its own row, one row for the request."""
    pair = Pair(tmp_path, Resilient(retrying=QUICK), stack)
    pair.one.behave(**failure)
    assert pair.where(model="single", stream=stream) == "one"
    first, second = pair.gateway.attempts()
    [row] = pair.gateway.requests()
    assert (row["status"], row["attempts"]) == (200, 2)
    assert row["cost"] == first["cost"] + second["cost"]
    assert len(pair.one.chats) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
def test_other_faults_are_not_sent_again(status: int, tmp_path: Path, stack: ExitStack) -> None:
    """A caller's own error, and one that would come again, is told at once."""
    pair = Pair(tmp_path, Resilient(retrying=QUICK), stack)
    pair.one.behave(status=status)
    assert pair.ask("single").status_code == status
    assert len(pair.one.chats) == 1


def test_the_others_come_first_then_another_round(tmp_path: Path, stack: ExitStack) -> None:
    """With several targets each is asked once before any is asked again, in the same order. # B-04"""
    pair = Pair(tmp_path, Resilient(retrying=Retrying(attempts=3, wait_seconds=0.01)), stack)
    pair.one.default = pair.two.default = Behaviour(status=503)
    assert pair.ask().status_code == 503
    assert [row["provider"] for row in pair.gateway.attempts()] == ["one", "two"] * 4
    [row] = pair.gateway.requests()
    assert (row["status"], row["attempts"], row["cost"]) == (503, 8, 0)


def test_nothing_is_sent_again_once_a_byte_has_left(tmp_path: Path, stack: ExitStack) -> None:
    """A stream that breaks after its first token ends with a proper error event, and nobody is asked again."""
    pair = Pair(tmp_path, Resilient(retrying=QUICK), stack)
    pair.one.behave(cut_after=3)
    client = openai.OpenAI(base_url=pair.gateway.url + "/v1", api_key=pair.gateway.token, max_retries=0)
    with pytest.raises(openai.APIError):
        list(
            client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "hi"}], stream=True
            )
        )
    assert (len(pair.one.chats), len(pair.two.chats)) == (1, 0)


def test_retry_after_is_honoured_up_to_a_bound(tmp_path: Path, stack: ExitStack) -> None:
    """A short wait that a provider asks for is kept; for a long one the caller hears the refusal at once."""
    pair = Pair(tmp_path, Resilient(retrying=QUICK), stack)
    pair.one.behave(status=503, headers={"retry-after-ms": "300"})
    begun = time.monotonic()
    assert pair.where(model="single") == "one"
    assert time.monotonic() - begun > 0.3
    pair.one.behave(status=503, headers={"retry-after": "60"})
    assert pair.ask("single").status_code == 503
    assert len(pair.one.chats) == 3


def test_retries_never_storm(tmp_path: Path, stack: ExitStack) -> None:
    """While everything fails, only a share of the calls is sent again."""
    pair = Pair(tmp_path, Resilient(retrying=QUICK), stack)
    pair.one.default = Behaviour(status=503)
    for _ in range(30):
        assert pair.ask("single").status_code == 503
    assert 30 + 10 <= len(pair.one.chats) <= 30 + 10 + 6


# Breakers


def test_a_target_that_keeps_failing_is_left_alone_and_comes_back(tmp_path: Path, stack: ExitStack) -> None:
    """After three failures nobody asks it; when its time is over one call tries it, and it is used again."""
    breaking = Breaking(failures=3, open_seconds=1)
    pair = Pair(tmp_path, Resilient(breaking=breaking, retrying=NO_RETRY), stack)
    pair.one.default = Behaviour(status=500)
    assert [pair.where() for _ in range(8)] == ["two"] * 8
    assert len(pair.one.chats) == 3
    pair.one.default = Behaviour()
    time.sleep(1)
    assert pair.where() == "one"
    end = time.monotonic() + 5
    while len(told := notices(pair.gateway)) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    assert told == [
        f"one/{MODEL} keeps failing: others are asked first for 1 s",
        f"one/{MODEL} works again",
    ]


def test_faults_of_requests_open_nothing(tmp_path: Path, stack: ExitStack) -> None:
    """However many bad requests come, the target is not to blame."""
    pair = Pair(tmp_path, Resilient(breaking=Breaking(failures=2), retrying=NO_RETRY), stack)
    pair.one.default = Behaviour(status=400)
    for _ in range(5):
        assert pair.ask().status_code == 400
    pair.one.default = Behaviour()
    assert pair.where() == "one"


def test_when_all_are_shut_they_are_tried_nevertheless(tmp_path: Path, stack: ExitStack) -> None:
    """No breaker turns a call away that has nobody else to go to."""
    breaking = Breaking(failures=1, open_seconds=60)
    pair = Pair(tmp_path, Resilient(breaking=breaking, retrying=NO_RETRY), stack)
    pair.one.behave(status=500)
    pair.two.behave(status=500)
    assert pair.ask().status_code == 500
    assert pair.where() == "one"


def test_an_open_breaker_is_shown(tmp_path: Path, stack: ExitStack) -> None:
    """What is left alone stands where `llmgw status` and the provider list read it."""
    pair = Pair(tmp_path, Resilient(breaking=Breaking(failures=1, open_seconds=60), retrying=NO_RETRY), stack)
    pair.one.behave(status=500)
    pair.where()
    end = time.monotonic() + 5
    while not (seen := read_failing(pair.gateway.database)) and time.monotonic() < end:
        time.sleep(0.05)
    [failing] = seen
    assert (failing.provider, failing.model, failing.state, failing.failures) == ("one", MODEL, "open", 1)
    status = httpx.get(pair.gateway.url + "/admin/status", headers=pair.gateway.auth).json()
    assert [each["name"] for each in status["failing"]] == [f"one/{MODEL}"]
    assert status["failing"][0]["retry_at"] is not None


@pytest.mark.parametrize("failure", [{"status": 502}, {"status": 503}, {"status": 504}, {"hang": True}, None])
def test_a_local_model_answers_when_the_cloud_fails(
    failure: dict[str, Any] | None, tmp_path: Path, stack: ExitStack
) -> None:
    """502, 503, 504, silence or no connection at all: the local model answers, and the headers say so. # E-12 D-09"""
    cloud, local = (
        stack.enter_context(FakeOpenAI()),
        stack.enter_context(FakeOllama(models=("ministral-3:14b",))),
    )
    url = f"http://127.0.0.1:{free_port()}" if failure is None else cloud.url
    if failure is not None:
        cloud.behave(**failure)
    upstreams = [
        upstream("openai", url + "/v1", models=(MODEL,), timeout=0.4),
        upstream("ollama", local.url, models=("ministral-3:14b",), credential=""),
    ]
    aliases = {"best": (f"openai/{MODEL}", "ollama/ministral-3:14b")}
    gateway = stack.enter_context(
        RunningGateway(tmp_path, upstreams, aliases, resilience=Resilient(retrying=QUICK))
    )
    call = {"model": "best", "messages": [{"role": "user", "content": "hi"}]}
    reply = httpx.post(gateway.url + CHAT, headers=gateway.auth, json=call, timeout=20)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-llmgw-target"] == "ollama/ministral-3:14b"
    assert reply.headers["x-llmgw-fallbacks"] == "1"


def test_a_local_server_that_is_started_again_is_used_again(tmp_path: Path, stack: ExitStack) -> None:
    """A look at the server ends the wait long before the breaker would."""
    port, backup = free_port(), stack.enter_context(FakeOpenAI())
    upstreams = [
        upstream("vllm", f"http://127.0.0.1:{port}/v1", models=(MODEL,), credential=""),
        upstream("openai", backup.url + "/v1", models=(MODEL,)),
    ]
    breaking = Breaking(failures=2, open_seconds=600, longest_seconds=600)
    gateway = stack.enter_context(
        RunningGateway(tmp_path, upstreams, resilience=Resilient(breaking=breaking, retrying=NO_RETRY))
    )
    call = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}

    def where() -> str:
        reply = httpx.post(gateway.url + CHAT, headers=gateway.auth, json=call, timeout=20)
        return reply.headers["x-llmgw-target"].partition("/")[0]

    assert [where() for _ in range(3)] == ["openai"] * 3
    server = FakeOpenAI()
    server.wanted_port = port
    stack.enter_context(server)
    end = time.monotonic() + 8
    while (seen := where()) == "openai" and time.monotonic() < end:
        time.sleep(0.1)
    assert seen == "vllm"
    assert [request.path for request in server.requests if request.method == "GET"] == ["/v1/models"]


class Sick(FakeOpenAI):
    """A server of which nothing works while it is sick."""

    sick = True

    def refused(self, request: Request) -> Reply | None:
        return self.error(500) if self.sick else super().refused(request)


def test_no_call_finds_out_that_a_local_server_is_still_sick(tmp_path: Path, stack: ExitStack) -> None:
    """Where a look at the server fails too, calls are spared the try; once it is well the next one goes there."""
    sick, backup = stack.enter_context(Sick()), stack.enter_context(FakeOpenAI())
    upstreams = [
        upstream("vllm", sick.url + "/v1", models=(MODEL,), credential=""),
        upstream("openai", backup.url + "/v1", models=(MODEL,)),
    ]
    breaking = Breaking(failures=2, open_seconds=3, longest_seconds=600)
    gateway = stack.enter_context(
        RunningGateway(tmp_path, upstreams, resilience=Resilient(breaking=breaking, retrying=NO_RETRY))
    )
    call = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}

    def where() -> str:
        reply = httpx.post(gateway.url + CHAT, headers=gateway.auth, json=call, timeout=20)
        return reply.headers["x-llmgw-target"].partition("/")[0]

    def tries() -> int:
        return sum(request.method == "POST" for request in sick.requests)

    def looks() -> int:
        return sum(request.method == "GET" for request in sick.requests)

    assert [where() for _ in range(3)] == ["openai"] * 3
    assert tries() == 2
    end = time.monotonic() + 12
    while looks() < 3 and time.monotonic() < end:  # its time is over between the first two
        time.sleep(0.05)
    assert where() == "openai"
    assert tries() == 2
    sick.sick = False
    while (seen := where()) == "openai" and time.monotonic() < end:
        time.sleep(0.1)
    assert seen == "vllm"


# The choice among equals


def test_a_price_flip_changes_the_choice(tmp_path: Path, stack: ExitStack) -> None:
    """Of equal targets the cheaper one is asked, the other way round when the prices are; it falls over as ever. # C-06"""
    for dear, home in (("one", tmp_path / "a"), ("two", tmp_path / "b")):
        home.mkdir()
        cheap = "two" if dear == "one" else "one"
        prices = {
            f"{dear}/{MODEL}": {"input": 5, "output": 20},
            f"{cheap}/{MODEL}": {"input": 1, "output": 2},
        }
        resilience = Resilient(balance=Balance.COST, retrying=NO_RETRY)
        pair = Pair(home, resilience, stack, prices=prices)
        assert pair.where() == cheap
        getattr(pair, cheap).behave(status=500)
        assert pair.where() == dear


def test_the_quicker_of_equals_is_asked(tmp_path: Path, stack: ExitStack) -> None:
    """Most calls go to the target that begins its answers sooner, and back when that changes."""
    pair = Pair(tmp_path, Resilient(balance=Balance.LATENCY, retrying=NO_RETRY), stack)
    pair.one.default = Behaviour(latency=0.12)
    went = [pair.where() for _ in range(30)]
    assert went.count("two") >= 22, went
    pair.one.default, pair.two.default = Behaviour(), Behaviour(latency=0.3)
    went = [pair.where() for _ in range(30)]
    assert went.count("one") >= 20, went


def test_a_target_that_fails_at_once_is_not_quick(tmp_path: Path, stack: ExitStack) -> None:
    """One that answers soon with nothing but errors is asked after the one that works."""
    resilience = Resilient(
        balance=Balance.LATENCY, retrying=NO_RETRY, breaking=Breaking(failures=0, error_rate=0)
    )
    pair = Pair(tmp_path, resilience, stack)
    pair.one.default, pair.two.default = Behaviour(status=500), Behaviour(latency=0.05)
    assert [pair.where() for _ in range(30)] == ["two"] * 30
    assert len(pair.one.chats) <= 5


# Hedging


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_target_answers_when_the_first_is_slow(
    stream: bool, tmp_path: Path, stack: ExitStack
) -> None:
    """The slow one is cancelled at once and billed for what it may have cost; the request has one row."""
    pair = Pair(tmp_path, Resilient(hedge_seconds=0.1, retrying=NO_RETRY), stack)
    pair.one.default = Behaviour(latency=0.35)
    begun = time.monotonic()
    assert pair.where(stream=stream) == "two"
    assert time.monotonic() - begun < 0.33
    end = time.monotonic() + 2
    while not pair.one.cancelled and time.monotonic() < end:
        time.sleep(0.01)
    assert pair.one.cancelled == 1
    first, second = pair.gateway.attempts()
    [row] = pair.gateway.requests()
    assert (first["provider"], first["error"], first["status"]) == ("one", "hedged", 499)
    assert first["estimated"] == 1
    assert (second["provider"], second["status"]) == ("two", 200)
    assert (row["status"], row["attempts"], row["provider"]) == (200, 2, "two")
    assert row["cost"] == first["cost"] + second["cost"] > second["cost"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_quick_first_target_is_not_hedged(stream: bool, tmp_path: Path, stack: ExitStack) -> None:
    """While the first begins in time nobody else is asked."""
    pair = Pair(tmp_path, Resilient(hedge_seconds=1, retrying=NO_RETRY), stack)
    assert pair.where(stream=stream) == "one"
    pair.one.behave(status=500)
    assert pair.where(stream=stream) == "two"
    assert len(pair.two.chats) == 1


def test_the_first_may_still_win(tmp_path: Path, stack: ExitStack) -> None:
    """Where the second fails, or is slower still, the first one's answer counts."""
    pair = Pair(tmp_path, Resilient(hedge_seconds=0.05, retrying=NO_RETRY), stack)
    pair.one.default = Behaviour(latency=0.2)
    pair.two.behave(status=500)
    assert pair.where() == "one"
    pair.two.default = Behaviour(latency=0.5)
    assert pair.where() == "one"
    states = [(row["provider"], row["error"]) for row in pair.gateway.attempts()]
    assert states == [("one", ""), ("two", "upstream_refused"), ("one", ""), ("two", "hedged")]
    assert len(pair.gateway.requests()) == 2


def test_when_both_fail_the_caller_hears_it_once(tmp_path: Path, stack: ExitStack) -> None:
    """Two failures in a race are one failed request."""
    pair = Pair(tmp_path, Resilient(hedge_seconds=0.05, retrying=NO_RETRY), stack)
    pair.one.default = Behaviour(latency=0.2, status=500)
    pair.two.default = Behaviour(latency=0.2, status=503)
    assert pair.ask().status_code in {500, 503}
    [row] = pair.gateway.requests()
    assert (row["attempts"], row["cost"]) == (2, 0)


def test_a_caller_who_leaves_a_race_ends_both(tmp_path: Path, stack: ExitStack) -> None:
    """Hanging up cancels both attempts, and both are in the ledger with one row for the request."""
    pair = Pair(tmp_path, Resilient(hedge_seconds=0.05, retrying=NO_RETRY), stack)
    pair.one.default = pair.two.default = Behaviour(latency=5)

    async def leave() -> None:
        async with httpx.AsyncClient(headers=pair.gateway.auth, timeout=0.3) as client:
            call = {"model": "two-way", "messages": [{"role": "user", "content": "hi"}]} | {"model": MODEL}
            with pytest.raises(httpx.TimeoutException):
                await client.post(pair.gateway.url + CHAT, json=call)

    asyncio.run(leave())
    end = time.monotonic() + 3
    while len(pair.gateway.requests()) < 1 and time.monotonic() < end:
        time.sleep(0.02)
    [row] = pair.gateway.requests()
    assert (row["status"], row["error"], row["attempts"]) == (499, "cancelled", 2)
    assert {each["state"] for each in pair.gateway.attempts()} == {"settled"}
    assert row["cost"] == sum(each["cost"] for each in pair.gateway.attempts())


def test_headers_are_no_first_byte(tmp_path: Path, stack: ExitStack) -> None:
    """A stream that has begun without a token is as slow as one that has not; its connection is closed."""
    pair = Pair(tmp_path, Resilient(hedge_seconds=0.1, retrying=NO_RETRY), stack)
    pair.one.behave(hang_after=0)
    assert pair.where(stream=True) == "two"
    end = time.monotonic() + 2
    while not pair.one.cancelled and time.monotonic() < end:
        time.sleep(0.01)
    assert pair.one.cancelled == 1


def test_a_budget_holds_for_both(tmp_path: Path, stack: ExitStack) -> None:
    """Where a hard budget has no room for a second attempt none is made, and the first one answers."""
    pair = Pair(tmp_path, Resilient(hedge_seconds=0.05, retrying=NO_RETRY), stack, wait_seconds=0.05)
    pair.one.default = Behaviour(latency=0.3)
    with pair.gateway.control as control:
        Budgets(control).set(budget("all", hard=HOLD * 3 // 2))
    assert pair.where(max_tokens=100) == "one"
    assert pair.two.chats == []
    [row] = pair.gateway.attempts()
    assert (row["provider"], row["status"]) == ("one", 200)
