"""Feeds say how they are, come back by themselves, and replay what was."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest
from support.beats import AT, canned
from support.gateway import RunningGateway, upstream
from support.raw import RawServer

from llmgw.client.feed import STALE_SECONDS, Feed, State
from llmgw.client.feed_live import Address, Live
from llmgw.client.feed_replay import RecordedPast, RemotePast, Replaying
from llmgw.client.past import LedgerPast, Past
from llmgw.domain.pulse import History
from llmgw.errors import BadRequest, NotFound
from llmgw.rules.picture import SECOND, Picture, total
from llmgw.service import pulsing
from llmgw.storage.database import Database

BODY = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second for each second between two pulses."""
    monkeypatch.setattr(pulsing, "SECOND", 0.1)


class Viewer:
    """Takes a feed into a picture, in the background of an event loop."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.picture = Picture()
        self.histories: list[History] = []
        self.states: list[State] = []
        self.task = asyncio.create_task(self._view())

    async def _view(self) -> None:
        async for beat in self.feed:
            if isinstance(beat, History):
                self.histories.append(beat)
            self.picture.take(beat)
            self.states.append(self.feed.state)

    async def until(self, so: Callable[[], Any], seconds: float = 8) -> float:
        began = time.monotonic()
        while not so():
            assert time.monotonic() - began < seconds, (self.feed.state, self.feed.words)
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def close(self) -> None:
        await self.feed.close()
        await asyncio.wait_for(self.task, 2)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def call(gateway: RunningGateway, count: int = 1) -> None:
    for _ in range(count):
        reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=BODY)
        assert reply.status_code == 200


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path, [upstream("echo", "echo:")]) as running:
        yield running


def test_dies_and_comes_back(tmp_path: Path) -> None:
    """A gateway that ends is down within three seconds, with its past in sight; one that is back is seen by itself."""

    async def play() -> None:
        port, there = free_port(), [True]
        url = f"http://127.0.0.1:{port}"

        def find() -> Address | None:
            return Address(url, "test-secret-of-the-gateway") if there[0] else None

        def past(window: str) -> History:
            with Database.open(tmp_path / "llmgw.db", readonly=True) as database:
                return LedgerPast(database, ZoneInfo("UTC")).history(window)

        feed = Live("this machine", find, past=past)
        viewer = Viewer(feed)
        assert feed.state is State.CONNECTING
        running = RunningGateway(tmp_path, [upstream("echo", "echo:")], port=port)
        await asyncio.to_thread(running.__enter__)
        await viewer.until(lambda: feed.state is State.LIVE)
        await asyncio.to_thread(call, running, 3)
        await viewer.until(lambda: total(viewer.picture.today()).requests == 3)
        boot = viewer.picture.standing.process.boot
        there[0] = False
        await asyncio.to_thread(running.__exit__)
        assert await viewer.until(lambda: feed.state is State.DOWN) < 3
        await viewer.until(lambda: "not running" in feed.words)
        await viewer.until(lambda: viewer.picture.standing.process.boot == "")
        assert total(viewer.picture.today()).requests == 3
        there[0] = True
        running = RunningGateway(tmp_path, [upstream("echo", "echo:")], port=port)
        await asyncio.to_thread(running.__enter__)
        await viewer.until(lambda: feed.state is State.LIVE)
        assert feed.words == ""
        assert viewer.picture.standing.process.boot not in {"", boot}
        await asyncio.to_thread(call, running)
        await viewer.until(lambda: total(viewer.picture.today()).requests == 4)
        await viewer.close()
        await asyncio.to_thread(running.__exit__)

    asyncio.run(play())


def test_another_window(gateway: RunningGateway) -> None:
    """A window that is set is followed by its history; none is refused."""

    async def play() -> None:
        feed = Live("here", lambda: Address(gateway.url, gateway.token), "5m")
        viewer = Viewer(feed)
        await viewer.until(lambda: viewer.picture.window == "5m" and viewer.histories)
        feed.set_window("7d")
        assert await viewer.until(lambda: viewer.picture.window == "7d") < 2
        assert feed.state is State.LIVE
        with pytest.raises(BadRequest, match="there is no window `2h`"):
            feed.set_window("2h")
        await viewer.close()

    asyncio.run(play())


def words_of(address: Address | None, **more: Any) -> str:
    """What a feed says that cannot connect."""

    async def play() -> str:
        feed = Live("there", lambda: address, **more)
        viewer = Viewer(feed)
        await viewer.until(lambda: feed.state is State.DOWN)
        await viewer.close()
        return feed.words

    return asyncio.run(play())


def test_words(gateway: RunningGateway) -> None:
    """Whatever keeps a feed from connecting is said in words that help, and never with the key."""
    with gateway.control as control:
        _, plain = control.create("plain")
    said = {
        "not running": None,
        "is not known to the gateway": Address(gateway.url, "lgw_wrong-key-of-nobody"),
        "no admin rights": Address(gateway.url, plain),
        "no gateway answers at": Address(f"http://127.0.0.1:{free_port()}", "lgw_secret"),
        "unencrypted": Address("http://192.0.2.1:8000", "lgw_secret"),
    }
    for expected, address in said.items():
        words = words_of(address)
        assert expected in words
        assert "lgw_" not in words
    with RawServer(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\ndata: <html>\n\n") as other:
        assert "cannot be read" in words_of(Address(other.url, "lgw_secret"))


@pytest.mark.slow
def test_silent(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that says nothing for three seconds is stale, and live again with its next word."""

    async def play() -> None:
        feed = Live("here", lambda: Address(gateway.url, gateway.token))
        viewer = Viewer(feed)
        await viewer.until(lambda: len(viewer.states) > 2)
        monkeypatch.setattr(pulsing, "SECOND", STALE_SECONDS + 0.7)
        await viewer.until(lambda: feed.state is State.STALE)
        assert (feed.since or 0) > STALE_SECONDS
        monkeypatch.setattr(pulsing, "SECOND", 0.1)
        await viewer.until(lambda: feed.state is State.LIVE)
        await viewer.close()

    asyncio.run(play())


