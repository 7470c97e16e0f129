"""The dashboard in a browser: who is let in, from where, and what travels."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from support.browser import Browser, program
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from llmgw.errors import BadRequest, Unavailable
from llmgw.tui.web import server
from llmgw.tui.web.door import ATTEMPTS, LASTS, WITHIN, Door, known_host, same_origin
from llmgw.tui.web.server import COOKIE, FULL, OVER, SHUT, Web
from llmgw.tui.web.stage import Stage, environment

KEY = "lgw_an_admin_key"
APP = """
import os
from textual.app import App
from textual.widgets import Label

class Counting(App):
    BINDINGS = [("q", "quit", "")]
    beats = 0

    def compose(self):
        yield Label("beat 0", id="beat")
        yield Label(f"kept {os.environ.get('KEPT_KEY', 'nothing')}")
        yield Label("", id="typed")
        yield Label("", id="size")

    def on_mount(self):
        self.set_interval(0.1, self.more)

    def more(self):
        self.beats += 1
        self.query_one("#beat", Label).update(f"beat {self.beats}")
        self.query_one("#size", Label).update(f"size {self.size.width}x{self.size.height}")

    def on_key(self, event):
        self.query_one("#typed", Label).update(f"typed {event.key}")

print("a word before it begins")
Counting().run()
"""
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*\$?[a-zA-Z]")


@pytest.fixture
def program_of_a_test(tmp_path: Path) -> tuple[str, str]:
    """A small Textual program in place of the dashboard, which has its own tests."""
    path = tmp_path / "counting.py"
    path.write_text(APP)
    return sys.executable, str(path)


class Opened:
    """What a test changes of the keys that open."""

    def __init__(self) -> None:
        self.keys = {KEY}

    def __call__(self, token: str) -> bool:
        return token in self.keys


@contextmanager
def serving(web: Web) -> Iterator[str]:
    """The address of a running server."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = uvicorn.Config(web.app(), ws="websockets-sansio", log_level="warning", proxy_headers=False)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def sign_in(url: str, key: str = KEY) -> httpx.Response:
    return httpx.post(f"{url}/login", data={"key": key}, headers={"origin": url}, trust_env=False)


def watch(
    url: str, cookie: str, *, origin: str | None = None, size: str = "?width=60&height=12"
) -> ClientConnection:
    headers = {"cookie": f"{COOKIE}={cookie}"}
    return connect(
        url.replace("http", "ws") + "/ws" + size, origin=origin or url, additional_headers=headers, proxy=None
    )


def read_until(connection: ClientConnection, words: bytes) -> bytes:
    """What the terminal was told, without colours, until it holds the words."""
    told = b""
    until = time.monotonic() + 20
    while words not in ESCAPES.sub(b"", told):
        assert time.monotonic() < until, told[-500:]
        told += connection.recv(timeout=20)
    return ESCAPES.sub(b"", told)


