"""Bytes to and from upstreams over pooled connections; the only file that knows the HTTP client.

pyreqwest (Rust's reqwest) costs about a tenth of a millisecond of CPU a call where pure Python clients cost three.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BuilderError,
    ConnectError,
    PoolTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)

from llmgw.errors import UpstreamFailed, UpstreamTimeout

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from pyreqwest.http import HeaderMap
    from pyreqwest.request import StreamRequest
    from pyreqwest.response import Response

    from llmgw.providers.base import Headers

UNREACHABLE = "upstream_unreachable"
"""The code of a failure before any byte left, which therefore cannot have cost anything."""

REMEMBERED = 1000
"""URLs whose parts are kept."""

FIRST_MARK = 3_600
"""Seconds of the first line's keep-alive time; the next one has a second more."""

DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
KEEP_ALIVE_TIME: int = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", 0))
"""The socket option's name on Linux, and on macOS."""

STALE_SECONDS = 1.0
"""A kept connection that breaks off so soon, without a byte of reply, was closed before the call came."""

HANG_UP_SECONDS = 5.0
HANG_UP_PAUSE = 0.05

IDLE_SECONDS = 75.0
"""How long a line that nobody needs is kept: each holds about 150 kB, and its connection is closed after 50 s."""

MOST_IDLE = 256
"""Idle lines kept for one address."""

PRUNE_PAUSE = 15.0

MEGABYTE = 1_048_576


class HttpAnswer:
    """An upstream's reply as it arrives; ``close`` before the end cancels the upstream."""

    __slots__ = ("_line", "_most", "_open", "_request", "_response", "headers", "status")

    def __init__(self, line: _Line, request: StreamRequest, response: Response, most: int) -> None:
        """``most`` is the largest body that ``read`` takes, in bytes."""
        self._line = line
        self._most = most
        self._open = True
        self._request = request
        self._response = response
        self.status = response.status
        self.headers = _headers(response.headers)

    async def read(self) -> bytes:
        parts, size = [], 0
        while (chunk := await self.chunk()) is not None:
            parts.append(chunk)
            size += len(chunk)
            if size > self._most:
                await self.close()
                raise UpstreamFailed(
                    f"{self._line.where} sent an answer larger than {self._most / MEGABYTE:g} MB",
                    hint="raise `server.max_answer_mb` in llmgw.toml",
                )
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunk(self) -> bytes | None:
        try:
            chunk = await self._response.body_reader.read_chunk()
        except PyreqwestError as error:
            raise _failure(error, self._line.where) from error
        if chunk is None:
            self._over()
            return None
        return bytes(chunk)

    async def close(self) -> None:
        if self._open:
            self._over()
            with suppress(PyreqwestError):
                await self._request.__aexit__(None, None, None)

    def _over(self) -> None:
        self._open = False
        self._line.release()


class _Line:
    """A client that carries one call at a time, so its connection can be told from all others.

    The client cannot take back a request whose reply has not begun. Its socket can be shut, and is found by its
    keep-alive time, in which every line differs.
    """

    __slots__ = ("_free", "client", "idle_since", "left_at", "mark", "used", "where")

    def __init__(self, client: Client, mark: int, free: list[_Line], where: str) -> None:
        self.client = client
        self.mark = mark
        self.left_at = 0.0
        self.idle_since = 0.0
        self.used = False
        self._free = free
        self.where = where

    def release(self) -> None:
        self.idle_since = time.monotonic()
        self._free.append(self)


