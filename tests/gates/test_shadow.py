"""Calls that were paid for are answered by an idle local model as well; nobody gets that answer, and it costs nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.domain.killswitch import Kill, Mode
from llmgw.domain.route import Tier
from llmgw.gates import shadow
from llmgw.rules.tiering.conditions import Rule
from llmgw.rules.tiering.options import Options
from llmgw.rules.verifying.options import Shadowing
from llmgw.storage.kills import Kills

QUESTION = "Which city is the capital of France?"
ALWAYS = Shadowing(share=1)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "LOOK", 0.05)
    monkeypatch.setattr(shadow, "QUICK_LOOK", 0.02)


@contextmanager
def gateway_of(
    home: Path,
    local: FakeOllama,
    premium: FakeOpenAI | FakeAnthropic,
    options: Shadowing | None = ALWAYS,
    **router: Any,
) -> Iterator[RunningGateway]:
    """A local and a premium model; everything goes to the premium one."""
    if isinstance(premium, FakeAnthropic):
        dear = upstream("anthropic", premium.url + "/v1", models=("claude-sonnet-4-6",))
    else:
        dear = upstream("openai", premium.url + "/v1", models=("gpt-5.4",), tier=Tier.PREMIUM)
    upstreams = [upstream("ollama", local.url, models=("llama3.2",)), dear]
    router = {"quality": 1.0, "rules": (), **router}
    with RunningGateway(home, upstreams, router=Options(shadow=options, **router)) as running:
        yield running


def ask(gateway: RunningGateway, said: str = QUESTION, **fields: Any) -> httpx.Response:
    headers = gateway.auth | fields.pop("headers", {})
    body = {"model": "gateway-premium", "messages": [{"role": "user", "content": said}]} | fields
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=body, timeout=20)


def shadows(gateway: RunningGateway) -> list[dict[str, Any]]:
    return gateway._rows("SELECT * FROM shadows ORDER BY request_id")


def until(fact: Callable[[], Any], seconds: float = 5) -> Any:
    end = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)
    return found


SAID = "The capital of France is Paris, which lies on the Seine, as everybody there knows."
OTHER = "Since the Middle Ages the kings resided in Paris, which became the seat of government."


@pytest.mark.parametrize(
    ("good", "local", "score", "how"),
    [
        (SAID, SAID.replace("Paris", "**Paris**"), 1.0, "words"),
        ("Paris", "The capital of France is Paris.", 1.0, "result"),
        ("Paris", "Lyon", 0.0, "result"),
        (SAID, "I'm not sure, sorry.", 0.0, "check: unsure"),
        (SAID, OTHER, None, ""),
    ],
)
def test_a_call_is_answered_again(
    good: str,
    local: str,
    score: float | None,
    how: str,
    tmp_path: Path,
    fake_ollama: FakeOllama,
    fake_openai: FakeOpenAI,
) -> None:
    """The caller has the dear answer; later a row says how well the local one would have served and what was paid."""
    with gateway_of(tmp_path, fake_ollama, fake_openai) as gateway:
        fake_openai.behave(text=good)
        fake_ollama.behave(text=local)
        assert ask(gateway).headers["x-llmgw-tier"] == "premium"
        [row] = until(lambda: shadows(gateway))
        [request] = gateway.requests()
        assert (row["score"], row["how"]) == (score, how)
        assert (row["request_id"], row["tier"], row["shadow"]) == (
            request["id"],
            "premium",
            "ollama/llama3.2",
        )
        assert row["cost"] == row["spent"] == request["cost"] > 0
        assert row["calls"] == 1
        assert len(gateway.attempts()) == 1, "the ledger knows only what a caller asked for"
        assert not local_text_anywhere(tmp_path, local)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_streams_and_dialects(
    path: str, tmp_path: Path, fake_ollama: FakeOllama, fake_anthropic: FakeAnthropic
) -> None:
    """A stream is compared like a plain answer, whatever its caller and both models speak."""
    with gateway_of(tmp_path, fake_ollama, fake_anthropic) as gateway:
        fake_anthropic.behave(text=SAID)
        fake_ollama.behave(text=SAID)
        body = {"model": "gateway-premium", "stream": True, "max_tokens": 99}
        body["messages"] = [{"role": "user", "content": QUESTION}]
        reply = httpx.post(gateway.url + path, headers=gateway.auth, json=body)
        assert "Seine" in reply.text
        [row] = until(lambda: shadows(gateway))
        assert row["score"] == 1
        assert fake_ollama.requests[0].json["stream"] is False


def local_text_anywhere(home: Path, text: str) -> bool:
    return len(text) > 20 and any(
        text.encode() in path.read_bytes() for path in home.rglob("*") if path.is_file()
    )


def test_nothing_happens_by_default(tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI) -> None:
    """Without a share no call is repeated."""
    with gateway_of(tmp_path, fake_ollama, fake_openai, None) as gateway:
        assert ask(gateway).status_code == 200
        time.sleep(0.3)
    assert fake_ollama.requests == []


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, ()),
        ({"force_tier": "premium", "model": "gateway-auto"}, ()),
        ({"n": 2}, ()),
        ({"model": "gateway-auto"}, (Rule(min_tokens=1, to=("premium",)),)),
        ({"model": "gateway-local"}, ()),
    ],
)
def test_some_calls_are_never_repeated(
    fields: dict[str, Any],
    rules: tuple[Rule, ...],
    tmp_path: Path,
    fake_ollama: FakeOllama,
    fake_openai: FakeOpenAI,
) -> None:
    """Not those with tools, those that must not leave their tier by rule or wish, nor those that were local anyway."""
    with gateway_of(tmp_path, fake_ollama, fake_openai, rules=rules) as gateway:
        assert ask(gateway, **fields).status_code == 200
        before = len(fake_ollama.requests)
        time.sleep(0.3)
        assert shadows(gateway) == []
        assert len(fake_ollama.requests) == before


def test_a_key_without_local_models_is_left_alone(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI
) -> None:
    """What a key may not use does not see its prompts either."""
    with gateway_of(tmp_path, fake_ollama, fake_openai) as gateway:
        with gateway.control as control:
            _, token = control.create("dear", models=("premium/*",))
        assert ask(gateway, headers={"authorization": f"Bearer {token}"}).status_code == 200
        time.sleep(0.3)
    assert fake_ollama.requests == []


def test_it_waits_until_nobody_needs_the_machine(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI
) -> None:
    """A shadow run is ended at once when a caller wants a local model, and made again once that is over."""
    with gateway_of(tmp_path, fake_ollama, fake_openai) as gateway:
        fake_openai.behave(text="Paris")
        fake_ollama.behave(text="Paris", latency=5)
        ask(gateway)
        until(lambda: fake_ollama.active)
        fake_ollama.default = fake_ollama.default.__class__(text="Paris", latency=0.4)
        began = time.monotonic()
        assert ask(gateway, "hi", model="gateway-local").status_code == 200
        assert time.monotonic() - began < 2
        assert fake_ollama.cancelled == 1
        [row] = until(lambda: shadows(gateway))
        assert row["score"] == 1
        assert len(fake_ollama.requests) == 3


def test_not_while_a_switch_is_thrown(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI
) -> None:
    """Whoever throws the kill switch, for anybody, ends shadow runs too."""
    with gateway_of(tmp_path, fake_ollama, fake_openai) as gateway:
        with gateway.control as control:
            Kills(control).set(Kill(scope="key:other", mode=Mode.KILL, reason="", by="test", at=1))
        assert ask(gateway).status_code == 200
        time.sleep(0.4)
        assert shadows(gateway) == []
        with gateway.control as control:
            Kills(control).remove("key:other")
        until(lambda: shadows(gateway))


def test_a_judge_settles_what_words_do_not(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI
) -> None:
    """It is asked on the gateway's own account, with all texts as data."""
    with gateway_of(
        tmp_path, fake_ollama, fake_openai, Shadowing(share=1, judge="openai/gpt-5.4")
    ) as gateway:
        fake_openai.behave(text=SAID)
        fake_openai.behave(text="Yes")
        fake_ollama.behave(text=OTHER)
        ask(gateway)
        [row] = until(lambda: shadows(gateway))
        assert (row["score"], row["how"]) == (1, "judge")
        _, judged = gateway.requests()
        assert (judged["surface"], judged["key_name"], judged["tenant"]) == ("judge", "gateway-shadow", "")
        given = json.loads(fake_openai.requests[-1].json["messages"][1]["content"])
        assert given == {"request": QUESTION, "good": SAID, "other": OTHER}


