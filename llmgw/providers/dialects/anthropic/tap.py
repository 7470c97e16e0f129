"""Listen to a relayed stream for a microsecond a chunk: only the few lines that tell usage or the end are decoded."""

from __future__ import annotations

from typing import Any

import msgspec

from llmgw.providers.base import Reading
from llmgw.providers.dialects.anthropic.decoding import as_dict, as_str
from llmgw.providers.dialects.anthropic.parser import AnthropicStreamParser
from llmgw.providers.dialects.anthropic.reasons import read_reason
from llmgw.providers.dialects.anthropic.usage import merge_usage, read_usage

Json = dict[str, Any]
DECODER = msgspec.json.Decoder(Json)
KEPT = 1 << 21


class AnthropicTap:
    """See Tap. What the fast path cannot settle (no usage, a cut) the stream parser settles from the kept bytes."""

    def __init__(self) -> None:
        self.ending = False
        self._rest: list[bytes] = []
        self._chunks: list[bytes] = []
        self._size = 0
        self._slow = AnthropicStreamParser()
        self._usage: Json = {}
        self._reading = Reading(whole=False)

    def feed(self, chunk: bytes) -> bytes:
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._rest or not chunk.endswith(b"\n"):
            head, newline, tail = chunk.rpartition(b"\n")
            lines = b"".join((*self._rest, head)) if newline else b""
            if newline:
                self._rest.clear()
            if tail:
                self._rest.append(tail)
        else:
            lines = chunk
        if b'"usage"' in lines or b'"message_stop"' in lines:
            self._listen(lines)
        if self._size > KEPT:
            self._fold()
        return chunk

    def text(self) -> str:
        """What the answer says so far."""
        self._fold()
        return self._slow.text()

    def close(self) -> Reading:
        reading = self._reading
        if self._rest:
            self._listen(b"".join(self._rest))
        if reading.whole and reading.finish_reason and self._usage.get("output_tokens"):
            reading.usage = read_usage(self._usage)
            if reading.usage is not None and reading.usage.complete:
                return reading
        self._fold()
        self._slow.close()
        return self._slow.reading()

    def _fold(self) -> None:
        self._slow.feed(b"".join(self._chunks))
        self._chunks.clear()
        self._size = 0

    def _listen(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            if line.startswith(b"data:") and (b'"usage"' in line or b'"message_stop"' in line):
                try:
                    self._event(DECODER.decode(line[5:]))
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    continue

    def _event(self, wire: Json) -> None:
        reading = self._reading
        match wire.get("type"):
            case "message_start":
                message = as_dict(wire.get("message"))
                self._usage = merge_usage(self._usage, message.get("usage"))
                reading.model = as_str(message.get("model"))
                reading.upstream_id = as_str(message.get("id"))
            case "message_delta":
                self._usage = merge_usage(self._usage, wire.get("usage"))
                reason = read_reason(as_dict(wire.get("delta")).get("stop_reason"))
                reading.finish_reason = reason or reading.finish_reason
            case "message_stop":
                self.ending = reading.whole = True