class Transport:
    """One pool of lines per upstream address and pair of timeouts; open until ``close``."""

    def __init__(self, most: int = 64 * MEGABYTE) -> None:
        """``most`` is the largest plain body of an upstream, in bytes."""
        self._most = most
        self._pools: dict[tuple[str, float, float], list[_Line]] = {}
        self._marks = count(FIRST_MARK)
        self._spare: list[int] = []
        self._lines: set[_Line] = set()
        self._left: dict[int, _Line] = {}
        self._hanging_up: asyncio.Task[None] | None = None
        self._pruning: asyncio.Task[None] | None = None
        self._building = ThreadPoolExecutor(1, "llmgw-lines")

    async def _line(self, url: str, connect_timeout: float, read_timeout: float) -> _Line:
        where = _origin(url)
        kind = (where, connect_timeout, read_timeout)
        free = self._pools.get(kind)
        if free is None:
            free = self._pools[kind] = []
        while not free:
            builder = _builder(url, connect_timeout, read_timeout)
            # The system takes no mark above 32,767.
            mark = self._spare.pop() if self._spare else next(self._marks)
            client = None
            try:
                client = await asyncio.get_running_loop().run_in_executor(
                    self._building, _client, builder, mark, free
                )
            finally:
                if client is None:
                    self._spare.append(mark)
            if client is not None:
                line = _Line(client, mark, free, where)
                self._lines.add(line)
                if self._pruning is None:
                    self._pruning = asyncio.get_running_loop().create_task(self._prune())
                return line
        return free.pop()

    async def _prune(self) -> None:
        """Close the lines that have been idle for long, and those that are too many; the latest used are kept."""
        while True:
            await asyncio.sleep(PRUNE_PAUSE)
            oldest = time.monotonic() - IDLE_SECONDS
            done: list[_Line] = []
            for free in self._pools.values():  # each in the order of release
                over = max(0, len(free) - MOST_IDLE, sum(line.idle_since < oldest for line in free))
                done += free[:over]
                del free[:over]
            self._lines.difference_update(done)
            for line in done:
                await line.client.close()
                self._spare.append(line.mark)

    async def send(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes | None = None,
        *,
        stream: bool = False,
        connect_timeout: float = 5.0,
        timeout: float = 600.0,  # noqa: ASYNC109 (a limit between bytes, not on the whole call)
    ) -> HttpAnswer:
        """The reply: once its headers are here with ``stream``, else once it is whole.

        UpstreamFailed when there is none, with the code ``upstream_unreachable`` when nothing was sent.
        """
        line = await self._line(url, connect_timeout, timeout)
        kept, line.used = line.used, True
        begun = time.monotonic()
        while True:
            try:
                return await self._ask(line, method, url, headers, body, stream=stream)
            except (PyreqwestError, ValueError) as error:
                if kept and isinstance(error, ConnectError) and time.monotonic() - begun < STALE_SECONDS:
                    kept = False  # the connection was kept open, and closed before our call came
                    continue
                line.release()
                raise _failure(error, line.where) from error
            except asyncio.CancelledError:
                self._leave(line)
                raise

    def _leave(self, line: _Line) -> None:
        """Nobody waits for this call any more: its connection is shut, if need be once it has been made."""
        loop = asyncio.get_running_loop()
        line.left_at = loop.time()
        self._left[line.mark] = line
        if self._hanging_up is None or self._hanging_up.done():
            self._hanging_up = loop.create_task(self._hang_up(loop))

    async def _hang_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """One walk over the descriptors for all that left meanwhile, however many they are."""
        while self._left:
            shut = _shut(self._left)
            oldest = loop.time() - HANG_UP_SECONDS
            for line in [each for each in self._left.values() if each.mark in shut or each.left_at < oldest]:
                del self._left[line.mark]
                line.release()
            await asyncio.sleep(HANG_UP_PAUSE)

    async def _ask(
        self, line: _Line, method: str, url: str, headers: Headers, body: bytes | None, *, stream: bool
    ) -> HttpAnswer:
        builder = line.client.request(method, url).headers(headers)
        if body is not None:
            builder = builder.body_bytes(body)
        # The client keeps back what fits into this: the whole of a plain reply, nothing of a stream.
        request = builder.streamed_read_buffer_limit(1 if stream else self._most + 1).build_streamed()
        return HttpAnswer(line, request, await request.__aenter__(), self._most)

    async def close(self) -> None:
        if self._pruning is not None:
            self._pruning.cancel()
        for line in self._lines:
            await line.client.close()
        self._lines.clear()
        self._pools.clear()
        self._building.shutdown(wait=False)


