"""Keeping a streamed call's connection alive while its answer is not there yet: the stream is opened, comments follow.

Programs and proxies give a silent connection up. What is known only later, such as the target, stands in a comment then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmgw.gates.reply import own_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.gates.reply import RawHeaders
    from llmgw.gates.state import Call

PAUSE = 10.0
"""Seconds of silence before a comment."""

COMMENT = b": llmgw is at work\n\n"


class KeepAlive:
    """Sends a comment now and then until it is told to end; it has the caller's connection to itself as long."""

    __slots__ = ("_task", "words")

    def __init__(self, call: Call, words: Callable[[], bytes] | None = None) -> None:
        """``words`` tells the comment of the moment, ``COMMENT`` where there is nothing to tell; it may be changed."""
        self.words = words
        self._task = asyncio.get_running_loop().create_task(self._run(call))

    async def end(self) -> None:
        """Nothing of it is sent any more."""
        self.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # a caller who has left is noticed elsewhere

    def cancel(self) -> None:
        self._task.cancel()

    async def _run(self, call: Call) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            if not call.opened:
                call.opened = True
                headers = [*own_headers(call), *stream_headers(call.dialect.stream_type.encode())]
                await call.send({"type": "http.response.start", "status": 200, "headers": headers})
            body = COMMENT if self.words is None else self.words()
            await call.send({"type": "http.response.body", "body": body, "more_body": True})


def stream_headers(content_type: bytes) -> RawHeaders:
    """What a stream says of itself."""
    return [(b"content-type", content_type), (b"cache-control", b"no-cache")]


def told_late(headers: RawHeaders) -> bytes:
    """Headers of a stream that is open already, as a comment."""
    return (
        b": "
        + b"; ".join(name + b"=" + value for name, value in headers if name.startswith(b"x-llmgw-"))
        + b"\n\n"
    )