def closed_with(connection: ClientConnection) -> int:
    """Why it was closed, whatever was sent before."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            connection.recv(timeout=20)
    code = connection.protocol.close_code
    assert code is not None
    return code


def test_without_a_key_there_is_only_a_form(program_of_a_test: tuple[str, str]):
    """No figure, no script and no websocket for whoever has not typed an admin key."""
    with serving(Web(program_of_a_test, Opened())) as url:
        page = httpx.get(url, trust_env=False)
        assert page.status_code == 200
        assert "<form" in page.text
        assert "dash.js" not in page.text
        with watch(url, "guessed") as connection:
            assert closed_with(connection) == SHUT
        wrong = sign_in(url, "lgw_wrong")
        assert wrong.status_code == 401
        assert "set-cookie" not in wrong.headers
        assert "lgw_wrong" not in wrong.text


def test_a_key_opens_a_dashboard_that_lives(program_of_a_test: tuple[str, str]):
    """Typed once, a key becomes a cookie that no script reads; the dashboard then counts on, takes keys and sizes."""
    with serving(Web(program_of_a_test, Opened())) as url:
        entered = sign_in(url)
        assert entered.status_code == 303
        said = entered.headers["set-cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert KEY not in str(entered.headers)
        cookie = entered.cookies[COOKIE]
        assert "dash.js" in httpx.get(url, cookies={COOKIE: cookie}, trust_env=False).text
        with watch(url, cookie) as connection:
            read_until(connection, b"kept nothing")
            read_until(connection, b"60x12")
            connection.send(json.dumps(["stdin", "x"]))
            read_until(connection, b"typed x")
            connection.send(json.dumps(["resize", 44, 9]))
            read_until(connection, b"44x9")
            connection.send("no message of ours")
            connection.send(json.dumps(["stdin", 7]))
            connection.send(json.dumps(["stdin", "q"]))
            assert closed_with(connection) == OVER


def test_a_dashboard_of_a_gateway_elsewhere_has_the_key_of_its_viewer(program_of_a_test: tuple[str, str]):
    """Where a variable is named the key travels to the process in it, never as an argument."""
    web = Web(program_of_a_test, Opened(), credential="KEPT_KEY")
    with serving(web) as url, watch(url, sign_in(url).cookies[COOKIE]) as connection:
        read_until(connection, f"kept {KEY}".encode())


def test_a_page_elsewhere_cannot_reach_in(program_of_a_test: tuple[str, str]):
    """The cookie of a viewer is of no use to another origin: neither websocket nor forms take its word."""
    with serving(Web(program_of_a_test, Opened())) as url:
        cookie = sign_in(url).cookies[COOKIE]
        for origin in ("http://evil.example", url.replace("127.0.0.1", "localhost"), "null"):
            with pytest.raises(InvalidStatus) as refused, watch(url, cookie, origin=origin):
                pass
            assert refused.value.response.status_code == 403
        for path in ("login", "logout"):
            httpx.post(
                f"{url}/{path}",
                data={"key": KEY},
                cookies={COOKIE: cookie},
                headers={"origin": "http://evil.example"},
            )
        assert httpx.post(f"{url}/login", data={"key": KEY}, trust_env=False).status_code == 403
        with watch(url, cookie) as connection:
            read_until(connection, b"beat")


def test_a_name_that_is_pointed_here_is_not_answered(program_of_a_test: tuple[str, str]):
    """A Host header that names another host is refused, so a page cannot rebind its own name to us."""
    with serving(Web(program_of_a_test, Opened())) as url:
        for path in ("/", "/static/dash.js"):
            assert httpx.get(url + path, headers={"host": "evil.example"}, trust_env=False).status_code == 421
        assert httpx.get(url, headers={"host": "localhost:9"}, trust_env=False).status_code == 200
    names = frozenset({"localhost", "box"})
    for host in ("127.0.0.1:8001", "[::1]:8001", "192.168.1.4", "localhost", "box:80"):
        assert known_host(host, names)
    for host in ("evil.example", "127.0.0.1.evil.example:8001", "", "[::1", "localhost.evil.example"):
        assert not known_host(host, names)
    assert same_origin("http://box:80", "box:80")
    assert not same_origin(None, "box:80")
    assert not same_origin("file://box:80", "box:80")


def test_nothing_is_loaded_from_elsewhere(program_of_a_test: tuple[str, str]):
    """Every file of the page lies here, and the policy that browsers are told allows no other source."""
    with serving(Web(program_of_a_test, Opened())) as url:
        page = httpx.get(url, trust_env=False)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        for name in ("login.html", "dash.html", "dash.js", "page.css"):
            text = (server.FOLDER / name).read_text()
            assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE), name
            for linked in re.findall(r'(?:href|src)="(static/[^"]+)"|from "\./([^"]+)"', text):
                path = linked[0] or f"static/{linked[1]}"
                assert httpx.get(f"{url}/{path}", trust_env=False).status_code == 200, path


def test_what_is_not_ours_is_as_it_was_published():
    """The terminal's files are those that their page of provenance names, to the byte, with their licence."""
    from hashlib import sha256

    folder = server.FOLDER / "xterm"
    told = re.findall(
        r"^\| (\S+) \| \S+ \S+ \| ([0-9a-f]{64}) \|$", (folder / "PROVENANCE.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in told} == {path.name for path in folder.iterdir()} - {
        "PROVENANCE.md",
        "LICENSE",
    }
    assert all(sha256((folder / name).read_bytes()).hexdigest() == sum_ for name, sum_ in told)
    assert "Permission is hereby granted, free of charge" in (folder / "LICENSE").read_text()


def test_too_many_wrong_keys_have_to_wait(program_of_a_test: tuple[str, str]):
    """After five wrong ones in a minute an address waits, even with the right one."""
    with serving(Web(program_of_a_test, Opened())) as url:
        assert [sign_in(url, f"wrong {number}").status_code for number in range(ATTEMPTS)] == [401] * ATTEMPTS
        late = sign_in(url)
        assert late.status_code == 429
        assert 0 < int(late.headers["retry-after"]) <= WITHIN + 1


def test_the_door_forgets_in_time():
    """Sessions end after half a day or with their key, attempts after a minute, and of both only so many are kept."""
    now, opened = [0.0], Opened()
    door = Door(opened, lambda: now[0])
    for _ in range(ATTEMPTS):
        assert not door.attempt("a")
    assert door.attempt("a") == WITHIN
    assert not door.attempt("b")
    now[0] = WITHIN + 0.1
    assert not door.attempt("a")
    cookie = door.enter(KEY, "a")
    assert cookie is not None
    assert door.admits(cookie)
    assert not door.admits(cookie + "x")
    now[0] += LASTS
    assert not door.admits(cookie)
    cookie = door.enter(KEY, "a")
    opened.keys.clear()
    assert not door.admits(cookie)
    opened.keys.add(KEY)
    assert not door.admits(cookie)
    assert door.enter("", "a") is None


def test_a_revoked_key_ends_what_is_open(program_of_a_test: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    """A dashboard under way is closed once its key no longer opens the gateway; leaving does the same for new ones."""
    monkeypatch.setattr(server, "AGAIN", 0.2)
    opened = Opened()
    with serving(Web(program_of_a_test, opened)) as url:
        cookie = sign_in(url).cookies[COOKIE]
        with watch(url, cookie) as connection:
            read_until(connection, b"beat")
            opened.keys.clear()
            assert closed_with(connection) == SHUT
        opened.keys.add(KEY)
        cookie = sign_in(url).cookies[COOKIE]
        httpx.post(f"{url}/logout", cookies={COOKIE: cookie}, headers={"origin": url}, trust_env=False)
        assert "<form" in httpx.get(url, cookies={COOKIE: cookie}, trust_env=False).text


def test_only_so_many_dashboards_run(program_of_a_test: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    """Each is a process, so there is an end to them; a place that is left is free again."""
    monkeypatch.setattr(server, "MOST_STAGES", 1)
    web = Web(program_of_a_test, Opened())
    with serving(web) as url:
        cookie = sign_in(url).cookies[COOKIE]
        with watch(url, cookie) as first:
            read_until(first, b"beat")
            with watch(url, cookie) as second:
                assert closed_with(second) == FULL
        until = time.monotonic() + 20
        while web._stages:
            assert time.monotonic() < until, "the place was not given back"
            time.sleep(0.05)
        with watch(url, cookie) as again:
            read_until(again, b"beat")


def test_a_dashboard_ends_with_its_browser(program_of_a_test: tuple[str, str]):
    """Whatever it does, its process is gone when the stage is left."""

    async def go() -> tuple[int | None, int]:
        stage = Stage(program_of_a_test, environment(), 80, 24)
        async with stage:
            async for content in stage:
                if b"beat" in content:
                    break
            process = stage._process
        return process.returncode, process.pid

    code, _ = asyncio.run(go())
    assert code == 0


def test_a_program_that_is_no_dashboard_ends_the_stage(tmp_path: Path):
    """What cannot begin shows nothing and leaves nothing behind."""

    async def go() -> list[bytes]:
        async with Stage((sys.executable, "-c", "print('no')"), environment(), 80, 24) as stage:
            return [content async for content in stage]

    assert asyncio.run(go()) == []


def test_without_the_extra_it_says_how(program_of_a_test: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    """Where websockets is not installed the error names the extra."""
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(BadRequest) as told:
        server.serve(Web(program_of_a_test, Opened()), "127.0.0.1", 0, print)
    assert told.value.hint == "pip install 'llmgw[web]'"


@pytest.mark.slow
@pytest.mark.skipif(program() is None, reason="there is no Chromium on this machine")
def test_a_browser_shows_it_live(program_of_a_test: tuple[str, str]):
    """Acceptance 4: headless Chromium is refused without a key, loads with one, and shows numbers that change."""
    with serving(Web(program_of_a_test, Opened())) as url, Browser.start() as browser:
        browser.open(url)
        browser.run("document.forms[0].key.value = 'wrong'; document.forms[0].submit()")
        browser.until("document.querySelector('.said')?.textContent.includes('admin key')")
        browser.run(f"document.forms[0].key.value = '{KEY}'; document.forms[0].submit()")
        browser.until("document.querySelector('.xterm-screen') !== null")
        first = _seen(browser, "")
        assert _seen(browser, first) != first
        assert browser.run("document.cookie") == ""
        assert {
            re.sub(r"^(http|ws)(://[^/]+)/.*", r"http\2", each)
            for each in browser.asked
            if "about:" not in each and not each.startswith("data:")
        } == {url}
        assert not [each for each in browser.said if "Content Security Policy" in each], browser.said


def _seen(browser: Browser, before: str) -> str:
    """What the terminal shows, once that is something else."""
    until = time.monotonic() + 15
    while time.monotonic() < until:
        found = browser.picture()
        name = str(hash(found))
        if name != before and len(found) > 3000:
            return name
        time.sleep(0.2)
    raise AssertionError("nothing changed")


def test_while_nobody_can_tell_who_is_in_stays_in():
    """A gateway that starts anew, or a database that is locked, throws nobody out and lets nobody in."""

    def opens(_token: str) -> bool:
        if away:
            raise Unavailable("another process holds it locked")
        return True

    away = False
    door = Door(opens, lambda: 0.0)
    cookie = door.enter(KEY, "127.0.0.1")
    assert cookie is not None
    away = True
    assert door.admits(cookie)
    assert not door.admits("another")
    asked = httpx.ASGITransport(Web(("no",), opens).app())

    async def enter() -> httpx.Response:
        async with httpx.AsyncClient(transport=asked, base_url="http://localhost") as client:
            return await client.post("/login", data={"key": KEY}, headers={"origin": "http://localhost"})

    refused = asyncio.run(enter())
    assert refused.status_code == 503
    assert "set-cookie" not in refused.headers
    assert "locked" not in refused.text


@pytest.mark.parametrize("typed", ["ü", "a\nb", "\x00", "\ud83d"])
def test_what_is_no_key_is_asked_of_nobody(typed: str):
    """What no header could carry opens nothing, and breaks nothing."""

    def opens(token: str) -> bool:
        raise AssertionError(f"{token!r} was asked of the gateway")

    assert Door(opens, lambda: 0.0).enter(typed, "127.0.0.1") is None
