"""Whole replies: an upstream's message in neutral words, neutral words as a message for the caller."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from llmgw.domain.chat import ChatAnswer, Choice, Part, Refusal, Text, Thinking, ToolCall
from llmgw.errors import BadRequest, UpstreamFailed
from llmgw.providers.base import Reading
from llmgw.providers.dialects.anthropic.content import parse_content, render_part
from llmgw.providers.dialects.anthropic.decoding import decode
from llmgw.providers.dialects.anthropic.errors import read_error
from llmgw.providers.dialects.anthropic.reasons import read_reason, write_reason
from llmgw.providers.dialects.anthropic.usage import read_usage, write_usage

Json = dict[str, Any]


class _Message(Struct):
    content: list[Raw]
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Any = None
    usage: Any = None


MESSAGE = msgspec.json.Decoder(_Message)
encode = msgspec.json.Encoder().encode


def _message(body: bytes) -> _Message:
    try:
        return decode(MESSAGE, body)
    except BadRequest:
        said, _ = read_error(UpstreamFailed.status, body)
        raise UpstreamFailed(f"the upstream's reply is no Anthropic message: {said}") from None


def parse_answer(body: bytes) -> ChatAnswer:
    """A message in neutral words; UpstreamFailed when it is none."""
    wire = _message(body)
    choice = Choice(0, tuple(_parts(wire)), read_reason(wire.stop_reason), wire.stop_sequence)
    extra = {"stop_details": wire.stop_details} if wire.stop_details else {}
    return ChatAnswer(
        id=wire.id or "", model=wire.model or "", choices=(choice,), usage=read_usage(wire.usage), extra=extra
    )


def _parts(wire: _Message) -> list[Part]:
    try:
        return parse_content(wire.content, "content", set())
    except BadRequest as problem:
        raise UpstreamFailed(f"the upstream's reply cannot be read: {problem.message}") from None


def read(body: bytes) -> Reading:
    """What the ledger needs of a message; its text only when it does not tell all usage."""
    wire = _message(body)
    usage = read_usage(wire.usage)
    return Reading(
        usage=usage,
        finish_reason=read_reason(wire.stop_reason) or "",
        model=wire.model or "",
        upstream_id=wire.id or "",
        text="" if usage and usage.complete else "".join(map(_words, _parts(wire))),
    )


def _words(part: Part) -> str:
    match part:
        case Text(text) | Thinking(text) | Refusal(text):
            return text
        case ToolCall():
            return part.arguments
    return ""


def render_answer(answer: ChatAnswer, meta: Json | None) -> bytes:
    """A message for the caller; of several choices the first, because Anthropic knows no others."""
    choice = answer.choices[0] if answer.choices else Choice(0, (), None)
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    wire: Json = {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [block for part in choice.parts if (block := _block(part)) is not None],
        "stop_reason": write_reason(choice.finish_reason, choice.stop_sequence, called=called),
        "stop_sequence": choice.stop_sequence,
    }
    if "stop_details" in answer.extra:
        wire["stop_details"] = answer.extra["stop_details"]
    wire["usage"] = write_usage(answer.usage)
    if meta is not None:
        wire["gateway_meta"] = meta
    return encode(wire)


def _block(part: Part) -> Json | None:
    """A block of an answer, which unlike a question's may hold any text and unsigned thinking."""
    match part:
        case Text(text) | Refusal(text):
            return {"type": "text", "text": text} if text else None
        case Thinking(text, signature):
            return (
                {"type": "thinking", "thinking": text, "signature": signature} if text or signature else None
            )
    try:
        return render_part(part)
    except BadRequest:  # sound, or a block of another dialect: the translation table names them
        return None


def attach_meta(body: bytes, meta: Json) -> bytes:
    """A relayed message with ``gateway_meta`` as its last member, every other byte unchanged."""
    end = body.rstrip()
    if not end.lstrip().startswith(b"{") or not end.endswith(b"}"):
        return body
    head = end[:-1]
    comma = b"" if head.rstrip().endswith(b"{") else b","
    return b"".join((head, comma, b'"gateway_meta":', encode(meta), body[len(end) - 1 :]))
