"""Relayed bytes are the upstream's own, and every one of them is paid for in the ledger."""

from __future__ import annotations

import json

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
MESSAGES = {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


def test_plain_bytes_pass_untouched_and_are_priced(
    gateway: RunningGateway, http: httpx.Client, fake_openai: FakeOpenAI
) -> None:
    """A plain reply reaches the caller byte for byte, with its cost in a header and in the ledger. # D-01 D-32"""
    raw = (
        b'{"id":"x", "object":"chat.completion","model":"gpt-4o-mini","unknown":[1.0,  2],"choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"h\\u00e9"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":1000,"completion_tokens":500}}'
    )
    fake_openai.behave(raw=raw, raw_type="application/json", headers={"x-request-id": "up-1"})

    reply = http.post("/v1/chat/completions", json=CHAT)

    assert reply.content == raw
    assert reply.headers["x-request-id"] == "up-1"
    assert reply.headers["x-llmgw-target"] == "openai/gpt-4o-mini"
    assert reply.headers["x-llmgw-cost"] == "0.00045"  # 1000 x $0.15/M + 500 x $0.60/M
    [row] = gateway.requests()
    assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (1000, 500, 450_000)
    [attempt] = gateway.attempts()
    assert attempt["state"] == "settled"


def test_stream_bytes_pass_untouched(
    gateway: RunningGateway, http: httpx.Client, fake_openai: FakeOpenAI
) -> None:
    """A stream that the caller asked usage of passes byte for byte, however it is cut into pieces. # D-02"""
    raw = (
        b'data: {"id":"c","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"h\xc3\xa9"}}],"usage":null}\r\n\r\n'
        b": a comment\n\n"
        b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
        b"data: [DONE]\n\n"
    )
    for piece in (1, 7, 64, 4096):
        fake_openai.behave(raw=raw, raw_type="text/event-stream", raw_piece=piece)

        reply = http.post(
            "/v1/chat/completions", json=CHAT | {"stream": True, "stream_options": {"include_usage": True}}
        )

        assert reply.content == raw
        row = gateway.requests()[-1]
        assert (row["input_tokens"], row["output_tokens"], row["finish_reason"]) == (7, 3, "stop")


@pytest.mark.parametrize("stream", [False, True])
def test_content_type_is_the_upstreams_own(stream: bool, http: httpx.Client, fake_openai: FakeOpenAI) -> None:
    """Relayed bytes keep the type that the upstream gave them, whether that is the usual one or not."""
    fake_openai.behave(raw=b'data: {"choices":[]}\n\n', raw_type="text/event-stream;charset=UTF-8")
    reply = http.post("/v1/chat/completions", json=CHAT | {"stream": stream})
    assert reply.headers["content-type"] == "text/event-stream;charset=UTF-8"


def test_messages_pass_untouched_with_the_callers_betas(
    gateway: RunningGateway, http: httpx.Client, fake_anthropic: FakeAnthropic
) -> None:
    """An Anthropic call reaches its upstream byte for byte, with beta headers and query, under our credential."""
    body = json.dumps(
        MESSAGES | {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}
    )

    reply = http.post(
        "/v1/messages?beta=true",
        content=body,
        headers={"anthropic-beta": "claude-code-20250219", "anthropic-version": "2023-06-01"},
    )

    assert reply.status_code == 200
    seen = fake_anthropic.requests[-1]
    assert seen.body == body.encode()
    assert seen.query == "beta=true"
    assert seen.headers["anthropic-beta"] == "claude-code-20250219"
    assert seen.headers["x-api-key"] == "sk-upstream"
    assert "authorization" not in seen.headers


def test_gateway_fields_never_leave(
    gateway: RunningGateway, http: httpx.Client, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """`force_tier`, `context` and `idempotency_key` are cut out on both surfaces; `gateway_meta` answers. # D-01 D-05"""
    ours = {"force_tier": "premium", "context": {"file_path": "a.py"}, "idempotency_key": "k"}

    chat = http.post("/v1/chat/completions", json=CHAT | ours)
    messages = http.post("/v1/messages", json=MESSAGES | ours)

    for reply, fake in ((chat, fake_openai), (messages, fake_anthropic)):
        assert reply.status_code == 200, reply.text
        assert not set(ours) & set(fake.requests[-1].json)
        assert reply.json()["gateway_meta"]["request_id"] == reply.headers["x-llmgw-request-id"]
        assert reply.json()["gateway_meta"]["cost_usd"] == reply.headers["x-llmgw-cost"]


def test_row_is_committed_before_the_last_byte(
    gateway: RunningGateway, http: httpx.Client, fake_openai: FakeOpenAI
) -> None:
    """When the terminal marker reaches the caller the row is already in the database."""
    fake_openai.behave(text="one two three", chunk_delay=0.01)
    with http.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as reply:
        for line in reply.iter_lines():
            rows = gateway.requests()
            if line == "data: [DONE]":
                assert len(rows) == 1
                break
        else:
            pytest.fail("no [DONE]")


@pytest.mark.parametrize("usage_in", ["ask", "empty", "last", "twice", "never"])
def test_usage_nobody_asked_for_stays_with_us(
    usage_in: str, gateway: RunningGateway, http: httpx.Client, fake_openai: FakeOpenAI
) -> None:
    """Without `include_usage` we ask for it ourselves, and no chunk without choices reaches the caller."""
    fake_openai.default = Behaviour(usage_in=usage_in)

    plain = http.post("/v1/chat/completions", json=CHAT)
    streamed = http.post("/v1/chat/completions", json=CHAT | {"stream": True})

    assert fake_openai.requests[-1].json["stream_options"] == {"include_usage": True}
    chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    assert all(chunk["choices"] for chunk in chunks)
    assert plain.status_code == 200
    first, second = gateway.requests()
    if usage_in == "never":
        assert second["estimated"]
        assert second["cost"] > 0
    else:
        assert first["cost"] == second["cost"]
        assert not second["estimated"]
