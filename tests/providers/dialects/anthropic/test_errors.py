"""Errors towards callers and out of upstreams' replies."""

from __future__ import annotations

import json

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import ANTHROPIC, recorded

from llmgw import errors
from llmgw.providers.dialects.anthropic import DIALECT


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.BadRequest("x"), "invalid_request_error"),
        (errors.Unauthenticated("x"), "authentication_error"),
        (errors.BudgetExceeded("x"), "billing_error"),
        (errors.NotAllowed("x"), "permission_error"),
        (errors.ModelNotFound("x"), "not_found_error"),
        (errors.TooLarge("x"), "request_too_large"),
        (errors.RateLimited("x"), "rate_limit_error"),
        (errors.Internal("x"), "api_error"),
        (errors.Unavailable("x"), "api_error"),
        (errors.UpstreamTimeout("x"), "timeout_error"),
        (errors.UpstreamRefused("x", status=529), "overloaded_error"),
        (errors.UpstreamRefused("x", status=418), "invalid_request_error"),
        (errors.UpstreamRefused("x", status=400, kind="overloaded_error"), "overloaded_error"),
        (errors.UpstreamRefused("x", status=429, kind="insufficient_quota"), "rate_limit_error"),
    ],
)
def test_each_error_has_its_type(error, kind):
    """A status becomes the type that Anthropic gives it, and our own code stands where SDKs look for one."""
    told = json.loads(DIALECT.render_error(error, "req_1"))
    assert told["type"] == "error"
    assert told["request_id"] == "req_1"
    assert (told["error"]["type"], told["error"]["message"]) == (kind, "x")
    assert told["error"]["details"]["error_code"] == error.code


def test_the_sdk_reads_our_errors():
    """The official SDK raises the class of the status and finds our code and hint."""
    refusal = errors.RateLimited("too many requests", hint="wait 3 s")

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(429, content=DIALECT.render_error(refusal, "req_1"))

    client = anthropic.Anthropic(
        api_key="k", max_retries=0, http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )
    with client, pytest.raises(anthropic.RateLimitError) as raised:
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert raised.value.type == "rate_limit_error"
    assert raised.value.error_code == "rate_limited"
    assert raised.value.api_message == "too many requests (wait 3 s)"


def test_an_error_event_ends_a_stream():
    """An error after the first byte travels as an event named error."""
    event = DIALECT.render_stream_error(errors.UpstreamFailed("gone"), "req_1")
    assert event.startswith(b"event: error\ndata: {")
    assert event.endswith(b"}\n\n")


@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        (
            b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}',
            "Busy",
            "overloaded_error",
        ),
        (
            b'{"error":{"message":"bad key","type":null,"code":"invalid_api_key"}}',
            "bad key",
            "invalid_api_key",
        ),
        (b'{"error":"model not found"}', "model not found", "rate_limit_error"),
        (
            b'{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}',
            "field required",
            "missing",
        ),
        (b'{"object":"error","message":"no","type":"BadRequest","code":400}', "no", "BadRequest"),
        (b"[]", "HTTP 429", "rate_limit_error"),
        (b"slow down", "slow down", "rate_limit_error"),
        (b"<html>502</html>", "HTTP 429", "rate_limit_error"),
        (b"", "HTTP 429", "rate_limit_error"),
    ],
)
def test_any_shape_of_error_is_read(body, message, kind):
    """Message and type are found in every shape that servers of this dialect send."""
    assert DIALECT.read_error(429, body) == (message, kind)


@given(st.binary())
def test_reading_an_error_never_fails(body):
    """Whatever an upstream sends with its error status, there is a message."""
    message, kind = DIALECT.read_error(500, body)
    assert message
    assert kind


def test_recorded_errors_are_read():
    """Anthropic's own recorded errors keep their words and types."""
    for exchange in recorded("messages", *ANTHROPIC):
        if exchange.status != 200:
            told = json.loads(exchange.reply)["error"]
            assert DIALECT.read_error(exchange.status, exchange.reply) == (told["message"], told["type"])
