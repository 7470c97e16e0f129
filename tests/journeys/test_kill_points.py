"""`kill -9` at each point between hold and settlement: nothing is free, nothing is charged twice, nothing stays held.

With a crowd at each point: ``pytest -m slow tests/journeys/test_kill_points.py``.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from support.budgets import Budgeted, budget
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import upstream
from support.process import GatewayProcess
from support.program import Program

MODEL = "gpt-4o-mini"
CALL = {"model": MODEL, "max_tokens": 7, "messages": [{"role": "user", "content": "hi"}]}
SAID = Behaviour(input_tokens=4_000, output_tokens=7)
COST = 604_200
"""Nano-dollars of an answer of the fake."""
NESTED = ("all", "tenant:acme", "key:ci", "tag:batch", f"model:{MODEL}")
LONG = "x" * 6_000_000
"""An answer that does not fit into the buffers on the way to a caller who does not read."""


class Caller:
    """One call on a bare socket, read only as far as asked."""

    def __init__(self, gateway: GatewayProcess, token: str, model: str, stream: bool) -> None:
        body = json.dumps(CALL | {"model": model, "stream": stream}).encode()
        self.said = b""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(20)
        self._socket.connect(("127.0.0.1", httpx.URL(gateway.url).port))
        self._socket.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b" % (token.encode(), len(body), body)
        )

    def read_to(self, events: int) -> None:
        while self.said.count(b'"delta"') < events:
            self._read()

    def rest(self) -> bytes:
        """Everything that came before the connection broke."""
        try:
            while self._read():
                pass
        except OSError:
            pass
        self._socket.close()
        return self.said

    def _read(self) -> bytes:
        data = self._socket.recv(1 << 20)
        self.said += data
        return data


class Scene(NamedTuple):
    """What a point is reached with: the callers on their way, and what was there before they came."""

    fake: FakeOpenAI
    asked_before: int
    setup: Budgeted
    rows_before: int
    callers: list[Caller]
    exits: ExitStack

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 40
        while not condition():
            assert time.monotonic() < end, "the point was not reached"
            time.sleep(0.02)

    def lock(self) -> None:
        """From now on nothing is committed until the scene is over."""
        other = self.exits.enter_context(closing(sqlite3.connect(self.setup.database, isolation_level=None)))
        other.execute("BEGIN IMMEDIATE")


def asked(scene: Scene) -> None:
    scene.until(lambda: len(scene.fake.chats) - scene.asked_before == len(scene.callers))


def states(scene: Scene) -> list[str]:
    return [each["state"] for each in scene.setup.attempts()[scene.rows_before :]]


def waiting_for_the_hold(scene: Scene) -> None:
    time.sleep(0.5)  # the lock was there before the calls: nothing tells how far they are


def held_and_not_connected(scene: Scene) -> None:
    scene.until(lambda: states(scene) == ["dispatched"] * len(scene.callers))


def reading(events: int) -> Callable[[Scene], None]:
    def reach(scene: Scene) -> None:
        for caller in scene.callers:
            caller.read_to(events)

    return reach


def usage_known(scene: Scene) -> None:
    asked(scene)
    scene.lock()
    scene.until(lambda: not scene.fake.active)
    time.sleep(0.3)


def settled(scene: Scene) -> None:
    scene.until(lambda: states(scene) == ["settled"] * len(scene.callers))


class Point(NamedTuple):
    """Where to kill. ``state`` is what becomes of the attempts (None: there are none)."""

    name: str
    reach: Callable[[Scene], None]
    state: str | None = "orphaned"
    stream: bool = False
    how: dict[str, Any] = {}  # noqa: RUF012 (never changed)


POINTS = (
    Point("before the hold is committed", waiting_for_the_hold, state=None),
    Point("before bytes leave", held_and_not_connected),
    Point("after the upstream got it", asked, how={"hang": True}),
    Point("after the first byte", reading(1), stream=True, how={"hang_after": 1}),
    Point("in mid-stream", reading(4), stream=True, how={"hang_after": 4}),
    Point("before the settlement is committed", usage_known, how={"latency": 1.5}),
    Point("before a stream's settlement is committed", usage_known, stream=True, how={"latency": 1.5}),
    Point("before the last byte leaves", settled, state="settled", how={"text": LONG}),
)


@contextmanager
def deaf() -> Iterator[str]:
    """An address where no connection is ever made: whoever tries waits."""
    with ExitStack() as open_ones:
        listener = open_ones.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):  # these fill its queue
            queued = open_ones.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(address)
        time.sleep(0.05)
        yield f"http://127.0.0.1:{address[1]}"


class Readers:
    """`llmgw report` and `llmgw budget list` again and again beside the gateway, whatever happens to it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.codes: list[tuple[int, str]] = []

    def _read(self) -> None:
        while not self._over.is_set():
            for words in (("report", "daily", "--json"), ("budget", "list", "--json")):
                done = self._program.run(*words)
                self.codes.append((done.code, done.err))
                self._over.wait(0.2)

    def __enter__(self) -> list[tuple[int, str]]:
        self._thread.start()
        return self.codes

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join(60)


