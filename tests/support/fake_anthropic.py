"""A fake Anthropic: ``/v1/messages`` plain and streamed, ``count_tokens``, ``/v1/models``, the true errors and 529.

``usage_in`` of a stream: ``both`` (Anthropic: input in ``message_start``, output in ``message_delta``), ``delta``
(everything only in ``message_delta``), ``never``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.fake_server import Behaviour, FakeServer, Reply, Request, json_reply, words

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = {
    400: ("invalid_request_error", "messages: Field required"),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: unknown"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    529: ("overloaded_error", "Overloaded"),
}
NOTHING = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}


def event(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


class FakeAnthropic(FakeServer):
    """Anthropic's ``input_tokens`` leaves the cached ones out, and so does this fake's."""

    chat_paths = ("/v1/messages",)

    def chat(self, request: Request, how: Behaviour) -> Reply:
        try:
            call = request.json
        except ValueError:
            return self.error(400, "The request body is not valid JSON")
        for name in ("model", "messages", "max_tokens"):
            if name not in call:
                return self.error(400, f"{name}: Field required")
        headers = {
            "request-id": f"req_fake{len(self.requests)}",
            "anthropic-ratelimit-requests-remaining": "41",
            "anthropic-organization-id": "org-fake",
        }
        if call.get("stream"):
            return Reply(
                self.stream(call, how), content_type="text/event-stream; charset=utf-8", headers=headers
            )
        answer = {
            **self.base(call),
            "content": blocks(how),
            "stop_reason": stop_reason(how),
            "usage": NOTHING if how.usage_in == "never" else usage(how),
        }
        return Reply(json.dumps(answer, ensure_ascii=False).encode(), headers=headers)

    def stream(self, call: dict[str, Any], how: Behaviour) -> Iterator[bytes]:
        told = usage(how)
        begun = {**told, "output_tokens": 1} if how.usage_in in {"", "both"} else NOTHING
        yield event({"type": "message_start", "message": {**self.base(call), "content": [], "usage": begun}})
        yield event({"type": "ping"})
        for index, block in enumerate(blocks(how)):
            empty, deltas = streamed(block)
            yield event({"type": "content_block_start", "index": index, "content_block": empty})
            for delta in deltas:
                yield event({"type": "content_block_delta", "index": index, "delta": delta})
            yield event({"type": "content_block_stop", "index": index})
        ending = {"stop_reason": stop_reason(how), "stop_sequence": None}
        final = {"delta": told, "never": NOTHING}.get(how.usage_in, {"output_tokens": told["output_tokens"]})
        yield event({"type": "message_delta", "delta": ending, "usage": final})
        yield event({"type": "message_stop"})

    def base(self, call: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"msg_fake{len(self.requests)}",
            "type": "message",
            "role": "assistant",
            "model": call.get("model", ""),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def other(self, request: Request) -> Reply:
        if request.path == "/v1/messages/count_tokens":
            return json_reply({"input_tokens": self.default.input_tokens})
        listed = [
            {"type": "model", "id": name, "display_name": name.title(), "created_at": "2025-01-01T00:00:00Z"}
            for name in self.models
        ]
        if request.path == "/v1/models":
            ends = {"first_id": self.models[0], "last_id": self.models[-1]}
            return json_reply({"data": listed, "has_more": False, **ends})
        for model in listed:
            if request.path == f"/v1/models/{model['id']}":
                return json_reply(model)
        return self.error(404, "Not found")

    def error(self, status: int, message: str = "", kind: str = "") -> Reply:
        type_, usual = ERRORS.get(status, ("api_error", "Something went wrong"))
        ident = f"req_fake{len(self.requests)}"
        body = {
            "type": "error",
            "error": {"type": kind or type_, "message": message or usual},
            "request_id": ident,
        }
        reply = json_reply(body, status, request_id=ident)
        if status == 429:
            reply.headers["retry-after"] = "7"
        if status in {429, 529}:
            reply.headers["x-should-retry"] = "true"
        return reply

    def error_event(self, message: str) -> bytes:
        return event({"type": "error", "error": {"type": "overloaded_error", "message": message}})


def stop_reason(how: Behaviour) -> str:
    return how.finish or ("tool_use" if how.tool_calls else "end_turn")


def blocks(how: Behaviour) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if how.thinking:
        made.append({"type": "thinking", "thinking": how.thinking, "signature": "c2lnbmF0dXJl"})
    if how.text:
        made.append({"type": "text", "text": how.text})
    for slot, (name, given) in enumerate(how.tool_calls):
        made.append({"type": "tool_use", "id": f"toolu_fake{slot}", "name": name, "input": given})
    return made


def streamed(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The empty block that ``content_block_start`` shows, and the deltas that fill it."""
    if block["type"] == "text":
        return {**block, "text": ""}, [
            {"type": "text_delta", "text": piece} for piece in words(block["text"])
        ]
    if block["type"] == "thinking":
        told = [{"type": "thinking_delta", "thinking": piece} for piece in words(block["thinking"])]
        signed = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [*told, signed]
    whole = json.dumps(block["input"])
    halves = ("", whole[: len(whole) // 2], whole[len(whole) // 2 :])
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in halves]


def usage(how: Behaviour) -> dict[str, Any]:
    return {
        "input_tokens": how.input_tokens,
        "cache_creation_input_tokens": how.cache_write_tokens,
        "cache_read_input_tokens": how.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": how.cache_write_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": how.output_tokens,
        "service_tier": "standard",
    }
