"""gateway-auto: simple to local, hard to premium, by declared routes first; and it always answers. # D-04 D-05 D-07"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.domain.route import Tier
from llmgw.rules.tiering.conditions import Rule
from llmgw.rules.tiering.options import Options

EASY = "hi"
HARD = (
    "Write a python function that implements a lock-free concurrent queue, and debug the traceback in my operator. "
    * 4
)
MINUTE = 60_000_000_000


@contextmanager
def gateway_of(
    home: Path, local: FakeOllama, cheap: FakeOpenAI, premium: FakeAnthropic, **launch: Any
) -> Iterator[RunningGateway]:
    upstreams = [
        upstream("ollama", local.url, models=("llama3.2",)),
        upstream("openai", cheap.url + "/v1", models=("gpt-4o-mini",), tier=Tier.CHEAP),
        upstream("anthropic", premium.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    with RunningGateway(home, upstreams, **launch) as running:
        yield running


def ask(gateway: RunningGateway, *messages: str, **fields: Any) -> httpx.Response:
    """A chat of the user's and the assistant's words in turn."""
    chat = [{"role": "assistant" if n % 2 else "user", "content": said} for n, said in enumerate(messages)]
    headers = gateway.auth | fields.pop("headers", {})
    body = {"model": "gateway-auto", "messages": chat} | fields
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=body)


def decisions(gateway: RunningGateway) -> list[dict[str, Any]]:
    return gateway._rows("SELECT * FROM decisions ORDER BY request_id")


def test_easy_goes_local_and_hard_goes_up(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """The tier follows the question; the reason stands in the answer, and the terms of the score in the ledger sum up. # D-07"""
    with gateway_of(tmp_path, fake_ollama, fake_openai, fake_anthropic) as gateway:
        easy, hard = ask(gateway, EASY), ask(gateway, HARD)
        assert easy.status_code == hard.status_code == 200, (easy.text, hard.text)
        assert easy.headers["x-llmgw-tier"] == "local"
        assert hard.headers["x-llmgw-tier"] == "premium"
        assert "premium model" in easy.json()["gateway_meta"]["routing"]["reason"]
        for row, tier in zip(decisions(gateway), ("local", "premium"), strict=True):
            assert row["tier"] == tier
            terms = json.loads(row["terms"])
            assert terms[0][0] == "usual"
            assert sum(value for _, value in terms) == pytest.approx(row["gain"])
        assert len(gateway.requests()) == 2


