"""An upstream's stream of chat completion chunks as neutral events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from llmgw.domain.chat import (
    Delta,
    Ended,
    Event,
    Failed,
    Finished,
    FinishReason,
    Metered,
    Opaque,
    OpaqueBlock,
    Part,
    RedactedThinking,
    Refusal,
    Started,
    Text,
    Thinking,
)
from llmgw.errors import BadRequest
from llmgw.providers.base import Reading
from llmgw.providers.dialects.openai_chat.content import read_content
from llmgw.providers.dialects.openai_chat.errors import describe
from llmgw.providers.dialects.openai_chat.finish import read_finish
from llmgw.providers.dialects.openai_chat.reading import UNDECODABLE, word
from llmgw.providers.dialects.openai_chat.thinking import DIALECT, FIELDS, read_thinking_delta
from llmgw.providers.dialects.openai_chat.tool_slots import ToolSlots
from llmgw.providers.dialects.openai_chat.usage import read_usage
from llmgw.providers.sse import Event as Framed
from llmgw.providers.sse import Events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.domain.usage import Usage

Json = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_HELD = {"id", "object", "created", "model", "choices", "usage", "error", "obfuscation"}
_DELTA_FIELDS = FIELDS | {"content", "function_call", "refusal", "role", "tool_calls"}


class OpenAIStreamParser:
    """One stream. It is whole when ``[DONE]`` came, or a finish reason where a server says no ``[DONE]``."""

    def __init__(self) -> None:
        self._events = Events()
        self._calls: dict[int, ToolSlots] = {}
        self._finished: dict[int, str] = {}
        self._choices: set[int] = set()
        self._thought: set[int] = set()
        self._started = self._over = False
        self._usage: Usage | None = None
        self._texts: list[str] = []
        self._extra: Json = {}
        self._id = self._model = self._error = ""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events completed by these bytes; UpstreamFailed when one of them grows beyond all bounds."""
        return [event for framed in self._events.feed(chunk) for event in self._read(framed)]

    def close(self) -> list[Event]:
        """The last events: ``Ended`` once, or ``Failed`` where the stream was cut."""
        events = [event for framed in self._events.close() for event in self._read(framed, last=True)]
        if not self._over and self._finished:
            events += self._end()
        elif not self._over:
            self._over = True
            events.append(self._fail("the upstream's stream ended early"))
        return events

    def text(self) -> str:
        """What the answer says so far."""
        return "".join(self._texts)

    def reading(self) -> Reading:
        """What was learnt so far."""
        whole = bool(self._finished) or (self._over and not self._error)
        return Reading(
            usage=replace(self._usage, complete=whole) if self._usage else None,
            finish_reason=next(iter(self._finished.values()), ""),
            model=self._model,
            upstream_id=self._id,
            text="" if self._usage else "".join(self._texts),
            whole=whole,
            error=self._error,
        )

    def _read(self, framed: Framed, *, last: bool = False) -> Iterator[Event]:
        if self._over:
            return
        if framed.data.strip() == b"[DONE]":
            yield from self._end()
            return
        try:
            wire = _decode(framed.data)
        except UNDECODABLE:
            if not last:  # the last one may be cut, which close() tells
                self._over = True
                said = framed.data.decode("utf-8", "replace") if framed.name == "error" else ""
                yield self._fail(said or "the upstream sent an event that is not JSON")
            return
        if not isinstance(wire, dict):
            return
        if wire.get("error") or framed.name == "error":
            self._over = True
            yield self._refuse(wire)
            return
        try:
            yield from self._chunk(wire)
        except BadRequest as error:
            self._over = True
            yield self._fail(f"the upstream's stream cannot be read: {error.message}")

    def _end(self) -> Iterator[Event]:
        """The end; a choice that was never given a reason stopped for its calls, or by itself."""
        self._over = True
        for choice in sorted(self._choices - self._finished.keys()):
            yield Finished(
                FinishReason.TOOL_CALLS if choice in self._calls else FinishReason.STOP, choice=choice
            )
        yield Ended(self._extra)

    def _chunk(self, wire: Json) -> Iterator[Event]:
        choices = wire.get("choices")
        self._extra.update((name, wire[name]) for name in wire.keys() - _HELD if wire[name] is not None)
        self._id, self._model = self._id or word(wire.get("id")), self._model or word(wire.get("model"))
        if not self._started and choices:
            self._started = True
            created = wire.get("created")
            made = created if isinstance(created, int) else 0
            yield Started(self._id, self._model, created=made, extra=dict(self._extra))
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                yield from self._choice(choice)
        groq = wire.get("x_groq")
        told = wire.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)
        if told and (usage := read_usage(told)):
            self._usage = usage
            yield Metered(usage)

    def _choice(self, wire: Json) -> Iterator[Event]:
        index = wire.get("index")
        number = index if isinstance(index, int) else 0
        self._choices.add(number)
        delta, logprobs = wire.get("delta"), wire.get("logprobs")
        if isinstance(delta, dict):
            yield from self._delta(delta, number, logprobs if isinstance(logprobs, dict) else None)
        elif isinstance(logprobs, dict):
            yield Delta("text", "", number, logprobs)
        reason = read_finish(wire.get("finish_reason"))
        if reason is not None and number not in self._finished:
            self._finished[number] = word(wire.get("finish_reason"))
            yield Finished(reason, word(wire.get("stop_reason")) or None, number)

    def _delta(self, wire: Json, choice: int, logprobs: Json | None) -> Iterator[Event]:
        said = [
            event
            for part in (*self._thinking(wire, choice), *read_content(wire.get("content"), "delta.content"))
            for event in self._part(part, choice)
        ]
        if refusal := word(wire.get("refusal")):
            said.append(self._say("refusal", refusal, choice))
        if logprobs is not None:
            last = said.pop() if said and isinstance(said[-1], Delta) else Delta("text", "", choice)
            said.append(replace(last, logprobs=logprobs))
        yield from said
        yield from self._tools(wire, choice)
        if rest := {name: value for name, value in wire.items() if value and name not in _DELTA_FIELDS}:
            yield OpaqueBlock(Opaque(DIALECT, rest), choice)

    def _thinking(self, wire: Json, choice: int) -> list[Part]:
        parts = read_thinking_delta(wire, told=choice in self._thought)
        if any(isinstance(part, Thinking) for part in parts):
            self._thought.add(choice)
        return parts

    def _part(self, part: Part, choice: int) -> Iterator[Event]:
        match part:
            case Thinking(text, signature):
                if text:
                    yield self._say("thinking", text, choice)
                if signature:
                    yield Delta("signature", signature, choice)
            case RedactedThinking(data):
                yield Delta("redacted_thinking", data, choice)
            case Text(text) if text:
                yield self._say("text", text, choice)
            case Refusal(text):
                yield self._say("refusal", text, choice)
            case Opaque():
                yield OpaqueBlock(part, choice)

    def _tools(self, wire: Json, choice: int) -> Iterator[Event]:
        calls = wire.get("tool_calls")
        function = wire.get("function_call")
        if not isinstance(calls, list):  # llama-cpp-python sends both; the legacy twin counts only alone
            calls = [{"index": 0, "function": function}] if isinstance(function, dict) else []
        slots = self._calls.setdefault(choice, ToolSlots(choice)) if calls else None
        for call in calls:
            if slots is not None and isinstance(call, dict):
                events = slots.feed(call)
                self._texts += [event.text for event in events if hasattr(event, "text")]
                yield from events

    def _say(self, kind: str, text: str, choice: int) -> Delta:
        self._texts.append(text)
        return Delta(kind, text, choice)

    def _refuse(self, wire: Json) -> Failed:
        told = wire.get("error") or wire
        message, kind = describe(told)
        members = told if isinstance(told, dict) else {}
        statuses = [members.get(name) for name in ("status_code", "code", "status")]
        status = next((each for each in statuses if isinstance(each, int) and 400 <= each < 600), 502)
        self._usage = read_usage(wire.get("usage")) or self._usage
        return self._fail(message or "the upstream broke off with an error", kind, status)

    def _fail(self, message: str, kind: str = "", status: int = 502) -> Failed:
        self._error = message
        return Failed(message, kind, status)
