"""The ground under every fake upstream: a loopback HTTP/1.1 server in a thread that records what it is asked.

    with FakeOpenAI() as upstream:                 # or FakeAnthropic, FakeOllama
        upstream.behave(status=429, headers={"retry-after": "7"})   # the next request only; may be called repeatedly
        upstream.default = Behaviour(text="always this")            # every request that no `behave` is left for
        ... call upstream.url ...
        assert upstream.requests[-1].json["model"] == "gpt-4o"

It is written on bare sockets because a test wants what servers forbid: half a chunk, a connection that dies, silence.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator


@dataclass(frozen=True)
class Request:
    """What came in; header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Behaviour:
    """How to answer one chat call. Every fake reads the fields that its protocol knows.

    ``usage_in`` says where a stream tells its tokens; the words are listed in each fake's docstring.
    ``tool_calls`` are pairs of a name and its arguments. ``cut_after``, ``error_after`` and ``hang_after`` count
    streamed events (0: before the first). ``raw`` replays these bytes as they are, in pieces of ``raw_piece``.
    """

    text: str = "Hello from the fake upstream."
    thinking: str = ""
    tool_calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    input_tokens: int = 11
    output_tokens: int = 7
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    usage_in: str = ""
    finish: str = ""
    status: int = 200
    error: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    latency: float = 0.0
    chunk_delay: float = 0.0
    hang: bool = False
    cut_after: int | None = None
    error_after: int | None = None
    hang_after: int | None = None
    gzip: bool = False
    raw: bytes | None = None
    raw_type: str = ""
    raw_piece: int = 1 << 20


@dataclass
class Reply:
    """A plain reply when ``body`` is bytes, else a chunked one with a chunk for each event."""

    body: bytes | Iterable[bytes]
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON reply; underscores in header names stand for dashes."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(json.dumps(value, ensure_ascii=False).encode(), status, headers=named)


def words(text: str) -> list[str]:
    """Pieces of a text as a model streams them: a word with the white space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def pieces(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[start : start + size] for start in range(0, len(raw), size))


class FakeServer:
    """Subclasses answer in ``chat`` and ``other``; ``chat_paths`` tells which is which.

    ``cancelled`` counts callers who left before their answer was whole; ``active`` is how many wait right now.
    ``wanted_port`` is where it listens, 0 takes a free one.
    """

    chat_paths: tuple[str, ...] = ()

    def __init__(self, *, credential: str = "", models: tuple[str, ...] = ("fake-model",)) -> None:
        """With a ``credential`` calls without it are refused; ``models`` are listed, and checked where named."""
        self.credential = credential
        self.models = models
        self.requests: list[Request] = []
        self.default = Behaviour()
        self.cancelled = 0
        self.wanted_port = 0
        self.active = 0
        self._next: deque[Behaviour] = deque()
        self._ready = threading.Event()
        self._connections: set[asyncio.Task[None]] = set()

    def chat(self, request: Request, how: Behaviour) -> Reply:
        """The answer to a chat call; ``status`` and failures are already dealt with."""
        return self.other(request)

    def other(self, request: Request) -> Reply:
        """The answer to anything else."""
        return self.error(404, f"nothing at {request.path}")

    def error(self, status: int, message: str = "", kind: str = "") -> Reply:
        """An error reply in this protocol's shape."""
        return json_reply({"error": message or kind}, status)

    def error_event(self, message: str) -> bytes:
        """An error inside a stream, in this protocol's shape."""
        return json.dumps({"error": message}).encode() + b"\n"

    def refused(self, request: Request) -> Reply | None:
        """A refusal of the caller's credential, if any."""
        given = {request.headers.get("x-api-key"), request.headers.get("authorization")}
        if not self.credential or given & {self.credential, f"Bearer {self.credential}"}:
            return None
        return self.error(401)

    def behave(self, **fields: Any) -> None:
        """Answer one further chat call like ``default`` with these fields changed; calls queue up."""
        self._next.append(replace(self.default, **fields))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def chats(self) -> list[Request]:
        """The chat calls among ``requests``."""
        return [request for request in self.requests if request.path in self.chat_paths]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.wanted_port, limit=1 << 24)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while request := await self._read(reader):
                    await self._answer(request, reader, writer)
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            body = await reader.readexactly(int(headers.get("content-length") or 0))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        url = urlsplit(target)
        request = Request(method, url.path, url.query, headers, body)
        self.requests.append(request)
        return request

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Send the reply, and stop at once when the caller hangs up meanwhile."""
        self.active += 1
        sending = asyncio.ensure_future(self._send(request, writer))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() or isinstance(sending.exception(), ConnectionError):
                self.cancelled += 1
                raise ConnectionResetError
            if sending.result():
                raise ConnectionResetError
            if leaving.done() and not leaving.result():
                raise ConnectionResetError
        finally:
            self.active -= 1
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Send the reply; True when the connection must die after it."""
        chat = request.method == "POST" and request.path in self.chat_paths
        how = (self._next.popleft() if self._next else self.default) if chat else Behaviour()
        await asyncio.sleep(how.latency)
        if how.hang:
            await asyncio.Event().wait()
        reply = self.refused(request)
        if reply is None:
            reply = self._behaved(request, how) if chat else self.other(request)
        headers = {"content-type": reply.content_type, **reply.headers, **how.headers}
        head = f"HTTP/1.1 {reply.status} Fake\r\n"
        if isinstance(reply.body, bytes):
            body = gzip.compress(reply.body) if how.gzip else reply.body
            if how.gzip:
                headers["content-encoding"] = "gzip"
            headers["content-length"] = str(len(body))
            whole = how.cut_after is None
            head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
            writer.write(head.encode("latin-1") + (body if whole else body[: len(body) // 2]))
            await writer.drain()
            return not whole
        headers["transfer-encoding"] = "chunked"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        writer.write(head.encode("latin-1"))
        async for event in self._events(reply.body, how):
            if event is None:
                await writer.drain()
                return True
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return False

    def _behaved(self, request: Request, how: Behaviour) -> Reply:
        if how.status >= 400:
            return self.error(how.status, how.error)
        if how.raw is not None:
            kind = how.raw_type or "application/json"
            body = how.raw if kind == "application/json" else pieces(how.raw, how.raw_piece)
            return Reply(body, content_type=kind)
        return self.chat(request, how)

    async def _events(self, events: Iterable[bytes], how: Behaviour) -> AsyncIterator[bytes | None]:
        """The events with ``how``'s disasters among them; None means that the connection dies here."""
        for count, event in enumerate(events):
            if how.chunk_delay and count:
                await asyncio.sleep(how.chunk_delay)
            if count == how.hang_after:
                await asyncio.Event().wait()
            if count == how.error_after:
                yield self.error_event(how.error or "the fake upstream broke")
                return
            if count == how.cut_after:
                yield None
                return
            yield event
