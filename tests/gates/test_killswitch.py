"""The kill switch stops what it says within a second, lets everything else through, and outlives a restart. # D-21"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.domain.killswitch import Kill, Mode
from llmgw.errors import BadRequest
from llmgw.storage.database import Database
from llmgw.storage.decisions import Decisions
from llmgw.storage.kills import Kills
from llmgw.storage.ledger import Ledger

HI = [{"role": "user", "content": "hi"}]
CHAT = {"model": "gpt-4o-mini", "messages": HI}


def throw(gateway: RunningGateway, scope: str, mode: Mode = Mode.KILL, reason: str = "drill") -> None:
    """What `llmgw kill` does beside the running gateway."""
    with gateway.control as control:
        Kills(control).set(Kill(scope=scope, mode=mode, reason=reason, by="anna", at=time.time_ns()))


def lift(gateway: RunningGateway, scope: str) -> None:
    with gateway.control as control:
        Kills(control).remove(scope)


def ask(gateway: RunningGateway, auth: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    headers = auth or gateway.auth
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=CHAT | changes, timeout=10)


def test_the_switch_stops_and_lets_go(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """It counts from the next call on: 503 with reason and author, nothing sent, and open again when lifted."""
    assert ask(gateway).status_code == 200
    throw(gateway, "all")
    sent = len(fake_openai.requests)
    refused = ask(gateway)
    assert refused.status_code == 503
    error = refused.json()["error"]
    assert error["code"] == "service_unavailable"
    assert "drill" in error["message"]
    assert "anna" in error["message"]
    assert "`llmgw kill off all`" in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert len(fake_openai.requests) == sent
    assert httpx.get(gateway.url + "/health").status_code == 200
    lift(gateway, "all")
    assert ask(gateway).status_code == 200
    assert [row["status"] for row in gateway.requests()] == [200, 503, 200]


@pytest.mark.parametrize(
    "scope",
    [
        "all",
        "tenant:default",
        "key:ci",
        "user:anna",
        "tag:night",
        "provider:openai",
        "tier:premium",
        "model:gpt-4o-mini",
        "model:openai/gpt-4o-mini",
        "paid",
    ],
)
def test_each_scope_stops_what_it_names(gateway: RunningGateway, scope: str) -> None:
    """A switch on any scope stops the call that belongs to it."""
    with gateway.control as control:
        _, token = control.create("ci", user="anna", tags=("night",))
    throw(gateway, scope)
    assert ask(gateway, {"authorization": f"Bearer {token}"}).status_code == 503


@pytest.mark.parametrize(
    "scope",
    [
        "tenant:other",
        "key:other",
        "user:anna",
        "tag:night",
        "provider:anthropic",
        "tier:cheap",
        "model:gpt-4o",
    ],
)
def test_no_scope_stops_anything_else(gateway: RunningGateway, scope: str) -> None:
    """A switch on somebody else or something else lets a call through."""
    throw(gateway, scope)
    assert ask(gateway).status_code == 200


def test_paid_leaves_local_models(gateway: RunningGateway) -> None:
    """Under `paid` everything with a price, or with none that is known, is refused; local models answer."""
    throw(gateway, "paid")
    assert ask(gateway).status_code == 503
    assert ask(gateway, model="openai/nobody-knows-its-price").status_code == 503
    assert ask(gateway, model="llama3.2").status_code == 200
    counted = httpx.post(
        gateway.url + "/v1/messages/count_tokens",
        headers=gateway.auth,
        json={"model": "claude-sonnet-4-6", "messages": HI},
    )
    assert counted.status_code == 503


def test_stopped_targets_drop_out_of_the_route(gateway: RunningGateway) -> None:
    """A virtual model goes to the targets that are left."""
    throw(gateway, "provider:ollama")
    assert ask(gateway, model="gateway-auto").headers["x-llmgw-target"] == "openai/gpt-4o-mini"
    throw(gateway, "provider:openai")
    assert ask(gateway, model="gateway-auto").headers["x-llmgw-target"] == "anthropic/claude-sonnet-4-6"
    throw(gateway, "provider:anthropic")
    assert ask(gateway, model="gateway-auto").status_code == 503


@pytest.mark.parametrize("scope", ["all", "key:gateway-secret", "paid", "provider:openai"])
def test_degrade_answers_from_local_models(gateway: RunningGateway, scope: str) -> None:
    """Under `degrade` a local model answers whatever was asked for."""
    throw(gateway, scope, Mode.DEGRADE)
    answer = ask(gateway)
    assert answer.status_code == 200
    assert answer.headers["x-llmgw-target"] == "ollama/llama3.2:latest"
    (row,) = gateway.requests()
    with Database.open(gateway.database) as database:
        decision = Decisions(database).find(row["id"])
    assert decision is not None
    assert decision.reason == f"downgraded by kill switch on {scope}"


def test_degrade_without_a_local_model_refuses(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """Where there is no local model, or the key may not use it, degrading is refusing."""
    with RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1")]) as gateway:
        throw(gateway, "all", Mode.DEGRADE)
        assert ask(gateway).status_code == 503


def test_throttle_waits(gateway: RunningGateway) -> None:
    """Under `throttle` a call is answered two seconds later."""
    throw(gateway, "all", Mode.THROTTLE)
    began = time.monotonic()
    assert ask(gateway).status_code == 200
    assert 2 <= time.monotonic() - began < 3


def test_a_call_that_waits_is_ended(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """A call that waits for a plain answer, or in the throttle's pause, ends within a second; unseen work is billed."""
    fake_openai.default = fake_openai.default.__class__(hang=True)
    throw(gateway, "user:nobody", Mode.THROTTLE)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(ask, gateway)
        throw(gateway, "key:slow", Mode.THROTTLE)
        with gateway.control as control:
            _, token = control.create("slow")
        paused = pool.submit(ask, gateway, {"authorization": f"Bearer {token}"})
        time.sleep(0.5)
        assert not waiting.done()
        began = time.monotonic()
        throw(gateway, "all")
        assert waiting.result().status_code == paused.result().status_code == 503
        assert time.monotonic() - began < 1
    (attempt,) = gateway.attempts()
    assert (attempt["state"], attempt["error"]) == ("settled", "service_unavailable")
    assert attempt["cost"] > 0


