"""Neutral events as an Anthropic stream: one block open at a time, in the order that the SDKs put together again."""

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
    OpaqueBlock,
    Started,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.providers.dialects.anthropic.content import DIALECT, tool_id
from llmgw.providers.dialects.anthropic.errors import STATUSES, error_type
from llmgw.providers.dialects.anthropic.reasons import write_reason
from llmgw.providers.dialects.anthropic.usage import write_usage

if TYPE_CHECKING:
    from llmgw.domain.usage import Usage

Json = dict[str, Any]
EMPTY: dict[str, Json] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
ENCODER = msgspec.json.Encoder()


def sse(value: Json) -> bytes:
    """One event, named after its ``type``."""
    return b"event: " + str(value["type"]).encode() + b"\ndata: " + ENCODER.encode(value) + b"\n\n"


class _Call(Struct):
    slot: int
    id: str
    name: str
    text: str = ""

    def whole(self) -> bool:
        """Whether the arguments are complete JSON, so that nothing of them is still to come."""
        try:
            msgspec.json.decode(self.text)
        except msgspec.MsgspecError:
            return False
        return True


class AnthropicStreamRenderer:
    """See StreamRenderer. Calls that arrive interleaved wait until the one before them has its whole arguments."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._out: list[bytes] = []
        self._begun = False
        self._index = -1
        self._open = ""
        self._call: _Call | None = None
        self._waiting: dict[int, _Call] = {}
        self._called = False
        self._usage: Usage | None = None
        self._finished: Finished | None = None

    def feed(self, event: Event) -> bytes:
        self._render(event)
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _render(self, event: Event) -> None:
        match event:
            case Started():
                self._usage = event.usage
                self._begin(event.id, event.model)
            case Metered():
                self._usage = event.usage
            case Failed():
                kind = event.kind if event.kind in STATUSES else error_type(event.status)
                self._send({"type": "error", "error": {"type": kind, "message": event.message}})
            case _:
                if not self._begun:
                    self._begin("", self._model)
                self._content(event)

    def _content(self, event: Event) -> None:
        """Anthropic gives one answer to a call, so other choices than the first have no place here."""
        match event:
            case Ended():
                self._end()
            case Finished(choice=0):
                self._finished = event
            case Delta(choice=0):
                self._delta(event)
            case ToolCallStarted(choice=0):
                self._waiting[event.slot] = _Call(event.slot, event.id, event.name)
                self._called = True
                self._advance()
            case ToolCallDelta(choice=0):
                self._arguments(event)
            case OpaqueBlock(choice=0) if event.block.dialect == DIALECT:
                self._opaque(event.block.value)

    def _send(self, value: Json) -> None:
        self._out.append(sse(value))

    def _begin(self, ident: str, model: str) -> None:
        self._begun = True
        message: Json = {
            "id": ident or "msg_unnamed",
            "type": "message",
            "role": "assistant",
            "model": model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(self._usage),
        }
        self._send({"type": "message_start", "message": message})

    def _end(self) -> None:
        self._drain()
        self._close()
        finished = self._finished
        sequence = finished.stop_sequence if finished else None
        reason = write_reason(finished.reason if finished else None, sequence, called=self._called)
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        self._send({"type": "message_delta", "delta": delta, "usage": write_usage(self._usage)})
        self._send({"type": "message_stop"})

    def _start(self, kind: str, block: Json) -> None:
        self._close()
        self._index += 1
        self._open = kind
        self._send({"type": "content_block_start", "index": self._index, "content_block": block})

    def _say(self, delta: Json) -> None:
        self._send({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _close(self) -> None:
        if self._open:
            self._send({"type": "content_block_stop", "index": self._index})
        self._open = ""
        self._call = None

    def _delta(self, event: Delta) -> None:
        kind, text = event.kind, event.text
        if not text:
            return
        self._drain()
        if kind == "redacted_thinking":
            self._start(kind, {"type": kind, "data": text})
            self._close()
        elif kind == "signature":
            if self._open != "thinking":
                self._start("thinking", EMPTY["thinking"])
            self._say({"type": "signature_delta", "signature": text})
            self._close()
        else:
            kind = "thinking" if kind == "thinking" else "text"
            if self._open != kind:
                self._start(kind, EMPTY[kind])
            self._say({"type": f"{kind}_delta", kind: text})

    def _advance(self) -> None:
        """Open the next waiting call, unless the open one may still get arguments."""
        while self._waiting and (self._call is None or self._call.whole()):
            self._open_call(self._waiting.pop(next(iter(self._waiting))))

    def _drain(self) -> None:
        """Write every call that still waits: whatever comes next, nothing comes for the open one."""
        while self._waiting:
            self._open_call(self._waiting.pop(next(iter(self._waiting))))

    def _open_call(self, call: _Call) -> None:
        self._start("tool_use", {"type": "tool_use", "id": tool_id(call.id), "name": call.name, "input": {}})
        self._call = call
        if call.text:
            self._say({"type": "input_json_delta", "partial_json": call.text})

    def _arguments(self, event: ToolCallDelta) -> None:
        if self._call is not None and self._call.slot == event.slot:
            self._call.text += event.text
            self._say({"type": "input_json_delta", "partial_json": event.text})
            if self._waiting:
                self._advance()
        elif event.slot in self._waiting:
            self._waiting[event.slot].text += event.text

    def _opaque(self, block: Json) -> None:
        """A server tool's block; its input travels as a delta, as from Anthropic itself."""
        self._drain()
        value = block.get("input")
        self._start("opaque", block | {"input": {}} if value else block)
        if value:
            self._say({"type": "input_json_delta", "partial_json": ENCODER.encode(value).decode()})
        self._close()
