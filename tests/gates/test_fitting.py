"""A tier is sent no more of a conversation than its budget has room for. # D-10"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.domain.route import Tier
from llmgw.providers.registry import caller_dialect
from llmgw.rules.estimating import estimate_request
from llmgw.rules.tiering.options import Options

BUDGET = 300
WORDS = "The quick brown fox jumps over the lazy dog and then goes home. " * 4


def chat(turns: int) -> list[dict[str, Any]]:
    """A conversation of numbered questions and answers that ends with a question."""
    said = [
        each
        for n in range(turns)
        for each in (
            {"role": "user", "content": f"question {n}: {WORDS}"},
            {"role": "assistant", "content": f"answer {n}: {WORDS}"},
        )
    ]
    return [
        {"role": "system", "content": "Be brief."},
        *said,
        {"role": "user", "content": "and the last one?"},
    ]


def test_older_turns_stay_behind(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """Instructions and the last question arrive whole, what is sent keeps to the budget, and the answer says what was cut."""
    upstreams = [upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",), tier=Tier.CHEAP)]
    with RunningGateway(tmp_path, upstreams, router=Options(context={Tier.CHEAP: BUDGET})) as gateway:
        body = {"model": "gateway-auto", "messages": chat(8), "user": "me"}
        reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=body)
        assert reply.status_code == 200, reply.text
        assert int(reply.headers["x-llmgw-trimmed"]) > 400
        sent = fake_openai.requests[-1].json
        assert (
            estimate_request(caller_dialect("openai_chat").parse_request(json.dumps(sent).encode())) <= BUDGET
        )
        assert sent["messages"][0] == body["messages"][0]
        assert sent["messages"][-1] == body["messages"][-1]
        assert sent["messages"][1]["role"] == "user"
        assert sent["user"] == "me"
        [row] = gateway._rows("SELECT * FROM decisions")
        assert row["trimmed"] == int(reply.headers["x-llmgw-trimmed"])

        named = body | {"model": "gpt-4o-mini"}
        httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=named)
        assert fake_openai.requests[-1].json["messages"] == body["messages"]


def test_what_fits_is_relayed_byte_for_byte(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """Within the budget not a blank of the conversation changes."""
    upstreams = [upstream("openai", fake_openai.url + "/v1", models=("gateway-cheap",), tier=Tier.CHEAP)]
    with RunningGateway(tmp_path, upstreams, router=Options(context={Tier.CHEAP: BUDGET})) as gateway:
        body = b'{"model": "gateway-cheap",  "messages":[ {"role":"user", "content":"hi"} ]}'
        httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, content=body)
        assert fake_openai.requests[-1].body == body


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_calls_keep_results_with_their_calls(
    stream: bool, tmp_path: Path, fake_anthropic: FakeAnthropic
) -> None:
    """Blocks of tools go in pairs, instructions stay, and an Anthropic target gets a conversation that begins with the user."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Look around."}]
    for n in range(6):
        call = {"type": "tool_use", "id": f"c{n}", "name": "look", "input": {"at": WORDS}}
        result = {"type": "tool_result", "tool_use_id": f"c{n}", "content": WORDS}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    body = {
        "model": "gateway-premium",
        "max_tokens": 50,
        "system": "Be brief.",
        "messages": messages,
        "stream": stream,
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    }
    upstreams = [upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",))]
    with RunningGateway(tmp_path, upstreams, router=Options(context={Tier.PREMIUM: 500})) as gateway:
        reply = httpx.post(gateway.url + "/v1/messages", headers=gateway.auth, json=body)
        assert reply.status_code == 200, reply.text
        sent = fake_anthropic.requests[-1].json
        assert sent["system"] == body["system"]
        assert sent["messages"][0] == messages[0]
        assert sent["messages"][-2:] == messages[-2:]
        assert len(sent["messages"]) < len(messages)
        called = [b["id"] for m in sent["messages"] if m["role"] == "assistant" for b in m["content"]]
        answered = [
            b["tool_use_id"] for m in sent["messages"][1:] if m["role"] == "user" for b in m["content"]
        ]
        assert called == answered


def test_too_long_a_question_goes_to_a_tier_with_room_or_is_refused(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """What cannot be cut goes on to the next tier, whole; where no tier has room the caller hears 413 and which option."""
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",), tier=Tier.CHEAP),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    body = {"model": "gateway-auto", "messages": [{"role": "user", "content": WORDS * 20}]}
    options = Options(quality=0.0, context={Tier.CHEAP: BUDGET, Tier.PREMIUM: 4000})
    with RunningGateway(tmp_path, upstreams, router=options) as gateway:
        reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=body)
        assert reply.headers["x-llmgw-tier"] == "premium", reply.text
        assert "x-llmgw-trimmed" not in reply.headers
        assert fake_openai.requests == []
        reply = httpx.post(
            gateway.url + "/v1/chat/completions", headers=gateway.auth, json=body | {"model": "gateway-cheap"}
        )
        assert reply.status_code == 413
        assert "router.context.cheap" in reply.text
