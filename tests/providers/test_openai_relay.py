"""Relaying bodies and replies: what changes, and that nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llmgw.providers.base import Upstream
from llmgw.providers.dialects.openai_chat import DIALECT
from llmgw.providers.registry import providers


def upstream(name="openai"):
    provider = providers()[name]
    return Upstream(name=name, provider=provider, base_url=provider.base_url, tier=provider.tier)


def relay(body, model="m", name="openai"):
    return DIALECT.relay_body(body, DIALECT.peek(body), upstream(name), model)


PLAIN = b'{ "model" : "m" ,"messages":[ {"role":"user","content":"h\\u00e9"} ],"odd":1.10 }'


def test_an_unchanged_call_is_the_same_object():
    """A call for the model that the caller named is passed on as it came."""
    assert relay(PLAIN) is PLAIN
    assert relay(PLAIN, name="mistral") is PLAIN


def test_a_new_name_changes_the_name_alone():
    """Every other value keeps its bytes, escapes and number formats included."""
    assert (
        relay(PLAIN, "n") == b'{"model":"n","messages":[ {"role":"user","content":"h\\u00e9"} ],"odd":1.10}'
    )


def test_gateway_fields_never_leave():
    """`force_tier`, `context` and `idempotency_key` are cut out, null or not."""  # D-01
    body = (
        b'{"model":"m","messages":[{}],"force_tier":null,"context":{"a":1},"idempotency_key":"k","user":"u"}'
    )
    assert json.loads(relay(body)) == {"model": "m", "messages": [{}], "user": "u"}


def test_refused_fields_are_dropped():
    """A field that the provider answers with an error does not reach it."""
    body = b'{"model":"m","messages":[{}],"logit_bias":{},"seed":1,"top_p":0.5}'
    assert json.loads(relay(body, name="mistral")) == {"model": "m", "messages": [{}], "top_p": 0.5}


@pytest.mark.parametrize(
    ("name", "model", "sent", "got"),
    [
        ("mistral", "m", "max_completion_tokens", "max_tokens"),
        ("deepseek", "m", "max_completion_tokens", "max_tokens"),
        ("openai", "o3-mini", "max_tokens", "max_completion_tokens"),
        ("openai", "gpt-5.4", "max_tokens", "max_completion_tokens"),
        ("openai", "gpt-4o", "max_tokens", "max_tokens"),
        ("openai", "gpt-4o", "max_completion_tokens", "max_completion_tokens"),
        ("openai_compatible", "m", "max_completion_tokens", "max_completion_tokens"),
    ],
)
def test_a_limit_travels_under_the_name_the_target_knows(name, model, sent, got):
    """The limit is renamed only where the other name is refused or ignored."""
    body = json.dumps({"model": model, "messages": [{}], sent: 9}).encode()
    assert json.loads(relay(body, model, name)) == {"model": model, "messages": [{}], got: 9}


def test_usage_is_asked_for_where_a_stream_tells_none_unasked():
    """`include_usage` is added beside other stream options, only to streams, and only where needed."""
    body = b'{"model":"m","messages":[{}],"stream":true,"stream_options":{"include_obfuscation":false}}'
    sent = json.loads(relay(body))
    assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    bare = b'{"model":"m","messages":[{}],"stream":true,"stream_options":null}'
    assert json.loads(relay(bare))["stream_options"] == {"include_usage": True}
    asked = b'{"model":"m","messages":[{}],"stream":true,"stream_options":{"include_usage":true}}'
    assert relay(asked) is asked
    streamed = b'{"model":"m","messages":[{}],"stream":true}'
    assert relay(streamed, name="groq") is streamed


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
    st.sampled_from(["", " ", "\n"]),
    st.sampled_from(["", "\n", " \r\n"]),
)
def test_meta_is_added_and_nothing_else_changes(members, gap, end):
    """A reply is a prefix and a suffix around `gateway_meta`."""
    body = (json.dumps(members)[:-1] + gap + "}" + end).encode()
    told = DIALECT.attach_meta(body, {"tier": "cheap"})
    at = body.rindex(b"}")
    assert told.startswith(body[:at])
    assert told.endswith(body[at:])
    assert json.loads(told) == {**members, "gateway_meta": {"tier": "cheap"}}


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>}</html>", b'[{"a":1}]', b'"}"', b"not json"])
def test_meta_is_not_forced_on_what_is_no_object(body):
    """A body that is no JSON object is left alone."""
    assert DIALECT.attach_meta(body, {"a": 1}) == body


def test_a_stream_says_its_meta_in_a_comment():
    """SDKs skip comments, so a stream's meta harms nobody."""
    assert DIALECT.stream_meta({"tier": "cheap"}) == b': llmgw {"tier":"cheap"}\n\n'


def test_a_provider_of_ones_own_needs_no_code():
    """Deviations are data: a provider with an unsupported field drops it."""
    odd = replace(providers()["openai_compatible"], name="odd", unsupported=frozenset({"user"}))
    target = Upstream(name="odd", provider=odd, base_url="http://x", tier=odd.tier)
    body = b'{"model":"m","messages":[{}],"user":"u"}'
    assert DIALECT.relay_body(body, DIALECT.peek(body), target, "m") == b'{"model":"m","messages":[{}]}'
