"""When the ledger cannot be written nothing is asked of anybody, and what was asked already is written down later."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.service import run
from llmgw.storage.ledger import Ledger

CALL = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
ALIASES = {
    "fast": ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-6"),
    "free-at-last": ("openai/gpt-4o-mini", "ollama/llama3.2"),
}


@pytest.fixture
def gateway(
    tmp_path: Path,
    fake_openai: FakeOpenAI,
    fake_anthropic: FakeAnthropic,
    fake_ollama: FakeOllama,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RunningGateway]:
    class Impatient:
        @staticmethod
        def open(path: Path, boot: str, clock: object, **options: Any) -> Ledger:
            return Ledger.open(path, boot, clock, patience=0.2, **options)

    monkeypatch.setattr(run, "Ledger", Impatient)
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
        upstream("ollama", fake_ollama.url, models=("llama3.2",)),
    ]
    with RunningGateway(tmp_path, upstreams, ALIASES) as running:
        yield running


def post(gateway: RunningGateway, **fields: object) -> httpx.Response:
    return httpx.post(
        gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL | fields, timeout=20
    )


def settled(gateway: RunningGateway, rows: int) -> None:
    end = time.monotonic() + 10
    while len(gateway.requests()) < rows:
        assert time.monotonic() < end, "the rows were not written"
        time.sleep(0.05)


def test_locked_ledger_asks_no_upstream(
    gateway: RunningGateway, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """While another process holds the file locked a call is a quick 503, on whichever of its targets; then all is well."""
    with closing(sqlite3.connect(gateway.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        reply = post(gateway)
        assert time.monotonic() - begun < 2
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "storage_unavailable")
        assert reply.json()["error"]["hint"]
        assert httpx.get(gateway.url + "/health").status_code == 503
        other.execute("ROLLBACK")
    settled(gateway, 1)
    assert fake_openai.chats == fake_anthropic.chats == []
    assert post(gateway).status_code == 200
    refused, _ = gateway.requests()
    assert (refused["status"], refused["cost"]) == (503, 0)


def test_a_route_goes_on_to_what_costs_nothing(
    gateway: RunningGateway, fake_openai: FakeOpenAI, fake_ollama: FakeOllama
) -> None:
    """While the file is locked a local target answers behind one that costs money, and is written down later. # E-12"""
    with closing(sqlite3.connect(gateway.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            begun = time.monotonic()
            reply = post(gateway, model="free-at-last")
            assert time.monotonic() - begun < 2
            assert (reply.status_code, reply.headers["x-llmgw-target"]) == (200, "ollama/llama3.2")
        other.execute("ROLLBACK")
    settled(gateway, 2)
    assert fake_openai.chats == []
    assert [(row["status"], row["cost"], row["provider"]) for row in gateway.requests()] == [
        (200, 0, "ollama")
    ] * 2
    assert not any(attempt["open"] for attempt in gateway.attempts())


@pytest.mark.parametrize("stream", [False, True])
def test_answer_that_cannot_be_written_down_is_not_asked_for_twice(
    stream: bool, gateway: RunningGateway, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """A lock that falls between a call and its answer costs the caller an error, no second target and no row."""
    fake_openai.behave(latency=0.4)
    with closing(sqlite3.connect(gateway.database, isolation_level=None)) as other:
        with httpx.Client(base_url=gateway.url, headers=gateway.auth, timeout=20) as client:
            request = client.build_request("POST", "/v1/chat/completions", json=CALL | {"stream": stream})
            replies: list[httpx.Response] = []
            asking = threading.Thread(target=lambda: replies.append(client.send(request)))
            asking.start()
            while not fake_openai.chats:
                time.sleep(0.01)
            other.execute("BEGIN IMMEDIATE")
            asking.join()
        assert "storage_unavailable" in replies[0].text
        other.execute("ROLLBACK")
    settled(gateway, 1)
    assert (len(fake_openai.chats), len(fake_anthropic.chats)) == (1, 0)
    [row] = gateway.requests()
    assert (row["status"], row["attempts"]) == (200, 1)
    assert row["cost"] > 0
    assert not any(attempt["open"] for attempt in gateway.attempts())


def test_last_target_that_cannot_take_the_call_leaves_a_row(
    gateway: RunningGateway, fake_openai: FakeOpenAI
) -> None:
    """Where the first target fails and the call cannot be put into the second one's words, the request has its row."""
    fake_openai.behave(status=500)
    reply = post(gateway, n=3)
    assert reply.status_code == 400
    [row] = gateway.requests()
    assert (row["status"], row["attempts"], row["error"]) == (400, 1, "invalid_request")
    assert not any(attempt["open"] for attempt in gateway.attempts())


def test_database_that_is_taken_away_stops_the_calls(
    gateway: RunningGateway, fake_openai: FakeOpenAI
) -> None:
    """Nothing is written into a file that nobody will find again; with the file back in its place all is well."""
    aside = gateway.database.with_suffix(".aside")
    gateway.database.rename(aside)
    wait_for_health(gateway, 503)
    assert post(gateway).json()["error"]["code"] == "storage_unavailable"
    assert not fake_openai.chats
    aside.rename(gateway.database)
    wait_for_health(gateway, 200)
    assert post(gateway).status_code == 200


def wait_for_health(gateway: RunningGateway, status: int) -> None:
    end = time.monotonic() + 5
    while httpx.get(gateway.url + "/health").status_code != status:
        assert time.monotonic() < end
        time.sleep(0.05)
