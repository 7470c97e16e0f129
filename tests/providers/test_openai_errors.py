"""Errors: the shape that OpenAI's SDKs read, and every shape that upstreams answer with."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw import errors
from llmgw.providers.dialects.openai_chat import DIALECT


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.BadRequest("m", param="model"), "invalid_request_error"),
        (errors.Unauthenticated("m"), "authentication_error"),
        (errors.BudgetExceeded("m"), "insufficient_quota"),
        (errors.NotAllowed("m"), "permission_error"),
        (errors.ModelNotFound("m"), "invalid_request_error"),
        (errors.RateLimited("m"), "rate_limit_error"),
        (errors.TooLarge("m"), "invalid_request_error"),
        (errors.UpstreamTimeout("m"), "server_error"),
        (errors.Internal("m"), "server_error"),
        (errors.UpstreamRefused("m", status=418, kind="teapot"), "teapot"),
        (errors.UpstreamRefused("m", status=529), "server_error"),
    ],
)
def test_our_errors_in_openai_s_shape(error, kind):
    """Each error has message, type, param and code, and its type is the one that OpenAI uses."""
    told = json.loads(DIALECT.render_error(error, "req_1"))["error"]
    assert told == {
        "message": "m",
        "type": kind,
        "param": error.param,
        "code": error.code,
        "request_id": "req_1",
    }


def test_the_hint_is_where_people_read():
    """SDKs print the message alone, so the hint ends it."""
    told = json.loads(DIALECT.render_error(errors.NotFound("it is gone", hint="look elsewhere"), "r"))[
        "error"
    ]
    assert (told["message"], told["hint"]) == ("it is gone (look elsewhere)", "look elsewhere")


@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        ({"error": {"message": "bad", "type": "t", "code": "c"}}, "bad", "t"),
        ({"error": {"message": "bad", "code": 401}}, "bad", ""),
        ({"error": "bad"}, "bad", ""),
        (
            [{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}],
            "bad",
            "INVALID_ARGUMENT",
        ),
        ({"detail": "bad"}, "bad", ""),
        (
            {"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]},
            "field required",
            "missing",
        ),
        (
            {"object": "error", "message": "bad", "type": "BadRequestError", "code": 400},
            "bad",
            "BadRequestError",
        ),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": "slow"}}},
            "Provider returned error: slow",
            "",
        ),
        ({"errors": ["one", "two"]}, "one; two", ""),
        ({"message": {"detail": "bad"}}, "bad", ""),
        ({}, "503 Service Unavailable", ""),
        (None, "503 Service Unavailable", ""),
    ],
)
def test_every_shape_of_an_upstream_s_error(body, message, kind):
    """Message and kind are found wherever an upstream puts them."""
    assert DIALECT.read_error(503, json.dumps(body).encode()) == (message, kind)


def test_pages_are_read_as_text():
    """A proxy's HTML page becomes its words; an empty reply its status."""
    page = b"<html><style>p{}</style><h1>502 Bad Gateway</h1><hr>nginx</html>"
    assert DIALECT.read_error(502, page) == ("502 Bad Gateway nginx", "")
    assert DIALECT.read_error(599, b"") == ("status 599", "")


@given(st.integers(400, 599), st.binary(max_size=60))
def test_any_bytes_make_a_message(status, body):
    """Whatever an upstream answers, there is a message."""
    assert DIALECT.read_error(status, body)[0]
