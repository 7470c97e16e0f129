"""uvicorn as this gateway needs it: a second signal cuts what the first would drain, and what is no HTTP is told so in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llmgw.errors import BadRequest, GatewayError
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from types import FrameType

LARGEST_HEAD = 256 * 1024
"""Bytes of request line and headers; far more than any client sends, and nobody has shown a key yet."""


class Server(uvicorn.Server):
    """``hurry`` turns True with the second signal, after which nobody wants to wait for calls under way."""

    hurry = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.hurry = True
        else:
            super().handle_exit(sig, frame)


class Protocol(HttpToolsProtocol):
    """One connection. It is closed when its head grows too large, or when it is begun and then left alone."""

    _head = 0

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