def test_calls_that_name_a_model_are_left_alone(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """A named model, a tier's own virtual model and force_tier are decided by nobody else; a wrong tier is refused. # D-04 D-05"""
    with gateway_of(tmp_path, fake_ollama, fake_openai, fake_anthropic) as gateway:
        for fields, tier in (
            ({"model": "gpt-4o-mini"}, "cheap"),
            ({"model": "gateway-local"}, "local"),
            ({"model": "gateway-cheap"}, "cheap"),
            ({"model": "gateway-premium"}, "premium"),
            ({"force_tier": "premium"}, "premium"),
            ({"force_tier": "local"}, "local"),
        ):
            assert ask(gateway, HARD, **fields).headers["x-llmgw-tier"] == tier
        assert ask(gateway, EASY, force_tier="bogus").status_code == 400
        assert decisions(gateway) == []


def test_with_nothing_but_a_local_model_every_request_is_answered(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    """The default configuration with one local model answers easy and hard requests there, without asking anything else. # D-07"""
    only = [upstream("ollama", fake_ollama.url, models=("llama3.2",))]
    with RunningGateway(tmp_path, only, router=Options(sticky=30 * MINUTE)) as gateway:
        for said in (EASY, HARD, "fix", "def f(x): return x"):
            reply = ask(gateway, said)
            assert (reply.status_code, reply.headers["x-llmgw-tier"]) == (200, "local")
    assert len(fake_ollama.requests) == 4


def test_a_broken_tier_falls_over_to_the_next_dearer(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Where the chosen tier is down the next dearer one answers, and after the dearest the cheaper ones. # D-09"""
    with gateway_of(tmp_path, fake_ollama, fake_openai, fake_anthropic) as gateway:
        fake_ollama.behave(status=500)
        assert ask(gateway, EASY).headers["x-llmgw-tier"] == "cheap"
        fake_anthropic.behave(status=500)
        fake_openai.behave(status=500)
        fake_ollama.behave()
        assert ask(gateway, HARD).headers["x-llmgw-tier"] == "local"


def test_a_key_gets_only_tiers_it_may_use(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """A tier that a key may not use is skipped, whatever the score says."""
    with gateway_of(tmp_path, fake_ollama, fake_openai, fake_anthropic) as gateway:
        with gateway.control as control:
            _, token = control.create("small", models=("local/*", "cheap/*"))
        headers = {"authorization": f"Bearer {token}"}
        assert ask(gateway, HARD, headers=headers).headers["x-llmgw-tier"] in {"local", "cheap"}
        fake_ollama.behave(status=500)
        fake_openai.behave(status=500)
        assert ask(gateway, HARD, headers=headers).status_code >= 500
        assert fake_anthropic.requests == []


def test_a_conversation_stays_where_it_is(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """An easy turn in a conversation that is on premium stays there; a hard one in a cheap conversation moves it up."""
    options = Options(sticky=30 * MINUTE)
    with gateway_of(tmp_path, fake_ollama, fake_openai, fake_anthropic, router=options) as gateway:
        assert ask(gateway, HARD).headers["x-llmgw-tier"] == "premium"
        assert ask(gateway, HARD, "So be it.", EASY).headers["x-llmgw-tier"] == "premium"
        assert decisions(gateway)[-1]["sticky"] == 1
        assert ask(gateway, EASY).headers["x-llmgw-tier"] == "local"
        assert ask(gateway, EASY, "Hello!", HARD).headers["x-llmgw-tier"] == "premium"
        assert decisions(gateway)[-1]["sticky"] == 0
        with gateway.control as control:
            _, other = control.create("other")
        headers = {"authorization": f"Bearer {other}"}
        assert ask(gateway, HARD, "So be it.", EASY, headers=headers).headers["x-llmgw-tier"] == "local"


def test_declared_routes_come_first(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """The first rule that fits decides: its targets and no others, its tier, or its quality; names only if it speaks of them."""
    rules = (
        Rule(tag="private", to=("local",)),
        Rule(model="gpt-4*", tools=True, to=("premium",)),
        Rule(max_tokens=2, tier=Tier.CHEAP),
        Rule(tag="best", quality=1.0),
    )
    options = Options(quality=0.0, rules=rules)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    with gateway_of(tmp_path, fake_ollama, fake_openai, fake_anthropic, router=options) as gateway:
        private = {"x-llmgw-tag": "private"}
        assert ask(gateway, HARD, headers=private).headers["x-llmgw-tier"] == "local"
        assert ask(gateway, HARD, model="gpt-4o-mini", tools=[tool]).headers["x-llmgw-tier"] == "premium"
        assert ask(gateway, HARD, model="gpt-4o-mini").headers["x-llmgw-tier"] == "cheap"
        assert ask(gateway, HARD).headers["x-llmgw-tier"] == "local"
        assert ask(gateway, HARD, headers={"x-llmgw-tag": "best"}).headers["x-llmgw-tier"] == "premium"
        assert [row["rule"] for row in decisions(gateway)] == [
            "rule 1 (tag private)",
            "rule 2 (model gpt-4*, tools offered)",
            "",
            "rule 4 (tag best)",
        ]
        asked = len(fake_openai.requests), len(fake_anthropic.requests)
        fake_ollama.behave(status=500)
        assert ask(gateway, HARD, headers=private).status_code == 500
        assert (len(fake_openai.requests), len(fake_anthropic.requests)) == asked


def test_an_alias_may_leave_the_choice_to_the_gateway(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """An alias or pattern whose targets say gateway-auto is decided like gateway-auto itself. # D-04"""
    upstreams = [
        upstream("ollama", fake_ollama.url, models=("llama3.2",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    with RunningGateway(tmp_path, upstreams, {"smart-*": ("gateway-auto",)}) as gateway:
        assert ask(gateway, EASY, model="smart-one").headers["x-llmgw-tier"] == "local"
        assert ask(gateway, HARD, model="smart-one").headers["x-llmgw-tier"] == "premium"


def test_an_anthropic_caller_is_routed_by_its_last_words(
    tmp_path: Path, fake_ollama: FakeOllama, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Blocks, reminders of Claude Code and results of tools do not hide what the user asked."""
    with gateway_of(tmp_path, fake_ollama, fake_openai, fake_anthropic) as gateway:
        body = {
            "model": "gateway-auto",
            "max_tokens": 50,
            "system": [{"type": "text", "text": "You help."}],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": f"<system-reminder>{HARD}</system-reminder>"},
                        {"type": "text", "text": EASY},
                    ],
                }
            ],
        }
        reply = httpx.post(gateway.url + "/v1/messages", headers=gateway.auth, json=body)
        assert reply.headers["x-llmgw-tier"] == "local", reply.text
        body["messages"][0]["content"][1]["text"] = HARD
        reply = httpx.post(gateway.url + "/v1/messages", headers=gateway.auth, json=body)
        assert reply.headers["x-llmgw-tier"] == "premium", reply.text
