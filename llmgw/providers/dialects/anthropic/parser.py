"""An Anthropic stream in neutral events, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from llmgw.domain.chat import (
    Delta,
    Ended,
    Event,
    Failed,
    Finished,
    Metered,
    Opaque,
    OpaqueBlock,
    Started,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.providers.base import Reading
from llmgw.providers.dialects.anthropic.content import DIALECT
from llmgw.providers.dialects.anthropic.decoding import as_dict, as_str
from llmgw.providers.dialects.anthropic.errors import STATUSES
from llmgw.providers.dialects.anthropic.reasons import read_reason
from llmgw.providers.dialects.anthropic.usage import merge_usage, read_usage
from llmgw.providers.sse import Events

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]
DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}
DECODER = msgspec.json.Decoder(Json)


class _Block(Struct):
    """An open block: a call's ``slot`` and whether arguments were ``told``, or the ``json`` of a server tool's input."""

    value: Json
    slot: int = -1
    told: bool = False
    json: list[str] = []


class AnthropicStreamParser:
    """See StreamParser."""

    def __init__(self) -> None:
        self._events = Events()
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._usage: Json = {}
        self._text: list[str] = []
        self._finish = ""
        self._over = False
        self._reading = Reading(whole=False)

    def feed(self, chunk: bytes) -> list[Event]:
        return self._read(self._events.feed(chunk))

    def close(self) -> list[Event]:
        """A stream that told why it stopped is whole even where its last event is missing."""
        out = self._read(self._events.close())
        if self._over:
            return out
        self._over = True
        if self._finish:
            self._reading.whole = True
            return [*out, Ended()]
        self._reading.error = self._reading.error or "the upstream's stream ended early"
        return [*out, Failed(self._reading.error)]

    def text(self) -> str:
        """What the answer says so far."""
        return "".join(self._text)

    def reading(self) -> Reading:
        reading = self._reading
        told = bool(self._finish) and bool(self._usage.get("output_tokens"))
        reading.usage = read_usage(self._usage, complete=told)
        reading.finish_reason = self._finish
        reading.text = "" if reading.usage and reading.usage.complete else "".join(self._text)
        return reading

    def _read(self, events: Sequence[tuple[str, bytes]]) -> list[Event]:
        out: list[Event] = []
        for name, data in events:
            if self._over:
                break
            try:
                wire = DECODER.decode(data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                if data.strip() != b"[DONE]":
                    out.append(self._fail("the upstream sent an event that is no JSON object"))
                continue
            self._event(as_str(wire.get("type")) or name, wire, out)
        return out

    def _event(self, kind: str, wire: Json, out: list[Event]) -> None:
        match kind:
            case "content_block_delta":
                self._delta(wire, out)
            case "content_block_start":
                self._start(wire, out)
            case "content_block_stop":
                self._stop(wire, out)
            case "message_start":
                message = as_dict(wire.get("message"))
                self._usage = merge_usage(self._usage, message.get("usage"))
                self._reading.upstream_id = as_str(message.get("id"))
                self._reading.model = as_str(message.get("model"))
                usage = read_usage(self._usage, complete=False)
                out.append(Started(self._reading.upstream_id, self._reading.model, usage))
            case "message_delta":
                self._message_delta(wire, out)
            case "message_stop":
                self._over = self._reading.whole = True
                out.append(Ended())
            case "error":
                error = wire.get("error")
                told = error if isinstance(error, dict) else {"message": error}
                out.append(self._fail(str(told.get("message") or "upstream error"), as_str(told.get("type"))))

    def _fail(self, message: str, kind: str = "") -> Failed:
        self._over = True
        self._reading.error = message
        return Failed(message, kind, STATUSES.get(kind, 502))

    def _message_delta(self, wire: Json, out: list[Event]) -> None:
        delta = as_dict(wire.get("delta"))
        self._usage = merge_usage(self._usage, wire.get("usage"))
        if (told := read_usage(self._usage)) is not None:
            out.append(Metered(told))
        reason = read_reason(delta.get("stop_reason"))
        if reason is not None:
            self._finish = reason
            out.append(Finished(reason, as_str(delta.get("stop_sequence")) or None))

    def _start(self, wire: Json, out: list[Event]) -> None:
        value = as_dict(wire.get("content_block"))
        block = self._blocks[_index(wire)] = _Block(value)
        kind = value.get("type")
        if kind == "tool_use":
            block.slot = self._calls
            self._calls += 1
            out.append(ToolCallStarted(block.slot, as_str(value.get("id")), as_str(value.get("name"))))
        elif kind == "redacted_thinking":
            out.append(Delta("redacted_thinking", as_str(value.get("data"))))
        elif kind in ("text", "thinking"):
            self._say(kind, as_str(value.get(kind)), out)
            self._say("signature", as_str(value.get("signature")), out)

    def _say(self, kind: str, text: str, out: list[Event]) -> None:
        if text:
            if kind != "signature":
                self._text.append(text)
            out.append(Delta(kind, text))

    def _delta(self, wire: Json, out: list[Event]) -> None:
        delta = as_dict(wire.get("delta"))
        kind = delta.get("type")
        if isinstance(kind, str) and kind in DELTAS:
            name, field = DELTAS[kind]
            self._say(name, as_str(delta.get(field)), out)
            return
        block = self._blocks.get(_index(wire))
        if block is None:
            return
        if kind == "input_json_delta":
            text = as_str(delta.get("partial_json"))
            if block.slot >= 0 and text:
                block.told = True
                self._text.append(text)
                out.append(ToolCallDelta(block.slot, text))
            elif block.slot < 0:
                block.json.append(text)
        elif kind == "compaction_delta":
            block.value["content"] = as_str(block.value.get("content")) + as_str(delta.get("content"))

    def _stop(self, wire: Json, out: list[Event]) -> None:
        block = self._blocks.pop(_index(wire), None)
        if block is None:
            return
        if block.slot >= 0:
            if not block.told:
                # A call without arguments streams none, or a server put them whole into the block's start.
                arguments = msgspec.json.encode(block.value.get("input") or {}).decode()
                out.append(ToolCallDelta(block.slot, arguments))
        elif block.value.get("type") not in ("text", "thinking", "redacted_thinking"):
            if block.json:
                block.value["input"] = _json("".join(block.json))
            out.append(OpaqueBlock(Opaque(DIALECT, block.value)))


def _index(wire: Json) -> int:
    index = wire.get("index")
    return index if isinstance(index, int) else -1


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text or "{}")
    except msgspec.MsgspecError:
        return {"raw": text}
