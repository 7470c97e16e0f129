"""uvicorn as this gateway needs it: a second signal cuts what the first would drain, and what is no HTTP is told so in JSON."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from llmgw.errors import BadRequest, GatewayError
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle, Transport
    from collections.abc import Awaitable
    from types import FrameType

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

UNSENT: int | None = None
"""Asks the system how many bytes of a connection it still keeps; None where it cannot tell."""
with suppress(ImportError):
    import fcntl
    from termios import TIOCOUTQ

    UNSENT = TIOCOUTQ

LARGEST_HEAD = 256 * 1024
"""Bytes of request line and headers; far more than any client sends, and nobody has shown a key yet."""


LENGTH = b"content-length"
CONTROLS = bytes((*range(9), *range(10, 32), 127))
"""What no header may hold; two of them end each line."""


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


class Turn:
    """The connections that were written to within this turn of the event loop, all of which send at its end.

    So those who wait for a commit together have their answers together, and what they ask next can share one, too.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._written: list[Gathering] = []

    def add(self, transport: Gathering) -> None:
        if not self._written:
            self._loop.call_soon(self._end)
        self._written.append(transport)

    def _end(self) -> None:
        written, self._written = self._written, []
        for transport in written:
            with suppress(RuntimeError):  # uvloop's, of a connection that has ended since
                transport.flush()


class Gathering:
    """A transport that keeps what is written within one turn of the loop, so that a reply leaves in one piece.

    uvicorn writes head and body apart, each a system call of its own, which on a loopback also runs the reader.
    """

    __slots__ = ("_parts", "_transport", "_turn")

    def __init__(self, transport: Transport, turn: Turn) -> None:
        self._transport = transport
        self._turn = turn
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._turn.add(self)
        self._parts.append(data)

    def flush(self) -> None:
        parts, self._parts = self._parts, []
        if len(parts) == 1:
            self._transport.write(parts[0])
        elif parts:
            self._transport.writelines(parts)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + sum(map(len, self._parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Reply:
    """Sends the answer to one call. A whole one, whose head tells its length and whose body comes at once, is one write.

    uvicorn sends all others; it looks into each header for what would break a head, and writes every piece apart.
    """

    __slots__ = ("_app", "_cycle", "_head")

    def __init__(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._cycle = cycle
        self._app = app
        self._head: Any = None

    def __call__(self, scope: Any, receive: Any, _send: Any) -> Awaitable[None]:
        return self._app(scope, receive, self._reply)

    async def _reply(self, message: Any) -> None:
        head = self._head
        if head is not None:
            self._head = None
            if not message.get("more_body") and self._write(head, message.get("body", b"")):
                return
            await self._cycle.send(head)
        elif message["type"] == "http.response.start" and LENGTH in dict(message["headers"]):
            self._head = message
            return
        await self._cycle.send(message)

    def _write(self, head: Any, body: bytes) -> bool:
        cycle = self._cycle
        headers = [*cycle.default_headers, *head["headers"]]
        told = dict(headers)
        if (
            told[LENGTH] != b"%d" % len(body)
            or b"connection" in told
            or not cycle.keep_alive
            or cycle.response_started
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        text = b"".join([STATUS_LINE[head["status"]], *[b"%b: %b\r\n" % pair for pair in headers], b"\r\n"])
        if len(text) - len(text.translate(None, CONTROLS)) != 2 * len(headers) + 4:
            return False  # which is told so
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(text + body)
        cycle.message_event.set()
        cycle.on_response()
        return True


class Protocol(HttpToolsProtocol):
    """One connection. It is closed when its head grows too large, or when it is begun and then left alone.

    So it is when nothing of an answer is taken for ``write_timeout`` seconds: its call ends as if its caller had left.
    """

    _head = 0
    _quiet_since: float | None = None
    """When the last byte of an answer, or of a head that is under way, came; None while there is something to do."""
    _stalling: TimerHandle | None = None

    def __init__(self, *given: Any, write_timeout: float, turn: Turn, **named: Any) -> None:
        super().__init__(*given, **named)
        self._write_timeout = write_timeout
        self._turn = turn

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("Transport", Gathering(transport, self._turn)))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        super()._start_asgi_task(cycle, Reply(cycle, app))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._heed_no_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._heed_no_reader()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def on_response_complete(self) -> None:
        """As uvicorn does it, with one timer a connection instead of one an answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._await_caller()

    def _unset_keepalive_if_required(self) -> None:
        self._quiet_since = None

    def _await_caller(self) -> None:
        self._quiet_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._quiet_since is None:
            return
        left = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

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
        else:
            self._await_caller()

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