def ask(gateway: GatewayProcess, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(gateway.url + "/v1/chat/completions", json=CALL, headers=headers, timeout=20)


class Life:
    """A gateway that is killed at one point after the other, with what it must have charged by now."""

    def __init__(self, home: Path, fake: FakeOpenAI, nobody: str, crowd: int) -> None:
        fake.default = SAID
        upstreams = [
            upstream("openai", fake.url + "/v1", models=(MODEL,)),
            upstream("nobody", nobody + "/v1", kind="openai", models=(MODEL,)),
        ]
        self.fake = fake
        self.crowd = crowd
        self.setup = Budgeted(home, upstreams)
        self.token = self.setup.token
        self.charged = 0
        self.allow(10**12)

    def allow(self, hard: int) -> None:
        self.setup.set(*(budget(scope, hard=hard) for scope in NESTED))

    def kill_at(self, point: Point, gateway: GatewayProcess) -> None:
        fake, asked_before = self.fake, len(self.fake.chats)
        rows_before = len(self.setup.attempts())
        away = point.reach is held_and_not_connected
        for _ in range(self.crowd if point.how else 0):
            fake.behave(**point.how)
        with ExitStack() as during:
            scene = Scene(fake, asked_before, self.setup, rows_before, [], during)
            if point.reach is waiting_for_the_hold:
                scene.lock()
            model = f"nobody/{MODEL}" if away else MODEL
            scene.callers.extend(Caller(gateway, self.token, model, point.stream) for _ in range(self.crowd))
            point.reach(scene)
            gateway.kill()
            said = [caller.rest() for caller in scene.callers]
        assert not any(answer.endswith((b"0\r\n\r\n", b"}")) for answer in said), point.name
        sent = 0 if point.state is None or away else self.crowd
        assert len(fake.chats) - asked_before == sent, point.name
        gateway.start()
        self._check(point, gateway, self.setup.attempts()[rows_before:])

    def _check(self, point: Point, gateway: GatewayProcess, attempts: list[dict[str, Any]]) -> None:
        """Each attempt is there once, at its price; and in memory exactly that is missing from the budgets."""
        assert [each["state"] for each in attempts] == [point.state] * (self.crowd if point.state else 0)
        assert len({each["request_id"] for each in attempts}) == len(attempts)
        assert [each["cost"] for each in attempts] == [
            COST if point.state == "settled" else each["held_cost"] for each in attempts
        ]
        self.charged += sum(each["cost"] for each in attempts)
        assert self.setup.holes() == [], point.name
        assert set(self.setup.recorded().values()) == {self.charged}, point.name

        assert self._ask(gateway) == 200
        self.charged += COST
        self.allow(self.charged + self.setup.attempts()[-1]["held_cost"])
        assert [self._ask(gateway) for _ in range(2)] == [200, 402], point.name
        self.charged += COST
        self.allow(10**12)

    def _ask(self, gateway: GatewayProcess) -> int:
        headers = {"authorization": f"Bearer {self.token}"}
        url = gateway.url + "/v1/chat/completions"
        return httpx.post(url, json=CALL, headers=headers, timeout=20).status_code


def kill_at_every_point(home: Path, crowd: int) -> None:
    program = Program(home)
    with FakeOpenAI() as fake, deaf() as nobody:
        life = Life(home, fake, nobody, crowd)
        with GatewayProcess(life.setup.launch) as gateway, Readers(program) as codes:
            for point in POINTS:
                life.kill_at(point, gateway)
    assert len(codes) > len(POINTS)
    assert {code for code, _ in codes} == {0}, codes
    rows = program.run("budget", "list", "--json").json["budgets"]
    assert {row["scope"] for row in rows} == set(NESTED)
    assert {(row["spent_nanousd"], row["held_nanousd"]) for row in rows} == {(life.charged, 0)}
    proof = program.run("db", "verify", "--json")
    assert (proof.code, proof.json["findings"]) == (0, [])
    assert proof.json["chained"] == proof.json["requests"] == len(life.setup.requests())


def test_killed_at_every_point(tmp_path: Path) -> None:
    """A call that is killed at any of these points is charged once, if it may have cost anything, in all of five nested
    budgets; `llmgw report` and `llmgw budget list` beside the gateway never fail.
    """
    kill_at_every_point(tmp_path, crowd=1)


@pytest.mark.slow
def test_a_crowd_killed_at_every_point(tmp_path: Path) -> None:
    """So is each of twenty calls that are there at once."""
    kill_at_every_point(tmp_path, crowd=20)
