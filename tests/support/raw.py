"""Bytes on bare sockets, for what no proper client or server would say."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import Self


def converse(port: int, sent: bytes, seconds: float = 5) -> bytes:
    """All that a server on loopback says to these bytes, until it closes or has been silent for so long."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection, suppress(OSError):
        connection.sendall(sent)
        while data := connection.recv(1 << 16):
            said += data
    return said


def reply(body: bytes, status: int = 200, kind: str = "application/json", *headers: bytes) -> bytes:
    """An HTTP reply whose head is right."""
    head = b"HTTP/1.1 %d Any\r\ncontent-type: %s\r\n" % (status, kind.encode("latin-1"))
    return (
        head + b"".join(line + b"\r\n" for line in headers) + b"content-length: %d\r\n\r\n" % len(body) + body
    )


class RawServer:
    """Answers every request with ``says``, whatever that is, and closes ``closes_after`` seconds later (None: never).

    ``asked`` counts requests, ``heads`` keeps what came before their bodies.
    """

    def __init__(self, says: bytes = b"", *, closes_after: float | None = 0) -> None:
        self.says = says
        self.closes_after = closes_after
        self.heads: list[bytes] = []

    @property
    def asked(self) -> int:
        return len(self.heads)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with suppress(OSError):
                    while head := self._head():
                        outer.heads.append(head)
                        self.wfile.write(outer.says)
                        if outer.closes_after is not None:
                            time.sleep(outer.closes_after)
                            return

            def _head(self) -> bytes:
                head, length = b"", 0
                while line := self.rfile.readline():
                    head += line
                    if line.lower().startswith(b"content-length:"):
                        length = int(line[15:])
                    if line == b"\r\n":
                        self.rfile.read(length)
                        return head
                return b""

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
