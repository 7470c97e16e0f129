"""The fakes themselves: official SDKs accept what they say, and their disasters are real."""

from __future__ import annotations

import json
import socket
import time

import anthropic
import httpx
import openai
import pytest
from support.fake_server import Behaviour

CALL = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}


def test_the_openai_sdk_reads_the_fake(fake_openai):
    """Plain, streamed with usage, tool calls, errors and the model list pass through the official SDK."""
    fake_openai.default = Behaviour(text="one two")
    with openai.OpenAI(base_url=fake_openai.url + "/v1", api_key="sk-x", max_retries=0) as client:
        plain = client.chat.completions.create(**CALL)
        assert plain.choices[0].message.content == "one two"
        assert plain.usage.total_tokens == 18
        with client.chat.completions.create(
            **CALL, stream=True, stream_options={"include_usage": True}
        ) as stream:
            chunks = list(stream)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two"
        assert chunks[-1].choices == []
        assert chunks[-1].usage.prompt_tokens == 11
        fake_openai.behave(tool_calls=(("look", {"a": 1}),))
        called = client.chat.completions.create(**CALL)
        assert json.loads(called.choices[0].message.tool_calls[0].function.arguments) == {"a": 1}
        fake_openai.behave(status=429)
        with pytest.raises(openai.RateLimitError) as refusal:
            client.chat.completions.create(**CALL)
        assert refusal.value.response.headers["retry-after"] == "7"
        assert [model.id for model in client.models.list()] == ["fake-model"]


@pytest.mark.parametrize(
    ("place", "told"), [("ask", 0), ("last", 1), ("empty", 1), ("twice", 2), ("never", 0)]
)
def test_usage_lands_where_it_is_wanted(fake_openai, place, told):
    """A stream that did not ask for usage tells it as often as the place says."""
    fake_openai.behave(usage_in=place)
    reply = httpx.post(fake_openai.url + "/v1/chat/completions", json={**CALL, "stream": True})
    assert reply.text.count('"usage":{') == told
    assert reply.text.endswith("data: [DONE]\n\n")


def test_the_anthropic_sdk_reads_the_fake(fake_anthropic):
    """Plain, streamed with thinking and tools, 529, count_tokens and models pass through the official SDK."""
    with anthropic.Anthropic(base_url=fake_anthropic.url, api_key="x", max_retries=0) as client:
        plain = client.messages.create(**CALL, max_tokens=9)
        assert plain.content[0].text.startswith("Hello")
        fake_anthropic.behave(thinking="well now", tool_calls=(("look", {"a": [1, 2]}),), cache_read_tokens=5)
        with client.messages.stream(**CALL, max_tokens=9) as stream:
            whole = stream.get_final_message()
        assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
        assert whole.content[2].input == {"a": [1, 2]}
        assert whole.stop_reason == "tool_use"
        assert whole.usage.cache_read_input_tokens == 5
        fake_anthropic.behave(status=529)
        with pytest.raises(anthropic.APIStatusError) as refusal:
            client.messages.create(**CALL, max_tokens=9)
        assert refusal.value.status_code == 529
        assert client.messages.count_tokens(**CALL).input_tokens == 11
        assert [model.id for model in client.models.list()] == ["fake-model"]


def test_ollama_cuts_a_prompt_to_its_window(fake_ollama):
    """The oldest turn goes when the window is small, and the count shows it; a larger window is a new load."""
    turns = [{"role": "user", "content": "word " * 90}, {"role": "user", "content": "last"}]
    call = {"model": "llama3.2", "messages": turns, "stream": False}
    small, large = (
        httpx.post(fake_ollama.url + "/api/chat", json={**call, "options": {"num_ctx": size}}).json()
        for size in (64, 128)
    )
    assert (small["prompt_eval_count"], large["prompt_eval_count"]) == (1, 91)
    assert fake_ollama.loads == [64, 128]
    missing = httpx.post(fake_ollama.url + "/api/chat", json={**call, "model": "gone"})
    assert (missing.status_code, missing.json()) == (404, {"error": "model 'gone' not found"})


def test_a_cut_stream_dies_without_its_last_chunk(fake_openai):
    """``cut_after`` breaks the connection, so that a client sees an incomplete body."""
    fake_openai.behave(cut_after=2)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(fake_openai.url + "/v1/chat/completions", json={**CALL, "stream": True})


def test_gzip_latency_and_raw_bytes(fake_openai):
    """A zipped reply is readable, a latency is kept, and given bytes are replayed unchanged."""
    fake_openai.behave(gzip=True, latency=0.05)
    began = time.monotonic()
    reply = httpx.post(fake_openai.url + "/v1/chat/completions", json=CALL)
    assert time.monotonic() - began >= 0.05
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.json()["object"] == "chat.completion"
    fake_openai.behave(raw=b"data: {}\r\n\r\n", raw_type="text/event-stream", raw_piece=3)
    assert httpx.post(fake_openai.url + "/v1/chat/completions", json=CALL).content == b"data: {}\r\n\r\n"


def test_a_caller_who_leaves_is_counted(fake_openai):
    """Hanging up in the middle of an answer raises ``cancelled`` and frees the place."""
    fake_openai.behave(hang_after=1)
    body = json.dumps({**CALL, "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", fake_openai.port)) as caller:
        head = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body)
        assert b"200" in caller.recv(64)
        assert fake_openai.active == 1
    for _ in range(100):
        if fake_openai.cancelled and not fake_openai.active:
            break
        time.sleep(0.01)
    assert (fake_openai.cancelled, fake_openai.active) == (1, 0)


def test_a_credential_is_checked(fake_anthropic):
    """With a credential set, a call without it gets the protocol's own 401."""
    fake_anthropic.credential = "secret"
    refused = httpx.post(fake_anthropic.url + "/v1/messages", json=CALL)
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    allowed = httpx.get(fake_anthropic.url + "/v1/models", headers={"x-api-key": "secret"})
    assert allowed.status_code == 200
