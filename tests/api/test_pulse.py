"""`GET /admin/pulse` of a real gateway: exact from any moment on, shared by many, ended when it must be."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream
from support.watching import Watching

from llmgw.config.caching import Cache, Idempotency, SemanticCache
from llmgw.domain.pulse import History, Seconds
from llmgw.rules.picture import WINDOWS, Picture, grouped, total
from llmgw.service import pulsing

PRICES = {"openai/*": {"input": 2.0, "output": 6.0}}
PREMIUM = {"tier": "premium"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second for each second between two pulses."""
    monkeypatch.setattr(pulsing, "SECOND", 0.1)


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, fake: FakeOpenAI) -> Iterator[RunningGateway]:
    upstreams = [
        upstream("echo", "echo:", models=("echo",)),
        upstream("openai", fake.url + "/v1", models=("priced", "fails")),
        upstream("groq", fake.url + "/v1", models=("unpriced",)),
    ]
    cache = Cache(idempotency=Idempotency(ttl=""), semantic=SemanticCache(mode="off"))
    with RunningGateway(
        tmp_path, upstreams, prices=PRICES, cache=cache, timezone="Asia/Kathmandu"
    ) as running:
        yield running


def keys_of(gateway: RunningGateway) -> list[str]:
    with gateway.control as control:
        return [
            control.create("ci", tenant="ml", tags=("build",))[1],
            control.create("bot", tags=("batch", "seed"))[1],
            control.create("me")[1],
        ]


def some_call(gateway: RunningGateway, client: httpx.Client, keys: list[str], random: Random) -> None:
    """One of many kinds of requests: plain and streamed, remembered, refused, unpriced, failing, to nobody."""
    model = random.choice(["echo", "openai/priced", "groq/unpriced", "openai/fails", "nobody/knows"])
    body = {
        "model": model,
        "stream": random.random() < 0.3,
        "messages": [{"role": "user", "content": f"what is {random.randrange(20)}?"}],
        "temperature": 0,
    }
    headers = {
        "authorization": f"Bearer {random.choice(keys)}",
        "x-llmgw-tag": random.choice(["", "one", "two"]),
    }
    client.post(gateway.url + "/v1/chat/completions", headers=headers, json=body, timeout=20)


def compare(gateway: RunningGateway, watching: Watching) -> None:
    """What somebody sees is what `report` and `status` tell."""
    picture, today = watching.picture, watching.picture.today()
    for by in ("key", "tier", "tag", "provider", "model"):
        report = httpx.get(
            f"{gateway.url}/admin/report", headers=gateway.auth, params={"window": "day", "by": by}
        )
        lines = {line[by] or "": line for line in report.json()["lines"]}
        groups = {group.name: group.counts for group in grouped(today, by)}
        assert lines.keys() == groups.keys(), by
        for name, line in lines.items():
            counts = groups[name]
            assert line["requests"] == counts.requests
            assert line["errors"] == counts.errors
            assert (line["cost_nanousd"] or 0) == counts.cost
            assert line["unpriced_requests"] == counts.unknown_cost
            assert line["saving_nanousd"] == counts.saving
            assert line["cache_saved_nanousd"] == counts.saved
            assert line["input_tokens"] == counts.input_tokens
            assert line["output_tokens"] == counts.output_tokens
    status = httpx.get(f"{gateway.url}/admin/status", headers=gateway.auth).json()
    assert status["requests"] == {"today": total(today).requests, "errors_today": total(today).errors}
    assert status["spend"]["today_nanousd"] == total(today).cost
    assert status["spend"]["month_nanousd"] == total(picture.month()).cost
    assert total(picture.in_window()).requests == len(gateway.requests())


def test_exact_from_any_moment_on(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """Who comes before, during and after a busy time sees the figures of `report` and `status`, to the last digit."""
    keys, stop = keys_of(gateway), threading.Event()

    def callers(seed: int) -> None:
        random = Random(seed)
        with httpx.Client() as client:
            while not stop.is_set():
                if random.random() < 0.1:
                    fake.behave(status=500)
                some_call(gateway, client, keys, random)

    threads = [threading.Thread(target=callers, args=(seed,)) for seed in range(6)]
    watchings: list[Watching] = []
    try:
        watchings.append(Watching(gateway.url, gateway.auth, "1h").__enter__())
        for thread in threads:
            thread.start()
        for window in (*WINDOWS, *WINDOWS):
            time.sleep(0.21)
            watchings.append(Watching(gateway.url, gateway.auth, window).__enter__())
        stop.set()
        for thread in threads:
            thread.join()
        watchings.append(Watching(gateway.url, gateway.auth, "5m").__enter__())
        written = len(gateway.requests())
        assert written > 100
        for watching in watchings:
            watching.wait(lambda each: total(each.picture.today()).requests >= written)
            compare(gateway, watching)
            assert len(watching.histories) == 1
        whole = watchings[0].picture
        assert {line.rule for line in whole.today()} == {""}
        assert total(whole.today()).unknown_cost > 0
        assert total(whole.today()).errors > 0
        assert {"exact", "miss"} <= {group.name for group in grouped(whole.today(), "cache")}
    finally:
        stop.set()
        for watching in watchings:
            watching.__exit__()


def test_after_a_restart(tmp_path: Path) -> None:
    """A gateway that begins again tells of what was before, under another boot."""
    boots = set()
    for expected in (3, 6):
        with RunningGateway(tmp_path, [upstream("echo", "echo:")]) as gateway:
            body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
            with Watching(gateway.url, gateway.auth) as watching:
                for _ in range(3):
                    httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=body)
                watching.wait(lambda each, count=expected: total(each.picture.today()).requests == count)
                process = watching.picture.standing.process
                assert process is not None
                boots.add(process.boot)
    assert len(boots) == 2


