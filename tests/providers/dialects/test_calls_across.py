"""Recorded calls of one dialect, put to a target of the other: nothing said is lost, and the target's rules hold."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from support.calls import upstream
from support.recorded import ANTHROPIC, OPENAI, client_calls, recorded

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
        assert (again.stream, again.stop) == (request.stream, request.stop)
        assert again.max_tokens == min(request.max_tokens, 16_384)
    assert reached > 20 * refused


def test_programs_reach_the_other_dialect():
    """What OpenClaw, OpenCode, aider, Open WebUI and the SDKs send is understood and told to the other dialect."""
    for name, call in client_calls("v1_messages"):
        request = CLAUDE.parse_request(call)
        again = GPT.parse_request(GPT.render_request(request, OPENAI_UPSTREAM, "gpt-5.4").body)
        assert letters(again) == letters(request), name
        assert len(again.tools) == len(request.tools)
    for name, call in client_calls("v1_chat_completions"):
        request = GPT.parse_request(call)
        body = CLAUDE.render_request(request, upstream(), "claude-opus-4-8").body
        obey(json.loads(body))
        again = CLAUDE.parse_request(body)
        assert letters(again) == letters(request), name
        assert len(again.tools) == len(request.tools)


def test_claude_code_reaches_any_target():
    """A call shaped as Claude Code's keeps its instructions, turns and tools, and names what stays behind."""
    mark = {"type": "ephemeral"}
    reading = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "a.png"}}
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    call = {
        "model": "claude-opus-4-8",
        "max_tokens": 128_000,
        "stream": True,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329; cch=4d2;"},
            {"type": "text", "text": "You are an agent.", "cache_control": mark},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "look", "cache_control": mark}]},
            {"role": "system", "content": [{"type": "text", "text": "A reminder."}]},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "", "signature": "s"}, reading],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [picture], "is_error": False}
                ],
            },
        ],
        "tools": [
            {"name": "Read", "description": "d", "input_schema": {"type": "object"}, "defer_loading": True}
        ],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        "metadata": {"user_id": '{"device_id":"d"}'},
    }
    body = json.dumps(call).encode()
    assert CLAUDE.peek(body).max_tokens == 128_000
    request = CLAUDE.parse_request(body)
    for target, model in (("openai", "gpt-5.4-mini"), ("ollama", "qwen3")):
        provider = registry.provider(target)
        place = Upstream(name=target, provider=provider, base_url="http://x", tier=provider.tier)
        rendered = registry.target_dialect(provider.dialect).render_request(request, place, model)
        roles = [message["role"] for message in json.loads(rendered.body)["messages"]]
        assert roles[:5] == ["system", "user", "system", "assistant", "tool"]
        assert b"billing" not in rendered.body
        assert {"cache_control", "context_management", "tools.defer_loading"} <= set(rendered.dropped)
    body = json.loads(CLAUDE.render_request(request, upstream(), "claude-opus-4-8").body)
    assert body["thinking"] == call["thinking"]
    assert body["output_config"] == call["output_config"]
    assert body["context_management"] == call["context_management"]
