"""``POST /v1/feedback``: what callers say of answers is kept, and the router learns from it. # D-07"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.domain.route import Tier
from llmgw.rules.tiering.conditions import Rule
from llmgw.rules.tiering.options import Options

EASY = "What is the capital of France?"


@pytest.fixture
def upstreams(fake_ollama: FakeOllama, fake_openai: FakeOpenAI) -> list[Any]:
    return [
        upstream("ollama", fake_ollama.url, models=("llama3.2",)),
        upstream("openai", fake_openai.url + "/v1", models=("gpt-5",)),
    ]


@pytest.fixture
def gateway(tmp_path: Path, upstreams: list[Any]) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path, upstreams) as running:
        yield running


def ask(gateway: RunningGateway, model: str = "gateway-auto", tag: str = "") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": EASY}]}
    headers = gateway.auth | {"x-llmgw-tag": tag}
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=body)


def tell(
    gateway: RunningGateway, request_id: str, headers: dict[str, str] | None = None, **said: Any
) -> httpx.Response:
    body = {"request_id": request_id, **said}
    return httpx.post(gateway.url + "/v1/feedback", headers=headers or gateway.auth, json=body)


def test_outcomes_move_the_score(tmp_path: Path, upstreams: list[Any]) -> None:
    """Bad local answers and good premium ones raise the gain of a premium model, a restart keeps it, forgetting undoes it."""

    def gain(gateway: RunningGateway) -> float:
        tested = httpx.post(
            gateway.url + "/admin/routes/test", headers=gateway.auth, json={"prompt": EASY}
        ).json()["decision"]
        assert sum(term["value"] for term in tested["terms"]) == pytest.approx(tested["gain"])
        return tested["gain"]

    rules = (Rule(tag="poor", tier=Tier.LOCAL), Rule(tag="best", tier=Tier.PREMIUM))
    launch = {"router": Options(rules=rules)}
    with RunningGateway(tmp_path, upstreams, **launch) as gateway:
        before = gain(gateway)
        for _ in range(20):
            bad, good = ask(gateway, tag="poor"), ask(gateway, tag="best")
            assert (bad.headers["x-llmgw-tier"], good.headers["x-llmgw-tier"]) == ("local", "premium")
            assert tell(gateway, bad.headers["x-llmgw-request-id"], rating="down").json()["learnt"]
            assert tell(gateway, good.headers["x-llmgw-request-id"], score=1.0).json()["learnt"]
        after = gain(gateway)
        assert after > before + 0.1
    with RunningGateway(tmp_path, upstreams, **launch) as gateway:
        assert gain(gateway) == pytest.approx(after)
        done = httpx.delete(gateway.url + "/admin/outcomes", headers=gateway.auth)
        assert done.json()["forgotten"] == 40
        wait_for(lambda: gain(gateway) == pytest.approx(before))


def wait_for(holds: Callable[[], bool]) -> None:
    """The gateway looks once a second at what others changed."""
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_is_said_again_replaces_what_was_said(gateway: RunningGateway) -> None:
    """A request has one outcome, the last one told, and its comment stands beside it."""
    number = ask(gateway).headers["x-llmgw-request-id"]
    tell(gateway, number, rating="down")
    assert tell(gateway, number, score=0.75, comment="better than I thought").json() == {
        "request_id": number,
        "score": 0.75,
        "learnt": True,
    }
    [row] = gateway._rows("SELECT score, comment, tier FROM outcomes")
    assert row == {"score": 0.75, "comment": "better than I thought", "tier": "local"}
    why = httpx.get(f"{gateway.url}/admin/requests/{number}/why", headers=gateway.auth).json()
    assert why["outcome"]["comment"] == "better than I thought"


def test_an_answer_of_a_named_model_teaches_nothing(gateway: RunningGateway) -> None:
    """It is kept all the same."""
    number = ask(gateway, "llama3.2").headers["x-llmgw-request-id"]
    assert tell(gateway, number, score=1).json()["learnt"] is False
    assert len(gateway._rows("SELECT * FROM outcomes")) == 1


def test_others_cannot_judge(gateway: RunningGateway) -> None:
    """A key speaks of its own requests only, one with admin rights of all; without a key nobody speaks."""
    number = ask(gateway).headers["x-llmgw-request-id"]
    with gateway.control as control:
        _, other = control.create("other")
        _, admin = control.create("ops", admin=True)
    assert tell(gateway, number, {"authorization": f"Bearer {other}"}, score=1).status_code == 404
    assert tell(gateway, number, {"authorization": f"Bearer {admin}"}, score=1).status_code == 200
    assert tell(gateway, number, {"x": "y"}, score=1).status_code == 401


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"score": 2},
        {"score": 0.5, "rating": "up"},
        {"rating": "sideways"},
        {"score": 1, "comment": "x" * 2001},
        {"score": 1, "mood": "good"},
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any], gateway: RunningGateway) -> None:
    """With 400, and nothing is kept."""
    number = ask(gateway).headers["x-llmgw-request-id"]
    assert tell(gateway, number, **said).status_code == 400
    assert tell(gateway, "not an id!", score=1).status_code == 400
    assert tell(gateway, "req_0000000000000", score=1).status_code == 404
    assert gateway._rows("SELECT * FROM outcomes") == []
