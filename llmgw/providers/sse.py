"""Framing of streams: server-sent events as WHATWG defines them, and JSON lines. Chunks may break anywhere."""

from __future__ import annotations

import re
from typing import NamedTuple

from llmgw.errors import UpstreamFailed

LIMIT = 16 * 1024 * 1024
"""Bytes that one unfinished event or line may hold before the stream is refused."""

_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")  # atomic, or CRLF would count as two line ends
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One dispatched event: its type (``message`` unless named) and its data, still encoded."""

    name: str
    data: bytes


class Blocks:
    """Cuts a stream after each blank line. Joined together, ``feed`` results and ``pending`` are the stream itself."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.pending = bytearray()
        self._limit = limit

    def feed(self, chunk: bytes) -> list[bytes]:
        """The blocks that these bytes complete, each with its blank line; UpstreamFailed when one grows too large."""
        pending = self.pending
        if not pending and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            return [block + b"\n\n" for block in chunk[:-2].split(b"\n\n")]
        start = max(0, len(pending) - 3)  # a blank line may have begun in the bytes before
        pending += chunk
        ends = [match.end() for match in _BLANK_LINE.finditer(pending, start)]
        whole, done = [], 0
        for end in ends:
            whole.append(bytes(pending[done:end]))
            done = end
        del pending[:done]
        if len(pending) > self._limit:
            raise UpstreamFailed(f"the upstream sent an event of more than {self._limit:,} bytes")
        return whole

    def close(self) -> bytes:
        """What no blank line has ended."""
        rest = bytes(self.pending)
        self.pending.clear()
        return rest


def parse(block: bytes) -> Event | None:
    """The event in one block; None when it carries no data, as comments do."""
    if (
        block.startswith(b"data: ")
        and block.endswith(b"\n\n")
        and block.count(b"\n") == 2
        and b"\r" not in block
    ):
        return Event("message", block[6:-2])
    name, data = b"", []
    for line in _LINE_END.split(block.removeprefix(_BOM)):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return Event(name.decode("utf-8", "replace") or "message", b"\n".join(data)) if data else None


class Events:
    """Turns a stream's bytes into events, whatever the chunks."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._blocks = Blocks(limit)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events completed by these bytes; UpstreamFailed when one grows beyond the limit."""
        return [event for block in self._blocks.feed(chunk) if (event := parse(block)) is not None]

    def close(self) -> list[Event]:
        """The last event, where a server ended without the blank line after it."""
        event = parse(self._blocks.close())
        return [] if event is None else [event]


class Lines:
    """Cuts newline-delimited JSON into lines, empty ones left out."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._pending = bytearray()
        self._limit = limit

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines completed by these bytes, without their ends; UpstreamFailed when one grows too large."""
        head, newline, tail = chunk.rpartition(b"\n")
        lines: list[bytes] = []
        if newline:
            whole = bytes(self._pending) + head
            self._pending.clear()
            lines = [line for part in whole.split(b"\n") if (line := part.strip())]
        self._pending += tail
        if len(self._pending) > self._limit:
            raise UpstreamFailed(f"the upstream sent a line of more than {self._limit:,} bytes")
        return lines

    def close(self) -> list[bytes]:
        """The last line, where nothing ended it."""
        rest = bytes(self._pending).strip()
        self._pending.clear()
        return [rest] if rest else []
