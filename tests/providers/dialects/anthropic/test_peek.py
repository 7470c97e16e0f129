"""Reading what the gates need of a Messages call, and relaying it."""

from __future__ import annotations

import base64
import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import body, upstream
from support.recorded import ANTHROPIC, recorded

from llmgw.errors import BadRequest
from llmgw.providers.dialects.anthropic import DIALECT, peek_count

HELLO = [{"role": "user", "content": "hello"}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_a_call_is_read_without_its_messages():
    """Model, stream, limit, tools and the size of the prompt are known from one pass."""
    call = body(
        model="claude-x", messages=HELLO, max_tokens=9, stream=True, tools=[{"name": "t"}], system="be"
    )
    peek = DIALECT.peek(call)
    assert (peek.model, peek.stream, peek.max_tokens, peek.tools) == ("claude-x", True, 9, True)
    assert peek.prompt_bytes == sum(len(json.dumps(part)) for part in (*HELLO, {"name": "t"}, "be"))
    assert not peek.gateway_fields


def test_base64_is_no_prompt():
    """Pictures count as attachments, not by the length of their base64, wherever the keys stand."""
    data = base64.b64encode(bytes(90_000)).decode()
    sources = [
        {"type": "base64", "media_type": "image/png", "data": data},
        {"data": data, "media_type": "image/png", "type": "base64"},
        {"type": "url", "url": "https://x/y.png"},
    ]
    content = [{"type": "image", "source": source} for source in sources]
    call = body(model="m", max_tokens=1, messages=[{"role": "user", "content": content}])
    peek = DIALECT.peek(call)
    assert peek.attachments == 3
    assert peek.prompt_bytes < 500


def test_text_about_base64_is_prompt():
    """Words that look like an attachment inside a text are still text."""
    text = json.dumps({"type": "base64", "data": "A" * 5_000})
    peek = DIALECT.peek(body(model="m", max_tokens=1, messages=[{"role": "user", "content": text}]))
    assert peek.attachments == 0
    assert peek.prompt_bytes > 5_000


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": HELLO, "max_tokens": 1}, "model"),
        ({"model": "m", "max_tokens": 1}, "messages"),
        ({"model": "m", "messages": [], "max_tokens": 1}, "messages"),
        ({"model": "m", "messages": "hi", "max_tokens": 1}, "messages"),
        ({"model": "m", "messages": HELLO}, "max_tokens"),
        ({"model": "m", "messages": HELLO, "max_tokens": -1}, "max_tokens"),
        ({"model": "m", "messages": HELLO, "max_tokens": "9"}, "max_tokens"),
        ({"model": 5, "messages": HELLO, "max_tokens": 1}, "model"),
        ({"model": "m", "messages": HELLO, "max_tokens": 1, "stream": "yes"}, "stream"),
        ({"model": "m", "messages": HELLO, "max_tokens": 1, "force_tier": "bogus"}, "force_tier"),  # D-05
        ({"model": "m", "messages": HELLO, "max_tokens": 1, "context": 5}, "context"),
        ({"model": "m", "messages": HELLO, "max_tokens": 1, "idempotency_key": 5}, "idempotency_key"),
    ],
)
def test_a_wrong_field_is_named(fields, param):
    """Every refusal says which field of the call is wrong."""
    with pytest.raises(BadRequest) as refused:
        DIALECT.peek(body(**fields))
    assert refused.value.param == param
    assert param in refused.value.message


@given(st.binary() | JSON.map(msgspec.json.encode))
def test_nothing_but_bad_request(data):
    """Whatever bytes arrive, a peek either works or ends in BadRequest."""
    for read in (DIALECT.peek, peek_count, DIALECT.parse_request):
        with contextlib.suppress(BadRequest):
            read(data)


def test_deep_nesting_is_a_bad_request():
    """A body nested beyond reason is refused like any other broken one."""
    with pytest.raises(BadRequest):
        DIALECT.peek(b'{"model":"m","max_tokens":1,"messages":[' + b"[" * 200_000)


def test_gateway_fields_are_read():
    """The gateway's own fields are known and marked for removal."""  # D-01
    context = {"session": "s"}
    peek = DIALECT.peek(
        body(
            model="m",
            messages=HELLO,
            max_tokens=0,
            force_tier="local",
            context=context,
            idempotency_key="k",
        )
    )
    assert (peek.force_tier, peek.idempotency_key, peek.gateway_fields) == ("local", "k", True)
    assert peek.context is not None
    assert json.loads(bytes(peek.context)) == context
    nothing = DIALECT.peek(body(model="m", messages=HELLO, max_tokens=0, context=None, force_tier=None))
    assert (nothing.force_tier, nothing.context, nothing.gateway_fields) == (None, None, True)


def test_counting_needs_no_limit():
    """A call that counts tokens has no max_tokens, and may bring an empty list of tools."""
    peek = peek_count(body(model="m", messages=HELLO, tools=[]))
    assert (peek.model, peek.max_tokens, peek.tools) == ("m", None, False)


def test_a_relayed_body_is_the_same_object():
    """A call for the model it names passes byte for byte."""
    call = body(model="m", messages=HELLO, max_tokens=1)
    assert DIALECT.relay_body(call, DIALECT.peek(call), upstream(), "m") is call


def test_a_changed_body_keeps_its_values_bytes():
    """Another model's name and the gateway's fields change nothing else, not even spacing inside values."""
    call = (
        b'{"model": "gateway-auto", "force_tier": "premium", "max_tokens": 1e0, "temperature": 0.50,\n'
        b' "messages": [ {"role":"user", "content":[{"type":"text","text":"\\u00e9", "cache_control":{ }}]} ],'
        b' "thinking" : {"type":"adaptive"}}'
    ).replace(b"1e0", b"10")
    relayed = DIALECT.relay_body(call, DIALECT.peek(call), upstream(), "claude-x")
    assert (
        b'[ {"role":"user", "content":[{"type":"text","text":"\\u00e9", "cache_control":{ }}]} ]' in relayed
    )
    assert b"0.50" in relayed
    assert b"force_tier" not in relayed
    assert json.loads(relayed)["model"] == "claude-x"


def test_an_unsupported_field_leaves_a_relay():
    """A field that this upstream answers with an error goes, and only where it is there."""
    call = body(model="m", messages=HELLO, max_tokens=1, top_k=5)
    strict = upstream(unsupported=frozenset({"top_k"}))
    assert "top_k" not in json.loads(DIALECT.relay_body(call, DIALECT.peek(call), strict, "m"))
    plain = body(model="m", messages=HELLO, max_tokens=1)
    assert DIALECT.relay_body(plain, DIALECT.peek(plain), strict, "m") is plain


def test_every_recorded_call_is_read():
    """Calls of real programs that Anthropic answered are calls to us, and their prompt is counted."""
    for exchange in recorded("messages", *ANTHROPIC):
        if exchange.status == 200:
            peek = DIALECT.peek(exchange.request)
            assert 0 < peek.prompt_bytes <= len(exchange.request)
    for exchange in recorded("count_tokens", *ANTHROPIC):
        assert peek_count(exchange.request).model