def test_a_local_judge_may_take_the_only_slot(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI
) -> None:
    """The judge's own slot is no reason to end the run that asks it."""
    upstreams = [
        upstream("ollama", fake_ollama.url, models=("llama3.2",), slots=1),
        upstream("openai", fake_openai.url + "/v1", models=("gpt-5.4",), tier=Tier.PREMIUM),
    ]
    options = Options(shadow=Shadowing(share=1, judge="ollama/llama3.2"))
    with RunningGateway(tmp_path, upstreams, router=options) as gateway:
        fake_openai.behave(text=SAID)
        fake_ollama.behave(text=OTHER)
        fake_ollama.behave(text="no", latency=0.3)
        ask(gateway)
        [row] = until(lambda: shadows(gateway))
        assert (row["score"], row["how"]) == (0, "judge")
        assert len(fake_ollama.requests) == 2


def test_a_local_model_that_fails_leaves_no_row(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI
) -> None:
    """A failed run says nothing; what it stood for is counted with the next one."""
    with gateway_of(tmp_path, fake_ollama, fake_openai) as gateway:
        fake_ollama.behave(status=500)
        ask(gateway)
        until(lambda: fake_ollama.requests)
        time.sleep(0.2)
        assert shadows(gateway) == []
        ask(gateway)
        [row] = until(lambda: shadows(gateway))
        assert row["calls"] == 2
        assert row["spent"] == 2 * row["cost"]