def test_gentler_modes_let_running_calls_finish(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """What is under way when the switch moves to `degrade` or stops somebody else is answered whole."""
    fake_openai.behave(chunk_delay=0.1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, gateway, stream=True)
        time.sleep(0.3)
        throw(gateway, "all", Mode.DEGRADE)
        throw(gateway, "key:other")
        assert running.result().text.endswith("data: [DONE]\n\n")


def test_sdks_hear_it_as_their_own_error(
    gateway: RunningGateway, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """OpenAI's and Anthropic's SDKs raise their own classes, refused and in the middle of a stream, without a retry."""
    with (
        closing(openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token)) as by_openai,
        closing(anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token)) as by_anthropic,
    ):
        fake_openai.behave(hang_after=4)
        fake_anthropic.behave(hang_after=5)
        chat = by_openai.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
        message = by_anthropic.messages.create(
            model="claude-sonnet-4-6", max_tokens=50, messages=HI, stream=True
        )
        next(iter(chat)), next(iter(message))
        throw(gateway, "all")
        with pytest.raises(openai.APIError, match="drill"):
            list(chat)
        with pytest.raises(anthropic.APIStatusError, match="drill"):
            list(message)
        before = len(gateway.requests())
        with pytest.raises(openai.InternalServerError, match="drill") as refused:
            by_openai.chat.completions.create(model="gpt-4o-mini", messages=HI)
        assert refused.value.status_code == 503
        with pytest.raises(anthropic.APIStatusError, match="drill"):
            by_anthropic.messages.create(model="claude-sonnet-4-6", max_tokens=50, messages=HI)
        assert len(gateway.requests()) == before + 2


@pytest.mark.parametrize("piece", [1, 7, 50])
def test_an_error_never_follows_half_an_event(
    gateway: RunningGateway, fake_openai: FakeOpenAI, piece: int
) -> None:
    """However an upstream cuts its stream into pieces, the error event of a killed one stands by itself."""
    events = b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n' * 200
    fake_openai.behave(raw=events, raw_type="text/event-stream", raw_piece=piece, chunk_delay=0.002)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, gateway, stream=True)
        time.sleep(0.4)
        throw(gateway, "all")
        *whole, error, end = running.result().text.split("\n\n")
    assert end == ""
    assert set(whole) <= {events[: events.index(b"\n\n")].decode()}
    assert '"code":"service_unavailable"' in error.replace(" ", "")


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_written_down_is_delivered(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """A switch that is thrown while the row of a whole answer is being written comes too late: row and caller agree."""
    settle, waiting = Ledger.settle, threading.Event()

    def slowly(*args: Any, **fields: Any) -> asyncio.Future[None]:
        async def later() -> None:
            waiting.set()
            await asyncio.sleep(0.6)
            await settle(*args, **fields)

        return asyncio.ensure_future(later())

    monkeypatch.setattr(Ledger, "settle", slowly)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, gateway, stream=stream)
        assert waiting.wait(5)
        throw(gateway, "all")
        answer = running.result()
    assert answer.status_code == 200
    assert "service_unavailable" not in answer.text
    assert answer.text.endswith("data: [DONE]\n\n") or not stream
    assert [(row["status"], row["error"]) for row in gateway.requests()] == [(200, "")]


STREAMS = 50


