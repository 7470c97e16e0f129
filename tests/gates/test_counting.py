"""Counting the tokens of a call: Anthropic's own word where it can be had, an estimate elsewhere, and no row."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway

HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
READ = {"name": "Read", "description": "Reads a file.", "input_schema": {"type": "object", "properties": {}}}


def test_anthropic_is_asked_itself(
    gateway: RunningGateway, http: httpx.Client, fake_anthropic: FakeAnthropic
) -> None:
    """What Claude Code counts, an empty list of tools too, reaches Anthropic byte for byte and costs nothing."""
    fake_anthropic.default = Behaviour(input_tokens=42)
    body = b'{"model": "claude-sonnet-4-6", "tools": [], "messages": [{"role": "user", "content": "hi"}]}'

    reply = http.post("/v1/messages/count_tokens?beta=true", content=body)

    assert reply.json() == {"input_tokens": 42}
    assert fake_anthropic.requests[-1].body == body
    assert fake_anthropic.requests[-1].query == "beta=true"
    assert gateway.requests() == []


@pytest.mark.parametrize("tools", [[], [READ]])
def test_others_are_estimated(
    gateway: RunningGateway, http: httpx.Client, fake_openai: FakeOpenAI, tools: list[dict[str, Any]]
) -> None:
    """For a target that cannot count an estimate is returned and marked; a count has no `max_tokens`."""
    reply = http.post(
        "/v1/messages/count_tokens", json={"model": "gpt-4o-mini", "tools": tools, "messages": HI}
    )

    assert reply.status_code == 200, reply.text
    assert 0 < reply.json()["input_tokens"] < 100
    assert reply.headers["x-llmgw-estimated"] == "true"
    assert fake_openai.requests == []
    assert gateway.requests() == []
