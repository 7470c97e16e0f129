"""What the ledger reads off replies: usage, finish reason and, where no usage is told, the text they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from llmgw.providers.base import Reading
from llmgw.providers.dialects.openai_chat.errors import describe
from llmgw.providers.dialects.openai_chat.finish import read_finish
from llmgw.providers.dialects.openai_chat.usage import read_usage

if TYPE_CHECKING:
    from collections.abc import Iterable

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Groq(Struct):
    usage: Any = None


class _Choice(Struct):
    finish_reason: Any = None
    message: Raw = Raw()
    delta: Raw = Raw()


class Body(Struct):
    """A reply or one chunk of a stream, its content left undecoded."""

    id: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    x_groq: _Groq | None = None
    error: Any = None

    def told(self) -> object:
        """The usage object, wherever it stands."""
        return self.usage if self.usage is not None or self.x_groq is None else self.x_groq.usage

    def text(self) -> Iterable[str]:
        for choice in self.choices or ():
            yield from _texts(_decode_any(choice.message or choice.delta or b"null"))


class _PlainDelta(Struct, forbid_unknown_fields=True):
    role: str | None = None
    content: str | None = None
    refusal: None = None


class _PlainChoice(Struct):
    delta: _PlainDelta


class _PlainChunk(Struct):
    choices: list[_PlainChoice]


_decode_plain = msgspec.json.Decoder(_PlainChunk).decode
decode_body = msgspec.json.Decoder(Body).decode
_decode_any = msgspec.json.Decoder().decode


def read(body: bytes) -> Reading:
    """What the ledger needs of a plain reply; an undecodable one tells nothing."""
    try:
        reply = decode_body(body)
        usage = read_usage(reply.told())
        text = "" if usage else "".join(reply.text())
    except UNDECODABLE:
        return Reading(whole=False)
    return Reading(
        usage=usage,
        finish_reason=finish_of(reply),
        model=word(reply.model),
        upstream_id=word(reply.id),
        text=text,
        error=describe(reply.error)[0],
    )


def chunk_text(data: bytes) -> Iterable[str]:
    """What one chunk of a stream says; most say nothing but content, which is read without a detour."""
    try:
        return [choice.delta.content or "" for choice in _decode_plain(data).choices]
    except UNDECODABLE:
        return decode_body(data).text()


def finish_of(reply: Body) -> str:
    """The first reason told, in neutral words: what the ledger compares across providers."""
    return next(
        (reason for choice in reply.choices or () if (reason := read_finish(choice.finish_reason))), ""
    )


def word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(message: object) -> Iterable[str]:
    """All that a model wrote in one message or delta: content, reasoning, refusals and calls."""
    if not isinstance(message, dict):
        return
    for name in ("reasoning_content", "reasoning"):
        if word(message.get(name)):
            yield message[name]
            break
    yield word(message.get("refusal"))
    yield from _content(message.get("content"))
    calls = message.get("tool_calls")
    functions = (
        [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    )
    for function in functions or [message.get("function_call")]:
        if isinstance(function, dict):
            yield word(function.get("name"))
            yield word(function.get("arguments"))


def _content(content: object) -> Iterable[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict):
                yield from _content(part.get("text"))
                yield from _content(part.get("thinking"))
