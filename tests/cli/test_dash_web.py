"""`llmgw dash --web`: the real program serves the real dashboard to whoever has an admin key, and to nobody else. # D-26"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from support.gateway import RunningGateway, upstream
from support.program import Program
from websockets.sync.client import connect

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*\$?[a-zA-Z]")


@pytest.fixture
def llmgw(tmp_path: Path) -> Program:
    return Program(tmp_path / "home")


@contextmanager
def served(llmgw: Program, *words: str) -> Iterator[str]:
    """Its address."""
    process = llmgw.start("dash", "--web", "--port", "0", *words)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Traceback" not in said


def test_without_an_admin_key_it_does_not_start(llmgw: Program):
    """Exit 6 and the command that makes one: on this machine's address and on any other."""
    llmgw.run("key", "create", "plain", "-q")
    for host in ("127.0.0.1", "0.0.0.0"):
        ended = llmgw.run("dash", "--web", "--port", "0", "--host", host)
        assert ended.code == 6
        assert "no key could open it" in ended.err
        assert "llmgw key create NAME --admin" in ended.err


def test_a_port_that_is_taken_is_a_conflict(llmgw: Program):
    """Exit 8, as for the gateway itself."""
    llmgw.run("key", "create", "boss", "--admin", "-q")
    with served(llmgw) as url:
        ended = llmgw.run("dash", "--web", "--port", url.rpartition(":")[2])
        assert ended.code == 8


def enter(url: str, key: str) -> str:
    """The cookie for a key that opens."""
    entered = httpx.post(f"{url}/login", data={"key": key}, headers={"origin": url})
    assert entered.status_code == 303
    assert key not in str(entered.headers)
    return "; ".join(f"{name}={value}" for name, value in entered.cookies.items())


@contextmanager
def watching(url: str, cookie: str) -> Iterator[Callable[[bytes], None]]:
    """What waits until the screen has told some words."""
    address, told = url.replace("http", "ws") + "/ws?width=90&height=20", [b""]
    with connect(address, origin=url, additional_headers={"cookie": cookie}, proxy=None) as socket:

        def wait(words: bytes) -> None:
            until = time.monotonic() + 30
            while words not in told[0]:
                assert time.monotonic() < until, told[0][-2000:]
                told[0] += ESCAPES.sub(b"", socket.recv(timeout=30))

        yield wait


def test_one_elsewhere_is_shown_live(llmgw: Program, tmp_path: Path):
    """With --url an admin key of that gateway opens it; a call that is made meanwhile is seen as it ends."""
    with RunningGateway(tmp_path, [upstream("echo", "echo:")]) as gateway:
        with gateway.control as control:
            _, plain = control.create("ci")
            _, admin = control.create("boss", admin=True)
        with served(llmgw, "--url", gateway.url, "--screen", "requests") as url:
            assert httpx.post(f"{url}/login", data={"key": plain}, headers={"origin": url}).status_code == 401
            with watching(url, enter(url, admin)) as wait:
                wait(f"127.0.0.1:{gateway.port}".encode())
                body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
                caller = {"authorization": f"Bearer {plain}"}
                assert (
                    httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=caller).status_code
                    == 200
                )
                wait(b" ci ")


def test_the_dashboard_itself_is_served(llmgw: Program):
    """A plain key is refused; an admin key opens the dashboard, which says that its gateway is down; the key is nowhere."""
    plain, admin = (
        llmgw.run("key", "create", *words, "-q").out.strip() for words in (("ci",), ("boss", "--admin"))
    )
    with served(llmgw, "--screen", "keys") as url:
        assert httpx.post(f"{url}/login", data={"key": plain}, headers={"origin": url}).status_code == 401
        cookie = enter(url, admin)
        with watching(url, cookie) as wait:
            wait(b"gateway is not running")
            wait(b"Keys")
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert admin.encode() not in process.read_bytes()
            except OSError:  # it has ended meanwhile
                continue
        llmgw.run("key", "revoke", "boss", "-y")
        assert "<form" in httpx.get(url, headers={"cookie": cookie}).text
