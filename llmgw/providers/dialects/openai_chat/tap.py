"""Listening to a relayed stream: a common chunk costs a few byte searches, and only telling events are decoded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from llmgw.providers.base import Reading
from llmgw.providers.dialects.openai_chat.errors import describe
from llmgw.providers.dialects.openai_chat.reading import UNDECODABLE, chunk_text, decode_body, finish_of, word
from llmgw.providers.dialects.openai_chat.usage import read_usage
from llmgw.providers.sse import Blocks, Event, Events, parse

if TYPE_CHECKING:
    from llmgw.domain.usage import Usage

_KEPT = 1024 * 1024  # bytes of stream kept for an estimate before they are boiled down to their text
_MARKER = (
    64  # bytes within which a terminal marker stands; a larger event is not searched again for every chunk
)
_LARGEST_USAGE = 64 * 1024
_CONTENT = re.compile(rb'"choices"\s*:\s*\[\s*\{')


class StreamTap:
    """One relayed stream. With ``hide_usage`` the usage event that only the gateway asked for is taken out."""

    def __init__(self, *, hide_usage: bool) -> None:
        self.ending = False
        self._hide = hide_usage
        self._blocks = Blocks()
        self._passed = 0  # bytes of the unfinished event that the caller has already
        self._unnamed = 3  # events to look into for the answer's id and model
        self._unread: list[bytes] = []
        self._size = 0
        self._reader = Events()
        self._text: list[str] = []
        self._usage: Usage | None = None
        self._finish = self._model = self._id = self._error = ""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to pass on: ``chunk`` itself but for the usage event that is hidden."""
        self._unread.append(chunk)
        self._size += len(chunk)
        if self._size > _KEPT:
            self._condense(self._usage)
        if not (self._unnamed or self._blocks.pending or _telling(chunk)) and chunk.endswith(b"\n\n"):
            return chunk
        if self.ending:  # already read to its end, so nothing is learnt or hidden any more
            return chunk
        blocks = self._blocks.feed(chunk)
        pending = self._blocks.pending
        if len(pending) < _MARKER and b"[DONE]" in pending and (event := parse(bytes(pending))) is not None:
            self.ending = self.ending or event.data.strip() == b"[DONE]"
        if not self._hide:
            for block in blocks:
                self._look(block)
            return chunk
        return self._without_usage(blocks)

    def text(self) -> str:
        """What the answer says so far."""
        self._condense(usage=None)  # some tell usage with every event
        return "".join(self._text)

    def close(self) -> Reading:
        """What was learnt, when no more bytes come."""
        if rest := self._blocks.close():
            self._look(rest)
        whole = self.ending or bool(self._finish)
        if self._usage is None:  # else nobody asks for the text but who looks on, and `text` reads it then
            self._condense(usage=None)
            self._read_text(self._reader.close())
        return Reading(
            usage=replace(self._usage, complete=whole) if self._usage else None,
            finish_reason=self._finish,
            model=self._model,
            upstream_id=self._id,
            text="" if self._usage else "".join(self._text),
            whole=whole,
            error=self._error,
        )

    def _without_usage(self, blocks: list[bytes]) -> bytes:
        out = []
        for block in blocks:
            if not self._look(block) or self._passed:
                out.append(block[self._passed :])
            self._passed = 0
        pending = self._blocks.pending
        if pending and (self.ending or self._passed or not _may_be_usage(pending)):
            out.append(bytes(pending[self._passed :]))
            self._passed = len(pending)
        return b"".join(out)

    def _look(self, block: bytes) -> bool:
        """Learn from one event; True when it is nothing but usage."""
        event = parse(block)
        if event is None or not (self._unnamed or _telling(block)):
            return False
        if event.data.strip() == b"[DONE]":
            self.ending = True
            return False
        try:
            reply = decode_body(event.data)
            usage = read_usage(reply.told())
        except UNDECODABLE:
            if event.name == "error":
                self._error = event.data.decode("utf-8", "replace")
            return False
        if self._unnamed:
            self._id = self._id or word(reply.id)
            self._model = self._model or word(reply.model)
            self._unnamed = 0 if self._id and self._model else self._unnamed - 1
        self._usage = usage or self._usage
        self._finish = finish_of(reply) or self._finish
        if reply.error is not None or event.name == "error":
            self._error = describe(reply.error)[0] or event.data.decode("utf-8", "replace")
        return usage is not None and not reply.choices and reply.error is None

    def _condense(self, usage: Usage | None) -> None:
        """Turn kept bytes into kept text, unless ``usage`` makes both needless."""
        if usage is None:
            self._read_text(self._reader.feed(b"".join(self._unread)))
        self._unread.clear()
        self._size = 0

    def _read_text(self, events: list[Event]) -> None:
        for event in events:
            try:
                self._text.extend(chunk_text(event.data))
            except UNDECODABLE:
                continue


def _telling(data: bytes) -> bool:
    """Whether these bytes may hold usage, a finish reason, an error or the end; text escapes its quotes."""
    return (
        b'_tokens"' in data
        or b'finish_reason":"' in data
        or b'finish_reason": "' in data
        or b"[DONE]" in data
        or b"error" in data
    )


def _may_be_usage(pending: bytearray) -> bool:
    """Whether an unfinished event may still turn out to hold usage and no choice."""
    if len(pending) > _LARGEST_USAGE:
        return False
    start = bytes(pending[:64]).lstrip()
    value = start[5:].lstrip()
    return (
        b"data:".startswith(start[:5])
        and (not value or value.startswith(b"{"))
        and _CONTENT.search(pending) is None
    )