def test_fifty_streams_end_within_a_second(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, fake_ollama: FakeOllama
) -> None:
    """Fifty running streams, a third of them silent, end in under a second with an error event and are billed for
    what was delivered; after a restart the switch is still on, and local models answer under `paid`.
    """
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
        upstream("ollama", fake_ollama.url, models=("llama3.2:latest",), credential=""),
    ]
    text = "word " * 2000
    with (
        RunningGateway(tmp_path, upstreams) as gateway,
        httpx.Client(timeout=20) as client,
        ThreadPoolExecutor(STREAMS) as pool,
    ):
        began: list[int] = []

        def read(number: int) -> tuple[str, float]:
            openai_side = number % 2 == 0
            (fake_openai if openai_side else fake_anthropic).behave(
                text=text, chunk_delay=0.02, hang_after=6 if number % 3 == 0 else None
            )
            path = "/v1/chat/completions" if openai_side else "/v1/messages"
            model = "gpt-4o-mini" if openai_side else "claude-sonnet-4-6"
            call = {"model": model, "messages": HI, "max_tokens": 5000, "stream": True}
            said = ""
            with client.stream("POST", gateway.url + path, headers=gateway.auth, json=call) as answer:
                began.append(number)
                for piece in answer.iter_text():
                    said += piece
            return said, time.monotonic()

        client._transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=STREAMS))
        running = [pool.submit(read, number) for number in range(STREAMS)]
        while len(began) < STREAMS:
            time.sleep(0.01)
        time.sleep(0.5)
        assert not any(each.done() for each in running)
        thrown = time.monotonic()
        throw(gateway, "paid")
        results = [each.result() for each in running]
        took = max(ended for _, ended in results) - thrown
        print(f"\n{STREAMS} streams ended after {took * 1000:.0f} ms")
        assert took < 1
        for number, (said, _) in enumerate(results):
            last = said.rstrip().rsplit("\n\n", 1)[-1]
            assert last.startswith("data: {" if number % 2 == 0 else "event: error\n")
            assert "drill" in last
            assert "word" in said
        rows = gateway.attempts()
        assert len(rows) == STREAMS
        assert {(row["state"], row["status"], row["error"]) for row in rows} == {
            ("settled", 503, "service_unavailable")
        }
        assert all(row["cost"] > 0 and row["output_tokens"] > 0 for row in rows)
        delivered = sorted(said.count("word") for said, _ in results)
        billed = sorted(row["output_tokens"] for row in rows)
        assert all(
            abs(tokens - words) <= max(3, words * 0.6)
            for tokens, words in zip(billed, delivered, strict=True)
        )
        deadline = time.monotonic() + 2
        while fake_openai.active + fake_anthropic.active and time.monotonic() < deadline:
            time.sleep(0.01)
        assert fake_openai.active == fake_anthropic.active == 0
    with RunningGateway(tmp_path, upstreams) as gateway:
        assert ask(gateway).status_code == 503
        assert ask(gateway, model="llama3.2").status_code == 200


def test_only_scopes_can_be_stopped(gateway: RunningGateway) -> None:
    """What is no scope is refused with the words that are."""
    for scope in ("everything", "key:", "all:x"):
        with pytest.raises(BadRequest, match="not a scope"):
            throw(gateway, scope)


def test_it_throws_itself_for_errors(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """With a limit on the share of errors the switch goes to `paid` by itself, with the figures; lifted, it stays so."""
    from llmgw.rules.tripping import Trips

    trips = Trips(error_rate=0.3, mode=Mode.KILL)
    with RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1")], trips=trips) as gateway:
        for number in range(12):
            fake_openai.behave(status=500 if number % 2 else 200)
            ask(gateway)
        _until(lambda: ask(gateway).status_code == 503)
        with gateway.control as control:
            (kill,) = Kills(control).list()
        assert (kill.scope, kill.mode, kill.by) == ("paid", Mode.KILL, "auto")
        assert "of 1" in kill.reason
        assert "failed within a minute" in kill.reason
        fake_openai._next.clear()
        lift(gateway, "paid")
        time.sleep(0.6)
        assert ask(gateway).status_code == 200


def test_it_throws_itself_for_money(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """With a limit on dollars an hour a runaway loop is stopped."""
    from llmgw.rules.tripping import Trips

    trips = Trips(spend_rate=0.001, mode=Mode.KILL)
    with RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1")], trips=trips) as gateway:
        fake_openai.behave(input_tokens=10_000, output_tokens=10_000)
        assert ask(gateway).status_code == 200
        _until(lambda: ask(gateway).status_code == 503)
        with gateway.control as control:
            (kill,) = Kills(control).list()
        assert "spent within an hour" in kill.reason


def _until(true: Any) -> None:
    deadline = time.monotonic() + 3
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