def test_the_router_learns_from_it(tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI) -> None:
    """Where the score had looked at the question, how the local model did is an outcome of its tier."""
    with gateway_of(tmp_path, fake_ollama, fake_openai, quality=1.0) as gateway:
        hard = "Prove that the square root of two is irrational and implement the proof in Lean. " * 3
        fake_ollama.behave(text="I don't know.")
        assert ask(gateway, hard, model="gateway-auto").headers["x-llmgw-tier"] == "premium"
        [outcome] = until(lambda: gateway._rows("SELECT * FROM outcomes"))
        assert (outcome["tier"], outcome["score"]) == ("local", 0)


def test_only_a_share_is_repeated(tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI) -> None:
    """With a share of one half about half of the calls have a row, and the rows stand for all of them."""
    with gateway_of(tmp_path, fake_ollama, fake_openai, Shadowing(share=0.5)) as gateway:
        for _ in range(30):
            ask(gateway)
        rows = until(lambda: len(found := shadows(gateway)) >= 4 and found)
        time.sleep(0.5)
        rows = shadows(gateway)
        assert 4 <= len(rows) <= 26
        assert len(rows) < sum(row["calls"] for row in rows) <= 30


def test_no_more_wait_than_may(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was ended waits again, which makes no room for more: what a busy gateway keeps stays bounded."""
    monkeypatch.setattr(shadow, "MOST", 2)
    with gateway_of(tmp_path, fake_ollama, fake_openai) as gateway, ThreadPoolExecutor(1) as pool:
        fake_ollama.behave(text="Paris", latency=5)
        fake_ollama.behave(text="Paris", latency=1)
        ask(gateway)
        until(lambda: fake_ollama.active)
        for _ in range(2):
            ask(gateway)
        busy = pool.submit(ask, gateway, "hi", model="gateway-local")
        until(lambda: fake_ollama.cancelled == 1)
        for _ in range(6):
            ask(gateway)
        assert not busy.done()
        until(lambda: len(shadows(gateway)) == 3)  # two, and the one that came back
        time.sleep(0.5)
        rows = shadows(gateway)
        assert len(rows) == 3
        assert sum(row["calls"] for row in rows) == 9
