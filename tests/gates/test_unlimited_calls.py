"""A call that names no limit cannot outgrow a hard budget: it is told one, or its stream ends in time. # D-20 A-11"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.budgets import Budgeted, budget
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import upstream

from llmgw.domain.money import NANO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHAT = "/v1/chat/completions"
LONG = Behaviour(text="word " * 50_000, input_tokens=10, output_tokens=50_000)
OUTPUT = 600
"""Nano-dollars of a token out of gpt-4o-mini."""


class Obedient(FakeOpenAI):
    """Writes at most as much as it is told."""

    def chat(self, request: Any, how: Behaviour) -> Any:
        call = request.json
        most = call.get("max_completion_tokens") or call.get("max_tokens") or how.output_tokens
        tokens = min(most, how.output_tokens)
        how = Behaviour(text="word " * tokens, input_tokens=10, output_tokens=tokens)
        return super().chat(request, how)


@pytest.fixture
def deaf() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        fake.default = LONG
        yield fake


@pytest.fixture
def obedient() -> Iterator[Obedient]:
    with Obedient() as fake:
        fake.default = LONG
        yield fake


@pytest.fixture
def gateway(tmp_path: Path, deaf: FakeOpenAI, obedient: Obedient) -> Iterator[Budgeted]:
    upstreams = [
        upstream("deaf", deaf.url + "/v1", kind="openai", models=("gpt-4o-mini",), tier="cheap"),
        upstream("openai", obedient.url + "/v1", models=("gpt-4o-mini", "gpt-5-mini"), tier="cheap"),
    ]
    with Budgeted(tmp_path, upstreams, wait_seconds=0.2) as running:
        yield running


def ask(
    gateway: Budgeted, provider: str = "openai", model: str = "gpt-4o-mini", **changes: Any
) -> httpx.Response:
    body = {"model": f"{provider}/{model}", "messages": [{"role": "user", "content": "hi"}], **changes}
    return httpx.post(gateway.url + CHAT, json=body, headers=gateway.auth, timeout=60)


@pytest.mark.parametrize("stream", [False, True])
def test_near_a_hard_budget_a_call_is_told_a_limit(
    gateway: Budgeted, obedient: Obedient, stream: bool
) -> None:
    """Where the budget could not pay for whatever a model may write, it hears of a limit and the budget holds."""
    hard = 4_200 * OUTPUT + 2_000_000
    gateway.set(budget("key:ci", hard=hard))

    reply = ask(gateway, stream=stream)

    assert reply.status_code == 200
    assert obedient.requests[-1].json["max_completion_tokens"] == 3072
    assert '"length"' in reply.text or "word" in reply.text
    (spent, held) = gateway.accounts()["key:ci/day"]
    assert held == 0
    assert 3072 * OUTPUT <= spent <= hard
    assert gateway.recorded()["key:ci/day"] == spent


def test_reasoning_models_take_the_limit_by_their_name(gateway: Budgeted, obedient: Obedient) -> None:
    """A limit of none that the caller wrote is replaced, and a model that refuses `max_tokens` gets the other name."""
    gateway.set(budget("key:ci", hard=NANO // 50))
    assert ask(gateway, model="gpt-5-mini", max_tokens=-1).status_code == 200
    sent = obedient.requests[-1].json
    assert sent["max_completion_tokens"] == 3072
    assert "max_tokens" not in sent


def test_far_from_a_budget_nobody_is_limited(gateway: Budgeted, obedient: Obedient) -> None:
    """Where the budget can pay for it, or there is none, a call is as long as its model likes."""
    assert ask(gateway).status_code == 200
    gateway.set(budget("all", hard=NANO), budget("key:ci", "month", soft=1))
    reply = ask(gateway)
    assert reply.json()["usage"]["completion_tokens"] == 50_000
    assert all("max_completion_tokens" not in request.json for request in obedient.requests)
    assert gateway.accounts()["all/day"][1] == 0


def test_a_callers_own_limit_stays(gateway: Budgeted, obedient: Obedient) -> None:
    """A limit that the caller names is passed on as it is."""
    gateway.set(budget("key:ci", hard=NANO // 50))
    assert ask(gateway, max_tokens=77).status_code == 200
    assert obedient.requests[-1].json["max_tokens"] == 77


@pytest.mark.parametrize("unit", ["money", "tokens"])
def test_a_stream_that_keeps_to_no_limit_ends_in_time(gateway: Budgeted, unit: str) -> None:
    """An upstream that writes 50,000 tokens whatever it is told is cut off before a hard budget is passed."""
    hard = 20_000 * OUTPUT if unit == "money" else 20_000
    gateway.set(budget("key:ci", unit=unit, hard=hard))

    reply = ask(gateway, "deaf", stream=True)

    assert reply.status_code == 200
    assert "budget_exceeded" in reply.text
    assert "[DONE]" not in reply.text.splitlines()[-3:]
    ((spent, held),) = gateway.accounts().values()
    assert held == 0
    assert hard // 2 < spent <= hard
    assert gateway.recorded() == {"key:ci/day": spent}
    assert gateway.holes() == []
    [attempt] = gateway.attempts()
    assert attempt["held_cost"] >= attempt["cost"]


def test_a_stream_may_grow_where_there_is_room(gateway: Budgeted) -> None:
    """A stream that passes what was held for it goes on as long as the budget has room for more of it."""
    gateway.set(budget("key:ci", hard=60_000 * OUTPUT))
    reply = ask(gateway, "deaf", stream=True)
    assert "budget_exceeded" not in reply.text
    assert reply.text.count("word") == 50_000
    assert gateway.accounts()["key:ci/day"] == (50_000 * OUTPUT + 10 * 150, 0)


def test_a_translated_stream_that_passes_its_limit_ends(gateway: Budgeted) -> None:
    """An answer in another dialect that goes far beyond the caller's own limit ends with an error of that dialect."""
    hard = 4_000_000
    gateway.set(budget("key:ci", hard=hard))
    body = {
        "model": "deaf/gpt-4o-mini",
        "max_tokens": 1_000,
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    }
    reply = httpx.post(gateway.url + "/v1/messages", json=body, headers=gateway.auth, timeout=60)
    assert "event: error" in reply.text
    assert "outgrew" in reply.text
    ((spent, held),) = gateway.accounts().values()
    assert held == 0
    assert 1_500 * OUTPUT < spent <= hard
    assert gateway.holes() == []