def _builder(url: str, connect_timeout: float, read_timeout: float) -> ClientBuilder:
    builder = (
        ClientBuilder()
        .connect_timeout(timedelta(seconds=connect_timeout))
        .read_timeout(timedelta(seconds=read_timeout))
        .pool_idle_timeout(timedelta(seconds=50))
        .pool_max_idle_per_host(1)
        .http1_only()
        .follow_redirects(False)
        .default_cookie_store(False)
        .referer(False)
        .tcp_nodelay(True)
    )
    # A proxy from the environment is for the internet; a model on this machine is never behind it.
    return builder.no_proxy() if is_loopback(url) else builder


def _client(builder: ClientBuilder, mark: int, free: list[_Line]) -> Client | None:
    """Made in a thread: it reads the certificates of the system, for which an event loop cannot wait.

    None where a line has become free meanwhile.
    """
    return None if free else builder.tcp_keepalive(timedelta(seconds=mark)).build()


def _headers(received: HeaderMap) -> Headers:
    try:
        return list(received.items())
    except ValueError:  # a value that is not ASCII: that header is left out, the others count
        return [(name, value) for name in dict.fromkeys(received) for value in _ascii_values(received, name)]


def _ascii_values(headers: HeaderMap, name: str) -> Sequence[str]:
    try:
        return headers.getall(name)
    except ValueError:
        return ()


def _shut(marks: Container[int]) -> set[int]:
    """Shut the connections that bear one of these marks; the marks that were found.

    No descriptor is copied, and so none is closed: to close any copy of a file's drops every lock that this process
    has on it, and a database without its locks loses what is written.
    """
    found = set()
    for name in os.listdir(DESCRIPTORS):  # noqa: PTH208 (names are numbers here, not paths)
        with suppress(OSError):  # a file, a listening socket, a connection that has just ended
            connection = socket.socket(fileno=int(name))
            try:
                mark = connection.getsockopt(socket.IPPROTO_TCP, KEEP_ALIVE_TIME)
                if mark in marks:
                    found.add(mark)
                    connection.shutdown(socket.SHUT_RDWR)
            finally:
                connection.detach()
    return found


_loopback: dict[str, bool] = {}
_origins: dict[str, str] = {}


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine by ``localhost`` or a loopback address."""
    known = _loopback.get(url)
    if known is None:
        host = urlsplit(url).hostname or ""
        try:
            known = host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            known = False
        if len(_loopback) < REMEMBERED:
            _loopback[url] = known
    return known


def _origin(url: str) -> str:
    """Host and port of a URL, without a password that may stand in it."""
    known = _origins.get(url)
    if known is None:
        known = urlsplit(url).netloc.rpartition("@")[2]
        if len(_origins) < REMEMBERED:
            _origins[url] = known
    return known


def _failure(error: PyreqwestError | ValueError, where: str) -> UpstreamFailed:
    """What went wrong in our words; the client's own text may hold a URL with a key in it, so it is not repeated."""
    if isinstance(error, BuilderError) or not isinstance(error, PyreqwestError):
        return UpstreamFailed(f"cannot build a request for {where}", code=UNREACHABLE)
    # A reply that does not begin in time is reported as a connection that was not made in time; the causes differ.
    connecting = any("(Connect)" in str(cause) for cause in error.args[1:])
    if connecting or isinstance(error, PoolTimeoutError):
        return UpstreamFailed(f"cannot connect to {where}", code=UNREACHABLE)
    if isinstance(error, RequestTimeoutError):
        return UpstreamTimeout(f"{where} sent nothing for too long")
    return UpstreamFailed(f"the connection to {where} broke off")
