"""What Ollama answers, a line of a stream and a plain reply alike, and what the ledger needs of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from llmgw.domain.chat import ChatAnswer, Choice, FinishReason, Part, Text, Thinking, ToolCall
from llmgw.domain.usage import MOST_TOKENS, Usage
from llmgw.errors import UpstreamFailed
from llmgw.providers.base import Reading


class Function(Struct, frozen=True):
    name: str
    arguments: Raw = Raw(b"{}")


class Call(Struct, frozen=True):
    function: Function
    id: str = ""


class Said(Struct, frozen=True):
    content: str = ""
    thinking: str = ""
    tool_calls: list[Call] | None = None


class Line(Struct, frozen=True):
    """One line of a stream, or the whole plain reply."""

    model: str = ""
    created_at: str = ""
    message: Said = Said()
    done: bool = False
    done_reason: str = ""
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[dict[str, Any]] | None = None
    error: Any = None


LINE = msgspec.json.Decoder(Line)
REASONS = {"length": FinishReason.LENGTH}


def parse_answer(body: bytes) -> ChatAnswer:
    """The reply in neutral words; UpstreamFailed when it is none."""
    line = _decode(body)
    parts: list[Part] = [Thinking(line.message.thinking)] if line.message.thinking else []
    parts += [Text(line.message.content)] if line.message.content else []
    parts += tool_calls(line)
    reason = finish_reason(line, called=bool(line.message.tool_calls))
    choice = Choice(0, tuple(parts), reason, logprobs=logprobs(line))
    usage = read_usage(line)
    return ChatAnswer(
        id=answer_id(line), model=line.model, choices=(choice,), usage=usage, created=created(line)
    )


def read(body: bytes) -> Reading:
    """What the ledger needs of a plain reply."""
    line = _decode(body)
    return Reading(
        usage=read_usage(line),
        finish_reason=finish_reason(line, called=bool(line.message.tool_calls)).value,
        model=line.model,
        upstream_id=answer_id(line),
        text=line.message.thinking + line.message.content,
        whole=line.done,
    )


def read_error(body: bytes) -> tuple[str, str]:
    """Message and kind; Ollama has no kinds."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = body.decode(errors="replace").strip()
    return message_of(value.get("error", value) if isinstance(value, dict) else value), ""


def message_of(error: Any) -> str:
    """The words of an error, whether it is a text or an object that holds one."""
    if isinstance(error, dict):
        error = error.get("message") or error.get("error") or error
    return error if isinstance(error, str) else msgspec.json.encode(error).decode()


def tool_calls(line: Line, first: int = 0) -> list[ToolCall]:
    """The calls of a line; old servers name no ids, so each gets one from the line's moment and its place."""
    calls = []
    for slot, call in enumerate(line.message.tool_calls or (), first):
        ident = call.id or f"call_{_digits(line)}_{slot}"
        written = bytes(call.function.arguments)
        text = msgspec.json.decode(written, type=str) if written.startswith(b'"') else written.decode()
        calls.append(ToolCall(ident, call.function.name, text))
    return calls


def finish_reason(line: Line, *, called: bool) -> FinishReason:
    """Ollama says ``stop`` after a tool call too."""
    usual = FinishReason.TOOL_CALLS if called else FinishReason.STOP
    return REASONS.get(line.done_reason, usual)


def read_usage(line: Line) -> Usage | None:
    """Tokens of a final line, None when it tells none.

    Old servers leave ``prompt_eval_count`` out when the whole prompt was cached: marked ``estimated`` with no input.
    """
    counts = (line.prompt_eval_count, line.eval_count)
    if counts == (None, None) or not all(0 <= (count or 0) <= MOST_TOKENS for count in counts):
        return None
    return Usage(
        input_tokens=line.prompt_eval_count or 0,
        output_tokens=line.eval_count or 0,
        estimated=line.prompt_eval_count is None,
    )


def logprobs(line: Line) -> dict[str, Any] | None:
    """Ollama's entries are OpenAI's."""
    return {"content": line.logprobs} if line.logprobs else None


def answer_id(line: Line) -> str:
    """Ollama names no answers, so its moment to the nanosecond stands in."""
    return f"chatcmpl-{_digits(line)}" if line.created_at else ""


def created(line: Line) -> int:
    """Unix seconds, 0 when it does not say."""
    try:
        return int(datetime.fromisoformat(line.created_at).timestamp())
    except (ValueError, OverflowError):
        return 0


def _digits(line: Line) -> str:
    return "".join(filter(str.isdecimal, line.created_at))


def _decode(body: bytes) -> Line:
    try:
        line = LINE.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise UpstreamFailed(f"Ollama's reply is not an answer: {problem}") from None
    if line.error is not None:
        raise UpstreamFailed(message_of(line.error))
    return line
