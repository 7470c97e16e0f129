"""The page, its files, and a websocket between a browser and the dashboard that runs for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from msgspec import DecodeError, json
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from llmgw.errors import BadRequest, Conflict, GatewayError
from llmgw.tui.web.door import LASTS, Door, known_host, same_origin
from llmgw.tui.web.stage import Stage, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import HTTPConnection, Request
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket

FOLDER = Path(__file__).parent / "static"
COOKIE = "llmgw_dash"
MOST_STAGES = 8
"""Dashboards at a time; each is a process of some fifty megabytes."""
MOST_TYPED = 1 << 16
"""Characters of one message of a browser, a paste included."""
MOST_FORM = 4096
AGAIN = 30.0
"""Seconds between two looks whether a session's key still opens."""
SHUT, FULL, OVER = 4401, 4429, 4410
"""Why a websocket was closed: no session, too many dashboards, the dashboard ended."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Styles may stand inline: the terminal makes its own. Without a referrer a form would not say where it is from."""


class Web:
    """Dashboards for browsers: ``command`` starts one, ``opens`` tells whether a key may see it.

    ``credential`` names the environment variable, if any, that hands it the key with which its viewer came in.
    """

    def __init__(
        self,
        command: Sequence[str],
        opens: Callable[[str], bool],
        *,
        credential: str | None = None,
        names: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.door = Door(opens, clock)
        self._command = tuple(command)
        self._credential = credential
        self._names = names | {"localhost", socket.gethostname().lower()}
        self._stages = 0

    def app(self) -> ASGIApp:
        routes = [
            Route("/", self._page),
            Route("/login", self._login, methods=["POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            WebSocketRoute("/ws", self._watch),
            Mount("/static", StaticFiles(directory=FOLDER)),
        ]
        return _Guarded(Starlette(routes=routes), self._names)

    async def _page(self, request: Request) -> Response:
        if not await self._admitted(request):
            return _file("login.html")
        return _file("dash.html")

    async def _login(self, request: Request) -> Response:
        """Take the key of a form; a wrong one costs an attempt, and nothing tells how it was wrong."""
        if not _own(request):
            return Response("this form was sent from elsewhere", 403)
        address = request.client.host if request.client else ""
        if wait := self.door.attempt(address):
            return _file(
                "login.html", 429, "Too many wrong keys. Wait a minute.", {"retry-after": str(int(wait) + 1)}
            )
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_FORM:
                return _file("login.html", 413, "That is no key.")
        (typed,) = parse_qs(body.decode("utf-8", "replace")).get("key", [""])[:1]
        try:
            cookie = await asyncio.to_thread(self.door.enter, typed.strip(), address)
        except GatewayError:  # what it says names files or addresses of this machine
            return _file("login.html", 503, "Nobody can tell just now whether this key opens it. Try again.")
        if cookie is None:
            return _file("login.html", 401, "This key does not open it: it takes an admin key.")
        answer = RedirectResponse("/", 303)
        secure = (request.headers.get("origin") or "").startswith("https:")
        answer.set_cookie(
            COOKIE, cookie, max_age=int(LASTS), httponly=True, samesite="strict", secure=secure, path="/"
        )
        return answer

    async def _logout(self, request: Request) -> Response:
        if _own(request):
            self.door.leave(_cookie(request))
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    async def _watch(self, websocket: WebSocket) -> None:
        """A dashboard for as long as the browser looks on; closed from here it says why."""
        if not _own(websocket):
            await websocket.close()
            return
        await websocket.accept()
        cookie = _cookie(websocket)
        if not await self._admitted(websocket):
            await websocket.close(SHUT)
        elif self._stages >= MOST_STAGES:
            await websocket.close(FULL)
        else:
            self._stages += 1
            try:
                await self._play(websocket, cookie)
            finally:
                self._stages -= 1

    async def _play(self, websocket: WebSocket, cookie: str) -> None:
        session = self.door.session(cookie)
        kept = {self._credential: session.token} if session is not None and self._credential else None
        width, height = (_number(websocket.query_params.get(name)) for name in ("width", "height"))
        reason = OVER
        async with Stage(self._command, environment(kept), width or 80, height or 24) as stage:

            async def show() -> None:
                async for content in stage:
                    await websocket.send_bytes(content)

            async def still() -> None:
                while await self._admitted(websocket):  # noqa: ASYNC110 (nobody tells when a key ends)
                    await asyncio.sleep(AGAIN)

            tasks = [asyncio.create_task(each) for each in (show(), _listen(websocket, stage), still())]
            done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reason = SHUT if tasks[2] in done else OVER
            for task in others:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the browser may be gone already
            await websocket.close(reason)

    async def _admitted(self, connection: HTTPConnection) -> bool:
        return await asyncio.to_thread(self.door.admits, _cookie(connection))


class _Guarded:
    """Refuses what was addressed to another host, and says in every answer what a browser may do with it."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        if not known_host(host, self._names):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})
            else:
                await Response("there is no such host here", 421)(scope, receive, send)
            return

        async def sealed(message: Any) -> None:
            if message["type"] == "http.response.start":
                sealing = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *sealing]
            await send(message)

        await self._app(scope, receive, sealed)


async def _listen(websocket: WebSocket, stage: Stage) -> None:
    """Hand over what a browser sends; what is no message of ours is passed over."""
    while True:
        try:
            text = await websocket.receive_text()
        except (WebSocketDisconnect, KeyError):
            return
        with contextlib.suppress(DecodeError):
            if len(text) <= MOST_TYPED:
                match json.decode(text):
                    case ["stdin", str(typed)]:
                        await stage.type(typed)
                    case ["resize", int(width), int(height)]:
                        await stage.resize(width, height)


def serve(web: Web, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; ``announce`` is told the address. Conflict where the port is taken."""
    try:
        import uvicorn  # noqa: PLC0415 (a web server only where one is wanted)
        import websockets  # noqa: F401, PLC0415
    except ImportError:
        raise BadRequest(
            "a dashboard in a browser needs the extra `web`", hint="pip install 'llmgw[web]'"
        ) from None
    try:
        taken = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise Conflict(
            f"{host}:{port} cannot be used: {error.strerror}", hint="`--port 0` takes a free one"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        web.app(),
        ws="websockets-sansio",
        ws_max_size=1 << 20,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=8,
    )
    with taken:
        announce(f"http://{shown}:{taken.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[taken])


def command(*words: str) -> tuple[str, ...]:
    """How a dashboard is started, with the words it is given."""
    return (sys.executable, "-m", "llmgw", "dash", *words)


def _own(connection: HTTPConnection) -> bool:
    return same_origin(connection.headers.get("origin"), connection.headers.get("host", ""))


def _cookie(connection: HTTPConnection) -> str:
    return connection.cookies.get(COOKIE, "")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 6 else 0


def _file(name: str, status: int = 200, said: str = "", headers: dict[str, str] | None = None) -> Response:
    text = (FOLDER / name).read_text(encoding="utf-8")
    return HTMLResponse(text.replace("<!-- said -->", escape(said)), status, headers)
