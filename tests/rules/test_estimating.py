"""Token estimates: never negative, never above the byte bound, and close to what real providers counted."""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import recorded

from llmgw.domain.chat import (
    Audio,
    ChatRequest,
    Document,
    Image,
    Message,
    Opaque,
    RedactedThinking,
    Refusal,
    ResponseFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from llmgw.rules.estimating import (
    IMAGE_TOKENS,
    LARGEST_ATTACHMENT,
    LOW_DETAIL_IMAGE_TOKENS,
    estimate_request,
    estimate_tokens,
    upper_bound_tokens,
)


@given(st.text())
def test_an_estimate_lies_between_nothing_and_the_bytes(text):
    """Any text is worth at least one token unless empty, and at most one for each byte."""
    assert (text != "") <= estimate_tokens(text) <= len(text.encode(errors="surrogatepass"))


@given(st.text(), st.text())
def test_more_text_is_never_cheaper(first, second):
    """Text added behind costs nothing less, as long as it stands on its own line."""
    assert estimate_tokens(first + "\n" + second) >= estimate_tokens(first)


@given(st.integers(0, 10**9), st.integers(0, 1000), st.text())
def test_the_bound_rises_and_holds(size, attachments, text):
    """The reservation's bound grows with bytes and attachments, and covers any text of that many bytes."""
    assert upper_bound_tokens(size + 1, attachments) > upper_bound_tokens(size, attachments)
    assert (
        upper_bound_tokens(size, attachments + 1)
        == upper_bound_tokens(size, attachments) + LARGEST_ATTACHMENT
    )
    assert estimate_tokens(text) < upper_bound_tokens(len(text.encode(errors="surrogatepass")), 0)


@pytest.mark.parametrize(
    ("text", "fewest", "most"),
    [
        ("", 0, 0),
        ("The quick brown fox jumps over the lazy dog.", 9, 11),
        ("getUserAccountById(userId)", 6, 12),
        ("3.14159265358979", 5, 9),
        ("你好世界。今天天气很好", 9, 14),
        ("Привет, как дела? Это длинное предложение.", 10, 20),
        ("안녕하세요 세계 여러분", 7, 14),
        ("😀😀😀", 6, 12),
        (" " * 64, 1, 8),
    ],
)
def test_each_script_has_its_own_measure(text, fewest, most):
    """Prose, code, digits, CJK, Cyrillic, Hangul, emoji and indentation land in the range real tokenizers give."""
    assert fewest <= estimate_tokens(text) <= most


@pytest.mark.parametrize("piece", ["\n ", "a", " ", "!", "日", "A9 "])
def test_no_text_is_slow(piece):
    """A megabyte of anything takes well under the second that a backtracking pattern would need."""
    began = time.perf_counter()
    estimate_tokens(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - began < 2


def test_every_kind_of_part_weighs_something():
    """No part of a conversation is forgotten, and a picture follows the documented rule."""
    parts = [
        Text("hello there"),
        Image(media_type="image/png", data="AAAA"),
        Image(url="https://example.com/a.png", detail="low"),
        Document(data="A" * 200_000),
        Document(text="some words"),
        Audio("A" * 100_000, "mp3"),
        Thinking("let me see"),
        RedactedThinking("x" * 400),
        ToolCall("call_1", "look", '{"at": "it"}'),
        ToolResult("call_1", (Text("found"), Image(data="AAAA"))),
        Refusal("no"),
        Opaque("anthropic", {"type": "server_tool_use", "name": "web_search"}),
    ]

    def weigh(*given: Any) -> int:
        return estimate_request(ChatRequest(model="m", messages=(Message(Role.USER, given),)))

    empty = weigh()
    assert all(weigh(part) > empty for part in parts)
    assert weigh(*parts) - empty == sum(weigh(part) - empty for part in parts)
    assert weigh(parts[1]) - empty == IMAGE_TOKENS
    assert weigh(parts[2]) - empty == LOW_DETAIL_IMAGE_TOKENS


def test_tools_and_a_schema_weigh_something():
    """Tools, server-side ones too, and a wanted schema are part of the prompt."""
    plain = ChatRequest(model="m", messages=())
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = Tool("weather", "Tells the weather.", schema)
    hosted = Tool("web", opaque=Opaque("anthropic", {"type": "web_search_20250305", "name": "web_search"}))
    wanted = ResponseFormat("json_schema", "answer", schema)
    base = estimate_request(plain)
    one = estimate_request(ChatRequest(model="m", messages=(), tools=(tool,)))
    two = estimate_request(ChatRequest(model="m", messages=(), tools=(tool, hosted)))
    assert base < one < two
    assert estimate_request(ChatRequest(model="m", messages=(), response_format=wanted)) > base


def answers(surface: str, provider: str):
    """Plain texts and the output tokens that the provider counted for nothing else."""
    for exchange in recorded(surface, provider):
        if exchange.kind != "json" or exchange.status != 200:
            continue
        reply = json.loads(exchange.reply)
        usage = reply.get("usage") or {}
        if surface == "messages":
            text = "".join(block.get("text", "") for block in reply["content"])
            other = any(block["type"] != "text" for block in reply["content"])
            counted = usage.get("output_tokens", 0)
        else:
            said = reply["choices"][0]["message"]
            text = said.get("content") or ""
            details = usage.get("completion_tokens_details") or {}
            hidden = said.get("tool_calls") or said.get("reasoning_content") or said.get("reasoning")
            other = bool(len(reply["choices"]) > 1 or hidden or details.get("reasoning_tokens"))
            counted = usage.get("completion_tokens", 0)
        if isinstance(text, str) and len(text) > 80 and counted > 10 and not other:
            yield text, counted


@pytest.mark.parametrize(
    ("surface", "provider", "low", "high", "spread"),
    [
        ("chat", "openai", 0.97, 1.06, 0.09),
        ("chat", "azure", 0.95, 1.08, 0.12),
        ("chat", "groq", 0.93, 1.05, 0.08),
        ("chat", "mistral", 0.87, 1.02, 0.10),
        ("messages", "anthropic", 0.82, 0.95, 0.11),
    ],
)
def test_recorded_answers_are_met(surface, provider, low, high, spread):
    """Over all recorded plain answers of a provider the ratio to its own count has this mean and little spread."""
    ratios = [estimate_tokens(text) / counted for text, counted in answers(surface, provider)]
    mean, deviation = statistics.mean(ratios), statistics.pstdev(ratios)
    print(f"{provider}: {len(ratios)} answers, mean {mean:.3f}, deviation {deviation:.3f}")
    assert low < mean < high
    assert deviation < spread
