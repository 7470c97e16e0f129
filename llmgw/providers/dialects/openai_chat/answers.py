"""Whole replies: an upstream's chat completion in neutral words, and neutral words as one for the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.domain.chat import ChatAnswer, Choice, Opaque, Part, Refusal, Text, ToolCall
from llmgw.errors import BadRequest, UpstreamFailed
from llmgw.providers.dialects.openai_chat.content import read_assistant, write_call
from llmgw.providers.dialects.openai_chat.errors import describe
from llmgw.providers.dialects.openai_chat.finish import read_finish, write_finish
from llmgw.providers.dialects.openai_chat.reading import UNDECODABLE, word
from llmgw.providers.dialects.openai_chat.thinking import DIALECT, write_blocks
from llmgw.providers.dialects.openai_chat.usage import read_usage, render_usage

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_HELD = {"id", "object", "created", "model", "choices", "usage", "error"}


def parse_answer(body: bytes) -> ChatAnswer:
    """The reply in neutral words; UpstreamFailed when it is none, or an error under a good status."""
    try:
        wire = _decode(body)
    except UNDECODABLE as error:
        raise UpstreamFailed(f"the upstream's reply is not JSON: {error}") from None
    choices = wire.get("choices") if isinstance(wire, dict) else None
    if not isinstance(choices, list):
        message, _ = describe(wire)
        raise UpstreamFailed(message or "the upstream's reply is no chat completion")
    if not choices and wire.get("error"):
        raise UpstreamFailed(describe(wire["error"])[0] or "the upstream answered with an error")
    created = wire.get("created")
    try:
        answers = [_choice(each, index) for index, each in enumerate(choices) if isinstance(each, dict)]
    except BadRequest as error:
        raise UpstreamFailed(f"the upstream's reply cannot be read: {error.message}") from None
    return ChatAnswer(
        id=word(wire.get("id")),
        model=word(wire.get("model")),
        choices=tuple(answers),
        usage=read_usage(wire.get("usage")),
        created=int(created) if isinstance(created, int | float) else 0,
        extra={name: value for name, value in wire.items() if name not in _HELD},
    )


def _choice(wire: Json, position: int) -> Choice:
    index = wire.get("index")
    number = index if isinstance(index, int) else position
    message = wire.get("message")
    said = read_assistant(message, "message", f"call_{number}") if isinstance(message, dict) else []
    logprobs = wire.get("logprobs")
    return Choice(
        number,
        tuple(said),
        read_finish(wire.get("finish_reason")),
        word(wire.get("stop_reason")) or None,  # vLLM
        logprobs if isinstance(logprobs, dict) else None,
    )


def render_answer(answer: ChatAnswer, meta: Json | None, created: int) -> bytes:
    """A chat completion; what the upstream said beyond the neutral words follows its own members."""
    wire: Json = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created or created,
        "model": answer.model,
        "choices": [_write_choice(choice) for choice in answer.choices],
    }
    if answer.usage is not None:
        wire["usage"] = render_usage(answer.usage)
    wire |= {name: value for name, value in answer.extra.items() if name not in wire}
    if meta is not None:
        wire["gateway_meta"] = meta
    return _encode(wire)


def _write_choice(choice: Choice) -> Json:
    return {
        "index": choice.index,
        "message": write_message(choice.parts),
        "logprobs": choice.logprobs,
        "finish_reason": write_finish(choice.finish_reason),
    }


def write_message(parts: Iterable[Part]) -> Json:
    """An assistant's message; blocks that only another dialect can say are left out."""
    held = tuple(parts)
    text = "".join(part.text for part in held if isinstance(part, Text))
    refusal = "".join(part.text for part in held if isinstance(part, Refusal))
    calls = [write_call(part) for part in held if isinstance(part, ToolCall)]
    message: Json = {"role": "assistant", "content": text or (None if calls or refusal else "")}
    message["refusal"] = refusal or None
    message |= write_blocks(held)
    for part in held:
        if isinstance(part, Opaque) and part.dialect == DIALECT and "type" not in part.value:
            calls += part.value.get("tool_calls", [])
            message = {name: value for name, value in part.value.items() if name != "tool_calls"} | message
    if calls:
        message["tool_calls"] = calls
    return message
