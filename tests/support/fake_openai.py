"""A fake OpenAI: ``/v1/chat/completions`` plain and streamed, ``/v1/models``, with the true error bodies.

``usage_in`` of a stream: ``ask`` (OpenAI: an empty-choices chunk, only with ``include_usage``), ``last`` (in the
chunk that holds ``finish_reason``), ``empty`` (an empty-choices chunk, unasked), ``twice`` (both), ``never``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.fake_server import Behaviour, FakeServer, Reply, Request, json_reply, words

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-fake."),
    403: ("invalid_request_error", "unsupported_country", "You may not use this."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again in 7s."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}


def sse(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class FakeOpenAI(FakeServer):
    """``unsupported`` are request fields that are answered with the 400 a strict upstream gives."""

    chat_paths = ("/v1/chat/completions", "/chat/completions")

    def __init__(self, *, unsupported: frozenset[str] = frozenset(), **fields: Any) -> None:
        super().__init__(**fields)
        self.unsupported = unsupported

    def chat(self, request: Request, how: Behaviour) -> Reply:
        try:
            call = request.json
        except ValueError:
            return self.error(400, "We could not parse the JSON body of your request.")
        for name in self.unsupported & call.keys():
            return self.error(400, f"Unrecognized request argument supplied: {name}")
        headers = {"x-request-id": f"req_fake{len(self.requests)}", "openai-processing-ms": "3"}
        if call.get("stream"):
            return Reply(
                self.stream(call, how), content_type="text/event-stream; charset=utf-8", headers=headers
            )
        choices = [
            {"index": index, "message": message(how), "logprobs": None, "finish_reason": finish(how)}
            for index in range(call.get("n") or 1)
        ]
        answer = {**self.base(call), "object": "chat.completion", "choices": choices}
        if how.usage_in != "never":
            answer["usage"] = usage(how)
        return Reply(json.dumps(answer).encode(), headers=headers)

    def stream(self, call: dict[str, Any], how: Behaviour) -> Iterator[bytes]:
        asked = bool((call.get("stream_options") or {}).get("include_usage"))
        place = how.usage_in or "ask"
        base = {**self.base(call), "object": "chat.completion.chunk"}

        def chunk(delta: dict[str, Any], index: int, reason: str | None = None) -> dict[str, Any]:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            return {**base, "choices": [choice], **({"usage": None} if asked and place == "ask" else {})}

        for index in range(call.get("n") or 1):
            yield sse(chunk({"role": "assistant", "content": None if how.tool_calls else ""}, index))
            for piece in words(how.thinking):
                yield sse(chunk({"reasoning_content": piece}, index))
            for piece in [] if how.tool_calls else words(how.text):
                yield sse(chunk({"content": piece}, index))
            for slot, shown in enumerate(tool_calls(how)):
                function = shown["function"]
                begun = {**shown, "index": slot, "function": {**function, "arguments": ""}}
                yield sse(chunk({"tool_calls": [begun]}, index))
                half = len(function["arguments"]) // 2
                for part in (function["arguments"][:half], function["arguments"][half:]):
                    yield sse(
                        chunk({"tool_calls": [{"index": slot, "function": {"arguments": part}}]}, index)
                    )
            last = chunk({}, index, finish(how))
            if place in {"last", "twice"}:
                last["usage"] = usage(how)
            yield sse(last)
        if place in {"empty", "twice"} or (place == "ask" and asked):
            yield sse({**base, "choices": [], "usage": usage(how)})
        yield b"data: [DONE]\n\n"

    def base(self, call: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-fake{len(self.requests)}",
            "created": 1_700_000_000,
            "model": call.get("model", ""),
            "system_fingerprint": "fp_fake",
        }

    def other(self, request: Request) -> Reply:
        path = request.path.removeprefix("/v1")
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": "fake"} for name in self.models]
        if path == "/models":
            return json_reply({"object": "list", "data": listed})
        for model in listed:
            if path == f"/models/{model['id']}":
                return json_reply(model)
        return self.error(404)

    def error(self, status: int, message: str = "", kind: str = "") -> Reply:
        type_, code, usual = ERRORS.get(status, ("server_error", None, "Something went wrong."))
        body = {"message": message or usual, "type": kind or type_, "param": None, "code": code}
        reply = json_reply({"error": body}, status, x_request_id=f"req_fake{len(self.requests)}")
        if status == 429:
            reply.headers |= {"retry-after": "7", "x-ratelimit-remaining-requests": "0"}
        return reply

    def error_event(self, message: str) -> bytes:
        return sse({"error": {"message": message, "type": "server_error", "param": None, "code": None}})


def finish(how: Behaviour) -> str:
    return how.finish or ("tool_calls" if how.tool_calls else "stop")


def message(how: Behaviour) -> dict[str, Any]:
    said: dict[str, Any] = {
        "role": "assistant",
        "content": None if how.tool_calls else how.text,
        "refusal": None,
    }
    if how.thinking:
        said["reasoning_content"] = how.thinking
    if how.tool_calls:
        said["tool_calls"] = tool_calls(how)
    return said


def tool_calls(how: Behaviour) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_fake{slot}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(given)},
        }
        for slot, (name, given) in enumerate(how.tool_calls)
    ]


def usage(how: Behaviour) -> dict[str, Any]:
    return {
        "prompt_tokens": how.input_tokens,
        "completion_tokens": how.output_tokens,
        "total_tokens": how.input_tokens + how.output_tokens,
        "prompt_tokens_details": {"cached_tokens": how.cache_read_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