def test_who_may(gateway: RunningGateway) -> None:
    """Admin keys only, and no longer than they count: a key that is revoked sees no more."""
    with gateway.control as control:
        _, plain = control.create("plain")
        _, admin = control.create("boss", admin=True)
    url = gateway.url + "/admin/pulse"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"authorization": f"Bearer {plain}"}).status_code == 403
    refused = httpx.get(url + "?window=2h", headers=gateway.auth)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "window")
    with Watching(gateway.url, {"authorization": f"Bearer {admin}"}) as watching:
        with gateway.control as control:
            control.revoke("boss")
        assert watching.over.wait(5)


def test_ends_with_the_gateway(tmp_path: Path) -> None:
    """A gateway that stops lets its watchers go at once, instead of draining them."""
    gateway = RunningGateway(tmp_path, [upstream("echo", "echo:")], drain_seconds=20)
    with gateway:
        watching = Watching(gateway.url, gateway.auth)
        watching.__enter__()
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert watching.over.wait(1)


def test_how_things_stand(gateway: RunningGateway) -> None:
    """Budgets, keys, upstreams and switches are told whole at first, and again once they change."""
    (key, *_) = keys_of(gateway)
    with Watching(gateway.url, gateway.auth) as watching:
        standing = watching.picture.standing
        assert [each.name for each in standing.upstreams or ()] == ["echo", "openai", "groq"]
        assert {each.name for each in standing.keys or ()} == {"ci", "bot", "me"}
        assert (standing.budgets, standing.kills) == ((), ())
        admin = {"headers": gateway.auth}
        httpx.post(
            gateway.url + "/admin/budgets",
            json={"scope": "key:ci", "window": "day", "hard_usd": "5"},
            **admin,
        )
        httpx.post(gateway.url + "/admin/kills", json={"scope": "tag:x", "mode": "throttle"}, **admin)
        watching.wait(lambda each: bool(each.picture.standing.kills and each.picture.standing.budgets))
        body = {"model": "openai/priced", "messages": [{"role": "user", "content": "hi"}]}
        httpx.post(
            gateway.url + "/v1/chat/completions", headers={"authorization": f"Bearer {key}"}, json=body
        )
        watching.wait(lambda each: each.picture.standing.budgets[0].spent > 0)
        (budget,) = watching.picture.standing.budgets or ()
        assert (budget.scope, budget.hard, budget.held) == ("key:ci", 5 * 10**9, 0)
        assert budget.spent == total(watching.picture.today()).cost
        quiet = [beat for beat in watching.beats if not isinstance(beat, History)]
        assert any(beat.standing.budgets is None and beat.standing.keys is None for beat in quiet)


def test_no_question_each_second(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody watches a gateway at work no second asks the ledger anything."""
    asked: list[str] = []
    connect = sqlite3.connect

    class Counting(sqlite3.Connection):
        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            if "SELECT" in sql and any(name in sql for name in ("requests", "rollups", "overall")):
                asked.append(sql)
            return super().execute(sql, *given)

    monkeypatch.setattr(
        sqlite3, "connect", lambda *given, **named: connect(*given, factory=Counting, **named)
    )
    keys, random = keys_of(gateway), Random(1)
    with httpx.Client() as client, Watching(gateway.url, gateway.auth) as watching:
        assert asked, "the history was read"
        asked.clear()
        for _ in range(60):
            some_call(gateway, client, keys, random)
            time.sleep(0.01)
        watching.wait(lambda each: total(each.picture.today()).requests == 60)
        assert len(watching.beats) > 3
        assert not asked


def test_seconds_that_are_past(gateway: RunningGateway) -> None:
    """A history of an earlier moment and the seconds after it add up to what is there now."""
    keys, random = keys_of(gateway), Random(2)
    with httpx.Client() as client:
        for _ in range(30):
            some_call(gateway, client, keys, random)
        middle = time.time_ns()
        for _ in range(30):
            some_call(gateway, client, keys, random)
    now = time.time_ns()
    picture = Picture()
    given = {"window": "5m", "at": str(middle)}
    past = httpx.get(gateway.url + "/admin/pulse/history", params=given, headers=gateway.auth)
    history = msgspec.json.decode(past.content, type=History)
    picture.take(history)
    assert total(picture.today()).requests == 30
    given = {"after": str(history.seq), "since": str(middle), "until": str(now)}
    found = httpx.get(gateway.url + "/admin/pulse/seconds", params=given, headers=gateway.auth)
    for pulse in msgspec.json.decode(found.content, type=Seconds).pulses:
        picture.take(pulse)
    assert total(picture.in_window()).requests == len(gateway.requests()) == 60


def test_a_clock_that_jumps(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the clock is not where it should be, everybody begins with a history again, and the sums stay exact."""
    keys, random = keys_of(gateway), Random(3)
    monkeypatch.setattr(pulsing, "JUMP", -1)  # each second looks like a jump
    with httpx.Client() as client, Watching(gateway.url, gateway.auth) as watching:
        for _ in range(40):
            some_call(gateway, client, keys, random)
            time.sleep(0.02)
        watching.wait(lambda each: total(each.picture.today()).requests == 40)
        assert len(watching.histories) > 2
        compare(gateway, watching)
