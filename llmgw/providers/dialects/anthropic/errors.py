"""Errors as Anthropic's SDKs expect them, and the message in whatever an upstream sends instead of an answer."""

from __future__ import annotations

from typing import Any

import msgspec

from llmgw.errors import GatewayError, UpstreamRefused

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
STATUSES = {kind: status for status, kind in TYPES.items()} | {"api_error": 500, "timeout_error": 504}
WHERE = ("error", "message", "detail", "msg", "errors")
LONGEST = 2_000


def error_type(status: int) -> str:
    """Anthropic's type of an error with this status."""
    return TYPES.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def error_value(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The error object; ``details.error_code`` is our own stable code, where SDKs look for one."""
    kind = error.kind if isinstance(error, UpstreamRefused) else None
    inner: dict[str, Any] = {
        "type": kind if kind in STATUSES else error_type(error.status),
        "message": f"{error.message} ({error.hint})" if error.hint else error.message,
        "details": {"error_code": error.code},
    }
    return {"type": "error", "error": inner, "request_id": request_id}


def render_error(error: GatewayError, request_id: str) -> bytes:
    """The body of an error reply."""
    return msgspec.json.encode(error_value(error, request_id))


def render_stream_error(error: GatewayError, request_id: str) -> bytes:
    """An error event for a stream that has begun."""
    return b"event: error\ndata: " + render_error(error, request_id) + b"\n\n"


def read_error(status: int, body: bytes) -> tuple[str, str]:
    """Message and kind of an error reply, whatever its shape; the status speaks where the body does not."""
    message, kind = _spoken(body)
    return message[:LONGEST] or f"HTTP {status}", kind or error_type(status)


def _spoken(body: bytes) -> tuple[str, str]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = body.decode(errors="replace").strip()
        return ("" if text.startswith("<") else text), ""
    kind = ""
    while value:
        if isinstance(value, list):
            value = value[0]
        elif isinstance(value, dict):
            named = (value.get(key) for key in ("type", "code"))
            kind = next((word for word in named if isinstance(word, str) and word != "error"), kind)
            value = next((value[name] for name in WHERE if value.get(name)), None)
        else:
            return str(value), kind
    return "", kind
