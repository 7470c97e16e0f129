"""Recorded calls of one dialect, put to a target of the other: nothing said is lost, and the target's rules hold."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from support.calls import upstream
from support.recorded import ANTHROPIC, OPENAI, recorded

from llmgw.domain.chat import ChatRequest, Refusal, Text, ToolCall, ToolResult
from llmgw.errors import BadRequest
from llmgw.providers import registry
from llmgw.providers.base import Upstream
from llmgw.providers.dialects.anthropic import DIALECT as CLAUDE
from llmgw.providers.dialects.anthropic.content import tool_id
from llmgw.providers.dialects.openai_chat import DIALECT as GPT

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENAI_UPSTREAM = Upstream(
    name="openai",
    provider=registry.provider("openai"),
    base_url="http://x",
    tier=registry.provider("openai").tier,
)
MODELS = ("claude-3-5-haiku-latest", "claude-sonnet-4-5", "claude-opus-4-8", "claude-opus-5")


def letters(request: ChatRequest) -> Counter[str]:
    """Everything said to or by the model, by users, tools and instructions; how texts are joined may differ."""
    return Counter(letter for text in texts(request) for letter in text if not letter.isspace())


def texts(request: ChatRequest) -> Iterator[str]:
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text) | Refusal(text):
                    yield text
                case ToolResult():
                    yield from (inner.text for inner in part.parts if isinstance(inner, Text))


def calls(request: ChatRequest) -> list[tuple[str, str]]:
    return [
        (tool_id(part.id), part.name)
        for message in request.messages
        for part in message.parts
        if isinstance(part, ToolCall)
    ]


def results(request: ChatRequest) -> list[str]:
    return [
        tool_id(part.call_id)
        for message in request.messages
        for part in message.parts
        if isinstance(part, ToolResult)
    ]


def obey(body: dict[str, Any]) -> None:
    """The rules that Anthropic answers with 400 when they are broken."""
    turns = body["messages"]
    assert turns
    for turn, following in pairwise(turns):
        assert turn["role"] != following["role"]
    for turn in turns:
        content = turn["content"]
        assert content
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
        kinds = [block["type"] == "tool_result" for block in blocks]
        assert kinds == sorted(kinds, reverse=True)
    thinking = body.get("thinking", {})
    assert body["max_tokens"] > 0
    if thinking.get("type") == "enabled":
        assert 1_024 <= thinking["budget_tokens"] < body["max_tokens"]
        assert body.get("tool_choice", {}).get("type") not in ("any", "tool")
    if thinking.get("type") in ("enabled", "adaptive"):
        assert body.get("temperature", 1) == 1
        assert "top_k" not in body


def test_openai_calls_reach_anthropic():
    """Recorded OpenAI calls keep every word, call and result, and obey Anthropic's rules, or are refused by name."""
    reached = refused = 0
    for exchange in recorded("chat", *OPENAI):
        if exchange.status != 200 or not exchange.request or b'"model"' not in exchange.request:
            continue  # Azure names the model in the address
        request = GPT.parse_request(exchange.request)
        model = MODELS[len(exchange.request) % len(MODELS)]
        try:
            rendered = CLAUDE.render_request(request, upstream(), model)
        except BadRequest as error:
            refused += bool(error.param)
            continue
        reached += 1
        obey(json.loads(rendered.body))
        again = CLAUDE.parse_request(rendered.body)
        assert letters(again) == letters(request), exchange.name
        assert results(again) == results(request)
        assert calls(again) == calls(request)
        assert {tool.name for tool in again.tools} == {tool.name for tool in request.tools}
        assert again.stream == request.stream
    assert reached > 20 * refused


def test_anthropic_calls_reach_openai():
    """Recorded Anthropic calls keep every word, call and result for an OpenAI target, or are refused by name."""
    reached = refused = 0
    for exchange in recorded("messages", *ANTHROPIC):
        if exchange.status != 200:
            continue
        request = CLAUDE.parse_request(exchange.request)
        try:
            rendered = GPT.render_request(request, OPENAI_UPSTREAM, "gpt-4o")
        except BadRequest as error:
            refused += bool(error.param)
            continue
        reached += 1
        again = GPT.parse_request(rendered.body)
        assert letters(request) <= letters(again), exchange.name
        assert (calls(again), results(again)) == (calls(request), results(request))
        functions = {tool.name for tool in request.tools if tool.opaque is None}
        assert {tool.name for tool in again.tools} == functions
        assert (again.stream, again.max_tokens, again.stop) == (
            request.stream,
            request.max_tokens,
            request.stop,
        )
    assert reached > 20 * refused
