"""How answers leave: whole ones at a stroke and as uvicorn would write them, and what becomes of connections at rest."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llmgw.service.run import bind
from llmgw.service.server import Gathering, Protocol, Server, Turn

JSON = (b"content-type", b"application/json")
WHOLE = [JSON, (b"content-length", b"5")]


def replying(status=200, headers=WHOLE, bodies=(b"hello",), *, listen=True):
    """An application that answers so, having read what it was sent or not."""

    async def app(_scope, receive, send):
        if listen:
            await receive()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for left, body in zip(reversed(range(len(bodies))), bodies, strict=True):
            await send({"type": "http.response.body", "body": body, "more_body": left > 0})

    return app


REPLIES = {
    "whole": replying(),
    "empty": replying(204, [], (b"",)),
    "nothing": replying(200, [(b"content-length", b"0")], (b"",)),
    "error": replying(404),
    "pieces": replying(200, WHOLE, (b"hel", b"lo")),
    "stream": replying(200, [JSON], (b"data: 1\n\n", b"data: 2\n\n", b"")),
    "closing": replying(200, [*WHOLE, (b"connection", b"close")]),
    "too long": replying(200, WHOLE, (b"hello you",)),
    "too short": replying(200, WHOLE, (b"hell",)),
    "broken head": replying(200, [(b"x-evil", b"1\r\nx-other: 2"), *WHOLE]),
    "bare feed": replying(200, [(b"x-evil", b"1\n"), *WHOLE]),
    "control": replying(200, [(b"x-evil", b"a\x00"), *WHOLE]),
    "deaf": replying(listen=False),
}
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"
REQUESTS = {
    "post": POST,
    "last": POST.replace(b"host: x", b"host: x\r\nconnection: close"),
    "old": POST.replace(b"1.1", b"1.0"),
    "head": b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n",
    "expecting": POST.replace(b"host: x", b"host: x\r\nexpect: 100-continue"),
    "two at once": POST + POST,
}


@asynccontextmanager
async def serving(app, protocol, **options):
    server = Server(
        uvicorn.Config(
            app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            **options,
        )
    )  # fmt: skip
    listener = bind("127.0.0.1", 0)
    task = asyncio.create_task(server.serve([listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.002)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


def ours():
    return partial(Protocol, write_timeout=60, turn=Turn(asyncio.get_running_loop()))


async def exchange(port, request):
    """Everything that comes back until nothing more does; the time of day cannot be the same twice."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    got = b""
    with suppress(TimeoutError):
        while chunk := await asyncio.wait_for(reader.read(65536), 0.2):
            got += chunk
    writer.close()
    return re.sub(rb"date: [^\r]*", b"date: ?", got)


@pytest.mark.parametrize("reply", REPLIES)
def test_replies_are_those_of_uvicorn(reply, caplog):
    """Byte for byte, whatever an application sends and a caller asks; what uvicorn refuses to send is refused."""
    caplog.set_level(logging.CRITICAL)

    async def journey():
        said = []
        for protocol in (HttpToolsProtocol, ours()):
            async with serving(REPLIES[reply], protocol) as port:
                said.append(await asyncio.gather(*(exchange(port, each) for each in REQUESTS.values())))
        assert said[0] == said[1]

    asyncio.run(journey())


def test_a_whole_reply_is_one_write(monkeypatch):
    """Head and body are put together before anything is handed over."""
    written = []
    write = Gathering.write
    monkeypatch.setattr(Gathering, "write", lambda self, data: (written.append(data), write(self, data)))

    async def journey():
        async with serving(replying(), ours()) as port:
            await exchange(port, POST)

    asyncio.run(journey())
    [reply] = written
    assert reply.startswith(b"HTTP/1.1 200")
    assert reply.endswith(b"hello")


def test_who_has_left_keeps_nobody_from_an_answer():
    """Of those that are answered in one turn, one whose connection has just ended is passed over."""
    sent = []

    class Gone:
        def write(self, _data):
            raise RuntimeError("the handler is closed")

    class There:
        def write(self, data):
            sent.append(data)

    async def journey():
        turn = Turn(asyncio.get_running_loop())
        for transport in (There(), Gone(), There()):
            Gathering(transport, turn).write(b"hello")
        await asyncio.sleep(0.01)

    asyncio.run(journey())
    assert sent == [b"hello"] * 2


def test_who_fails_before_the_body_has_said_nothing():
    """A head that was to go out with its body is not sent without it: the caller hears of the failure."""

    async def failing(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": WHOLE})
        raise ValueError

    async def journey():
        async with serving(failing, ours()) as port:
            assert (await exchange(port, POST)).startswith(b"HTTP/1.1 500")

    asyncio.run(journey())


def test_a_connection_at_rest_is_closed():
    """It is closed its time after the last answer, not after the first; and never while a call is under way."""

    async def slowly(scope, receive, send):
        await asyncio.sleep(0.5)
        await replying()(scope, receive, send)

    async def journey():
        for app, pause in ((replying(), 0.2), (slowly, 0)):
            async with serving(app, ours(), timeout_keep_alive=0.3) as port:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                for _ in range(3):
                    writer.write(POST)
                    assert (await reader.readuntil(b"hello")).endswith(b"hello")
                    since = time.monotonic()
                    await asyncio.sleep(pause)
                assert await asyncio.wait_for(reader.read(), 5) == b""
                assert 0.29 < time.monotonic() - since < 3
                writer.close()

    asyncio.run(journey())


def test_a_head_that_stops_halfway_is_given_up():
    """Whoever begins a head has its time for the rest of it, counted from the last byte that came."""

    async def journey():
        async with serving(replying(), ours(), timeout_keep_alive=0.3) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for piece in (b"POST / HTTP/1.1\r\n", b"host: x\r\n", b"x-more: "):
                writer.write(piece)
                since = time.monotonic()
                await asyncio.sleep(0.2)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            assert 0.29 < time.monotonic() - since < 3
            writer.close()

    asyncio.run(journey())
