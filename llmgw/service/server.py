"""uvicorn as this gateway needs it: a second signal cuts what the first would drain, and what is no HTTP is told so in JSON."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llmgw.errors import BadRequest, GatewayError
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle, Transport
    from types import FrameType

UNSENT: int | None = None
"""Asks the system how many bytes of a connection it still keeps; None where it cannot tell."""
with suppress(ImportError):
    import fcntl
    from termios import TIOCOUTQ

    UNSENT = TIOCOUTQ

LARGEST_HEAD = 256 * 1024
"""Bytes of request line and headers; far more than any client sends, and nobody has shown a key yet."""


class Server(uvicorn.Server):
    """``stopping`` is set once it takes no more calls.

    ``hurry`` turns True with the second signal, after which nobody wants to wait for calls under way.
    """

    hurry = False

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        await super().main_loop()
        self.stopping.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.hurry = True
        else:
            super().handle_exit(sig, frame)


class Gathering:
    """A transport that keeps what is written within one turn of the loop, so that a reply leaves in one piece.

    uvicorn writes head and body apart, each a system call of its own, which on a loopback also runs the reader.
    """

    __slots__ = ("_loop", "_parts", "_transport")

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if len(parts) == 1:
            self._transport.write(parts[0])
        elif parts:
            self._transport.writelines(parts)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + sum(map(len, self._parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """One connection. It is closed when its head grows too large, or when it is begun and then left alone.

    So it is when nothing of an answer is taken for ``write_timeout`` seconds: its call ends as if its caller had left.
    """

    _head = 0
    _stalling: TimerHandle | None = None

    def __init__(self, *given: Any, write_timeout: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self._write_timeout = write_timeout

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("Transport", Gathering(transport, self.loop)))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._heed_no_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._heed_no_reader()

    def _await_reader(self) -> None:
        self._stalling = self.loop.call_later(self._write_timeout, self._look_at_reader, self._unread())

    def _look_at_reader(self, before: int) -> None:
        if self._unread() < before:
            self._await_reader()
        else:
            self.transport.abort()

    def _unread(self) -> int:
        """Bytes that the caller has not taken: those that wait here, and those that the system keeps for it."""
        waiting = self.transport.get_write_buffer_size()
        if UNSENT is not None:
            with suppress(OSError):
                answer = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), UNSENT, bytes(4))
                waiting += int.from_bytes(answer, sys.byteorder)
        return waiting

    def _heed_no_reader(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.scope is None or "method" in self.scope:  # no head is under way
            self._head = 0
            return
        self._head += len(data)
        if self._head > LARGEST_HEAD:
            self._refuse(BadRequest("the request's headers are too large", status=431))
        elif self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest(msg[:1].lower() + msg[1:].rstrip("."), hint="this port speaks HTTP/1.1"))

    def _refuse(self, error: GatewayError) -> None:
        asked = self.url if self.scope else b""
        dialect = caller_dialect("anthropic" if asked.startswith(b"/v1/messages") else "openai_chat")
        body = dialect.render_error(error, "")
        self.transport.write(
            b"HTTP/1.1 %d Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (error.status, len(body), body)
        )
        self.transport.close()