def test_closed() -> None:
    """A feed that is closed ends for whoever reads it, and stays so."""

    async def play() -> None:
        feed = Live("nowhere", lambda: None)
        viewer = Viewer(feed)
        await asyncio.sleep(0.1)
        await viewer.close()
        await feed.close()
        assert [beat async for beat in feed] == []

    asyncio.run(play())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_replay(gateway: RunningGateway, elsewhere: bool) -> None:
    """What was can be seen again, from any moment on and as fast as one likes; in the end it is what is there now."""

    async def play() -> None:
        began = time.time_ns()
        call(gateway, 3)
        await asyncio.sleep(0.3)
        middle = time.time_ns()
        call(gateway, 4)
        await asyncio.sleep(0.3)
        call(gateway, 2)
        ends = time.time_ns()
        past: Past
        if elsewhere:
            past = RemotePast(Address(gateway.url, gateway.token))
        else:
            past = LedgerPast(Database.open(gateway.database, readonly=True), ZoneInfo("UTC"))
        feed = Replaying("here", past, began, ends, "5m", speed=20)
        viewer = Viewer(feed)
        await viewer.until(lambda: feed.state is State.ENDED)
        await viewer.until(lambda: total(viewer.picture.today()).requests == 9)
        assert State.REPLAY in viewer.states
        assert total(viewer.histories[0].today).requests == 0
        assert total(viewer.picture.in_window()).requests == 9
        assert feed.at == ends

        feed.set_speed(0)
        feed.seek(middle)
        await viewer.until(lambda: len(viewer.histories) == 2 and viewer.picture.now == middle)
        assert total(viewer.picture.today()).requests == 3
        await asyncio.sleep(0.7)
        assert total(viewer.picture.today()).requests == 3
        feed.set_window("24h")
        await viewer.until(lambda: viewer.picture.window == "24h")
        feed.set_speed(30)
        await viewer.until(lambda: total(viewer.picture.in_window()).requests == 9)
        feed.seek(0)
        await viewer.until(lambda: len(viewer.histories) == 4)
        assert viewer.histories[-1].at == began
        await viewer.close()

    asyncio.run(play())


def test_replay_from_elsewhere_without_a_key(gateway: RunningGateway) -> None:
    """A replay that cannot be read says why."""

    async def play() -> None:
        feed = Replaying("there", RemotePast(Address(gateway.url, "wrong")), 1, 2)
        viewer = Viewer(feed)
        await viewer.until(lambda: feed.state is State.DOWN)
        assert "not known to the gateway" in feed.words
        await viewer.close()

    asyncio.run(play())


def test_recorded(tmp_path: Path) -> None:
    """Beats that were recorded play again, also such as curl kept; whatever else a file holds is refused."""
    beats, encode = canned(6), msgspec.json.encode
    plain, kept = tmp_path / "beats.jsonl", tmp_path / "curl.txt"
    plain.write_bytes(b"".join(encode(beat) + b"\n" for beat in beats))
    kept.write_bytes(b"".join(b"event: x\ndata: %b\n\n: keep-alive\n\n" % encode(beat) for beat in beats))
    wanted = Picture()
    for beat in beats:
        wanted.take(beat)

    async def play(path: Path) -> None:
        past = RecordedPast(path)
        assert (past.began, past.ends, past.window) == (AT, AT + 6 * SECOND, "1h")
        feed = Replaying(path.name, past, past.began, past.ends, speed=60)
        viewer = Viewer(feed)
        await viewer.until(lambda: viewer.picture.now == past.ends)
        assert viewer.picture.today() == wanted.today()
        assert viewer.picture.under_way == wanted.under_way
        assert viewer.picture.standing == wanted.standing
        feed.set_speed(0)
        feed.seek(AT + 3 * SECOND)
        await viewer.until(lambda: viewer.picture.now == AT + 3 * SECOND)
        assert total(viewer.picture.today()).requests == total(wanted.today()).requests - 36
        await viewer.close()

    for path in (plain, kept):
        asyncio.run(play(path))
    (tmp_path / "other").write_text('{"type": "else"}\n')
    with pytest.raises(BadRequest, match="something else than beats"):
        RecordedPast(tmp_path / "other")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(BadRequest, match="no recorded beats"):
        RecordedPast(tmp_path / "empty")
    with pytest.raises(NotFound, match="no such file"):
        RecordedPast(tmp_path / "none")
