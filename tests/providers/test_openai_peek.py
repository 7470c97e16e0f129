"""Reading a caller's body: what the gates learn, and that nothing but BadRequest ever comes of a bad one."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import chat_records as recorded

from llmgw.errors import BadRequest
from llmgw.providers.dialects.openai_chat import DIALECT

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "n",
        "tools",
        "tool_choice",
        "response_format",
        "stop",
        "functions",
        "force_tier",
        "context",
        "idempotency_key",
        "reasoning_effort",
        "temperature",
        "role",
        "content",
        "type",
        "image_url",
    ]
)


def call(**members):
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}).encode()


def test_what_the_gates_need_is_read():
    """Model, stream, limits, tools and the gateway's own fields are read, the messages are not decoded."""  # D-01
    peek = DIALECT.peek(
        call(
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=5,
            max_completion_tokens=7,
            n=3,
            tools=[{"type": "function"}],
            force_tier="cheap",
            context={"a": 1},
            idempotency_key="k",
            unknown={"kept": True},
        )
    )
    assert (peek.model, peek.stream, peek.include_usage, peek.n, peek.max_tokens) == ("m", True, True, 3, 7)
    assert peek.tools
    assert peek.gateway_fields
    assert (peek.force_tier, bytes(peek.context), peek.idempotency_key) == ("cheap", b'{"a": 1}', "k")


def test_null_members_are_absent():
    """A member that is null is treated as one that is not there."""
    peek = DIALECT.peek(call(stream=None, n=None, tools=None, max_tokens=None, force_tier=None, context=None))
    assert (peek.stream, peek.n, peek.tools, peek.max_tokens, peek.force_tier) == (
        False,
        1,
        False,
        None,
        None,
    )
    assert peek.context is None
    assert peek.gateway_fields


@pytest.mark.parametrize("limit", [0, -1])
def test_no_limit_may_be_said_with_a_number(limit):
    """LM Studio's clients say "no limit" with -1."""
    assert DIALECT.peek(call(max_tokens=limit)).max_tokens is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"messages":[{}]}', "model"),
        (b'{"model":"m"}', "messages"),
        (call(model=""), "model"),
        (call(model=7), "model"),
        (call(messages=[]), "messages"),
        (call(messages="hi"), "messages"),
        (call(messages={}), "messages"),
        (call(stream="yes"), "stream"),
        (call(max_tokens="many"), "max_tokens"),
        (call(max_tokens=10**30), "max_tokens"),
        (call(n=0), "n"),
        (call(n=10**9), "n"),
        (call(stream_options=[1]), "stream_options"),
        (call(stream_options={"include_usage": 3}), "stream_options.include_usage"),
        (call(force_tier="bogus"), "force_tier"),  # D-05
        (call(force_tier=1), "force_tier"),
        (call(context="text"), "context"),
        (call(idempotency_key=5), "idempotency_key"),
    ],
)
def test_a_bad_member_is_named(body, param):
    """Whatever is wrong with a member, the refusal names it."""
    with pytest.raises(BadRequest) as caught:
        DIALECT.peek(body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"model":"m","messages":["\xff"]}',
        b'{"model":"m","messages":[1]}garbage',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_call_is_a_bad_request(body):
    """Malformed JSON, other JSON, other encodings and absurd nesting are all refused in the same way."""
    with pytest.raises(BadRequest):
        DIALECT.peek(body)
    with pytest.raises(BadRequest):
        DIALECT.parse_request(body)


@given(st.binary(max_size=80) | st.dictionaries(FIELDS, JSON).map(lambda d: json.dumps(d).encode()))
def test_no_body_raises_anything_else(body):
    """Random bytes and random members end in a Peek or in a BadRequest, in parsing too."""
    for read in (DIALECT.peek, DIALECT.parse_request):
        with suppress(BadRequest):
            read(body)


@given(st.dictionaries(FIELDS, JSON), st.lists(st.dictionaries(FIELDS, JSON), max_size=3))
def test_no_messages_raise_anything_else(members, messages):
    """Calls with odd messages end in a ChatRequest or in a BadRequest."""
    turns = [{"role": "assistant", **messages[0]}, *messages] if messages else [{"role": "user"}]
    body = json.dumps({**members, "model": "m", "messages": turns}).encode()
    with suppress(BadRequest):
        DIALECT.parse_request(body)


def test_pictures_do_not_count_as_text():
    """Base64 is left out of the prompt's size and counted as an attachment instead; remote pictures count too."""
    data = "iVBORw0KGgo" * 5000
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    peek = DIALECT.peek(call(messages=[{"role": "user", "content": parts}]))
    assert peek.attachments == 4
    assert peek.prompt_bytes < 800


def test_text_that_looks_like_a_picture_still_counts():
    """A hold cannot be made small by writing a data URL's beginning before a long prompt."""
    peek = DIALECT.peek(call(messages=[{"role": "user", "content": ";base64, " + "words and words " * 1000}]))
    assert peek.prompt_bytes > 16_000


@pytest.mark.skipif(not recorded.DATA.is_dir(), reason=recorded.REASON)
def test_real_clients_are_understood():
    """Every chat completion call that real clients sent is read and parsed."""
    seen = 0
    for path in sorted((recorded.DATA / "client-requests").rglob("*chat_completions.json")):
        sent = json.loads(path.read_text())
        body = sent.get("body")
        if not isinstance(body, dict) or not body.get("messages"):
            continue
        wire = json.dumps(body).encode()
        peek, request = DIALECT.peek(wire), DIALECT.parse_request(wire)
        assert (
            (peek.model, peek.stream)
            == (request.model, request.stream)
            == (body["model"], bool(body.get("stream")))
        )
        assert len(request.tools) == len(body.get("tools") or [])
        seen += 1
    print("client requests:", seen)
    assert seen > 30
