"""Simulated providers on loopback: they speak OpenAI's and Anthropic's words at a believable pace, and fail at times."""

from __future__ import annotations

import asyncio
import json
import time
from random import Random
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llmgw.service.demo.world import ANSWER, model_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from llmgw.service.demo.world import Model

CYCLE, OUTAGE = 150.0, (40.0, 75.0)
"""Seconds after which it all begins again, and those in which Groq is down, so that its breaker opens."""
FAILING = "groq"
LIMITS = {"groq": 6000, "openai": 10_000}
STEPS = 8
"""Pieces that a streamed answer comes in."""


def application(seed: int = 1) -> Starlette:
    """The ASGI application: a path for each provider."""
    random, began = Random(seed), time.monotonic()  # noqa: S311 (nothing is kept secret by it)

    def failure(provider: str) -> Response | None:
        now = (time.monotonic() - began) % CYCLE
        if provider == FAILING and OUTAGE[0] <= now < OUTAGE[1]:
            return _error(503, "The model is overloaded, please try again later.")
        if random.random() < 0.01:
            return _error(500, "The server had an error while processing your request.")
        return None

    async def chat(request: Request) -> Response:
        call, provider = await request.json(), request.path_params["provider"]
        if (failed := failure(provider)) is not None:
            await asyncio.sleep(0.05)
            return failed
        model = model_of(call["model"])
        read, written = _tokens(call, random)
        headers = _headers(provider, random)
        if call.get("stream"):
            return StreamingResponse(
                _chunks(model, read, written), media_type="text/event-stream", headers=headers
            )
        await asyncio.sleep(model.first_ms / 1000 + written / model.speed)
        message = {"role": "assistant", "content": _text(written)}
        return JSONResponse(
            {
                "id": f"chatcmpl-{random.getrandbits(48):x}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": model.name,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": _usage(read, written),
            },
            headers=headers,
        )

    async def messages(request: Request) -> Response:
        call = await request.json()
        model = model_of(call["model"])
        read, written = _tokens(call, random)
        headers = _headers("anthropic", random)
        if call.get("stream"):
            return StreamingResponse(
                _events(model, read, written), media_type="text/event-stream", headers=headers
            )
        await asyncio.sleep(model.first_ms / 1000 + written / model.speed)
        return JSONResponse(
            {
                **_message(model, read, written),
                "content": [{"type": "text", "text": _text(written)}],
                "stop_reason": "end_turn",
            },
            headers=headers,
        )

    return Starlette(
        routes=[
            Route("/anthropic/v1/messages", messages, methods=["POST"]),
            Route("/{provider}/v1/chat/completions", chat, methods=["POST"]),
            Route("/{provider}/v1/models", _models),
        ]
    )


async def _models(_request: Request) -> Response:
    return JSONResponse({"object": "list", "data": []})


def _tokens(call: dict[str, Any], random: Random) -> tuple[int, int]:
    most = call.get("max_tokens") or call.get("max_completion_tokens") or 400
    return len(json.dumps(call["messages"])) // 4, min(most, random.randint(20, 240))


def _text(tokens: int) -> str:
    return (ANSWER * (1 + tokens * 4 // len(ANSWER)))[: tokens * 4]


def _usage(read: int, written: int) -> dict[str, Any]:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


async def _chunks(model: Model, read: int, written: int) -> AsyncIterator[bytes]:
    base = {
        "id": "chatcmpl-demo",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model.name,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _sse({**base, "choices": [choice]})

    await asyncio.sleep(model.first_ms / 1000)
    for part in _parts(written):
        yield chunk({"role": "assistant", "content": part})
        await asyncio.sleep(written / model.speed / STEPS)
    yield chunk({}, "stop")
    yield _sse({**base, "choices": [], "usage": _usage(read, written)})
    yield b"data: [DONE]\n\n"


async def _events(model: Model, read: int, written: int) -> AsyncIterator[bytes]:
    start = {**_message(model, read, 1), "content": [], "stop_reason": None}
    await asyncio.sleep(model.first_ms / 1000)
    yield _event("message_start", message=start)
    yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for part in _parts(written):
        yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": part})
        await asyncio.sleep(written / model.speed / STEPS)
    yield _event("content_block_stop", index=0)
    yield _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": written})
    yield _event("message_stop")


def _message(model: Model, read: int, written: int) -> dict[str, Any]:
    cached = int(read * model.cached)
    usage = {"input_tokens": read - cached, "cache_read_input_tokens": cached, "output_tokens": written}
    return {"id": "msg_demo", "type": "message", "role": "assistant", "model": model.name, "usage": usage}


def _parts(written: int) -> list[str]:
    text = _text(written)
    size = max(1, -(-len(text) // STEPS))
    return [text[at : at + size] for at in range(0, len(text), size)]


def _sse(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + _sse({"type": kind, **fields})


def _headers(provider: str, random: Random) -> dict[str, str]:
    if provider == "anthropic":
        return {
            "anthropic-ratelimit-tokens-limit": "400000",
            "anthropic-ratelimit-tokens-remaining": str(random.randrange(60_000, 390_000, 1000)),
        }
    if limit := LIMITS.get(provider):
        return {
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(random.randrange(limit // 4, limit)),
        }
    return {}


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "server_error", "code": None}}, status)
