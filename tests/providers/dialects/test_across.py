"""Recorded answers of one dialect, told to callers of the other: the official SDKs must find the same in them."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import pytest
from support.recorded import ANTHROPIC, OPENAI, recorded
from support.sdk_streams import anthropic_message, anthropic_stream, openai_completion, openai_stream

from llmgw.domain.chat import ChatRequest, Failed
from llmgw.errors import UpstreamFailed
from llmgw.providers.dialects.anthropic import DIALECT as CLAUDE
from llmgw.providers.dialects.openai_chat import DIALECT as GPT

ASKED = ChatRequest(model="asked", messages=(), stream=True, include_usage=True)
TO_OPENAI = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "stop",
    "refusal": "content_filter",
}
TO_ANTHROPIC = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


class Told(NamedTuple):
    """What an answer says, whatever words it is said in; arguments are decoded, ids in Anthropic's letters."""

    text: str
    thinking: str
    calls: list[tuple[str, str, Any]]
    reason: str | None
    usage: tuple[int, int, int]


def by_claude(message: Any) -> Told:
    blocks = message.content
    usage = message.usage
    read, write = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return Told(
        "".join(block.text for block in blocks if block.type == "text"),
        "".join(block.thinking for block in blocks if block.type == "thinking"),
        [(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"],
        message.stop_reason,
        (usage.input_tokens + read + write, read, usage.output_tokens),
    )


def by_gpt(completion: Any) -> Told:
    choice = completion.choices[0]
    message, usage = choice.message, completion.usage
    calls = [
        (
            re.sub(r"[^a-zA-Z0-9_-]", "_", call.id),
            call.function.name,
            arguments(call.function.arguments),
        )
        for call in message.tool_calls or ()
        if call.type == "function"
    ]
    details = usage.prompt_tokens_details if usage else None
    return Told(
        (message.content or "") + (message.refusal or ""),
        getattr(message, "reasoning_content", None) or "",
        calls,
        choice.finish_reason,
        (usage.prompt_tokens, details.cached_tokens or 0 if details else 0, usage.completion_tokens)
        if usage
        else (0, 0, 0),
    )


def arguments(text: str) -> Any:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {"raw": text}
    return value if isinstance(value, dict) else {"raw": text}


def streamed(parser: Any, renderer: Any, data: bytes) -> bytes:
    events = [*parser.feed(data), *parser.close()]
    assert not any(isinstance(event, Failed) for event in events)
    return b"".join(map(renderer.feed, events))


def test_anthropic_answers_reach_openai_callers():
    """Words, thoughts, calls, reason and counts of plain replies and streams are the same to the openai SDK."""
    plain = whole = 0
    for exchange in recorded("messages", *ANTHROPIC):
        if exchange.status != 200 or b'"compaction"' in exchange.reply:  # billed beside the answer
            continue
        if exchange.streamed:
            wanted = by_claude(anthropic_stream(exchange.reply))
            data = streamed(CLAUDE.stream_parser(), GPT.stream_renderer(ASKED), exchange.reply)
            found = by_gpt(openai_stream(data))
            whole += 1
        else:
            wanted = by_claude(anthropic_message(exchange.reply))
            found = by_gpt(openai_completion(GPT.render_answer(CLAUDE.parse_answer(exchange.reply), None)))
            plain += 1
        assert found == wanted._replace(reason=TO_OPENAI[wanted.reason]), exchange.name
    assert plain > 100
    assert whole > 50


@pytest.mark.parametrize("provider", OPENAI)
def test_openai_answers_reach_anthropic_callers(provider):
    """Words, calls, reason and counts of plain replies and streams are the same to the anthropic SDK."""
    for exchange in recorded("chat", provider):
        if exchange.status != 200 or exchange.kind not in {"json", "sse"}:
            continue
        parser = GPT.stream_parser()
        if exchange.streamed:
            events = [*parser.feed(exchange.reply), *parser.close()]
            if isinstance(events[-1], Failed):
                continue
            renderer = CLAUDE.stream_renderer(ASKED)
            found = by_claude(anthropic_stream(b"".join(map(renderer.feed, events))))
            again = GPT.stream_renderer(ASKED)
            wanted = by_gpt(openai_stream(b"".join(map(again.feed, events))))
        else:
            try:
                answer = GPT.parse_answer(exchange.reply)
            except UpstreamFailed:
                continue
            found = by_claude(anthropic_message(CLAUDE.render_answer(answer, None)))
            wanted = by_gpt(openai_completion(GPT.render_answer(answer, None)))
        reason = (
            "tool_use"
            if wanted.calls and wanted.reason in (None, "stop")
            else TO_ANTHROPIC.get(wanted.reason, "end_turn")
        )
        assert found == wanted._replace(reason=reason), exchange.name
