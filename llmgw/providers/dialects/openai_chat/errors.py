"""Errors: ours in the shape the OpenAI SDKs read, and an upstream's in whatever shape it chose."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec

from llmgw.errors import BudgetExceeded, GatewayError, UpstreamRefused

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_LONGEST = 2000


def render_error(error: GatewayError, request_id: str) -> bytes:
    """``{"error": {...}}`` as the SDKs expect it; the hint ends the message, where people read it, and stands alone too."""
    return msgspec.json.encode({"error": _members(error, request_id)})


def render_stream_error(error: GatewayError, request_id: str) -> bytes:
    """The same as an event; SDKs raise on a ``data`` object that holds ``error``."""
    return b"data: " + render_error(error, request_id) + b"\n\n"


def _members(error: GatewayError, request_id: str) -> dict[str, Any]:
    kind = error.kind if isinstance(error, UpstreamRefused) else None
    if kind is None and isinstance(error, BudgetExceeded):
        kind = "insufficient_quota"
    members = {
        "message": f"{error.message} ({error.hint})" if error.hint else error.message,
        "type": kind
        or _KINDS.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error"),
        "param": error.param,
        "code": error.code,
        "request_id": request_id,
    }
    if error.hint:
        members["hint"] = error.hint
    return members


def read_error(status: int, body: bytes) -> tuple[str, str]:
    """Message and kind of an upstream's error reply; its status in words where the body says nothing."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = " ".join(_TAG.sub(" ", body[: 16 * _LONGEST].decode("utf-8", "replace")).split())
        return text[:_LONGEST] or _reason(status), ""
    message, kind = describe(told)
    return message[:_LONGEST] or _reason(status), kind


def describe(told: object) -> tuple[str, str]:
    """Message and kind of a decoded error, whatever its nesting; empty where there is none."""
    if isinstance(told, str):
        return told, ""
    if isinstance(told, list):
        found = [describe(item) for item in told]
        return "; ".join(message for message, _ in found if message), next(
            (kind for _, kind in found if kind), ""
        )
    if not isinstance(told, dict):
        return "", ""
    kind = next((told[name] for name in ("type", "code", "status") if isinstance(told.get(name), str)), "")
    for name in ("error", "errors", "message", "msg", "detail", "error_description", "title"):
        message, inner = describe(told.get(name))
        if message:
            return _with_cause(message, told), inner or kind
    return "", kind


def _with_cause(message: str, told: dict[str, Any]) -> str:
    """OpenRouter says "Provider returned error" and hides what the provider said in its metadata."""
    metadata = told.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f"{message}: {raw}" if isinstance(raw, str) and raw else message


def _reason(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"status {status}"
