"""A headless Chromium for tests and pictures, driven over its own debugging protocol.

with Browser.start() as browser:
    browser.open("http://127.0.0.1:8001/")
    browser.run("document.title")
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--enable-unsafe-swiftshader", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE = 20.0


def program() -> str | None:
    """Where Chromium is, if it is here."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. ``asked`` are the addresses that it asked for."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.asked: list[str] = []
        self.said: list[str] = []
        """What the page wrote to its console, and what it was refused."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.tell(f"{domain}.enable")

    @classmethod
    @contextmanager
    def start(cls, width: int = 1200, height: int = 760) -> Iterator[Browser]:
        """A browser with a profile of its own; FileNotFoundError where there is none."""
        found = program()
        if found is None:
            raise FileNotFoundError("chromium")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            command = [
                found,
                *FLAGS,
                f"--window-size={width},{height}",
                f"--user-data-dir={folder}",
                "about:blank",
            ]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                port = Path(folder) / "DevToolsActivePort"
                _wait(lambda: port.exists() and port.read_text().strip())
                number = port.read_text().splitlines()[0]
                pages = httpx.get(f"http://127.0.0.1:{number}/json", trust_env=False).json()
                page = next(each for each in pages if each["type"] == "page")
                with connect(page["webSocketDebuggerUrl"], max_size=1 << 26, proxy=None) as socket:
                    browser = cls(socket)
                    browser.tell(
                        "Emulation.setDeviceMetricsOverride",
                        width=width,
                        height=height,
                        deviceScaleFactor=1,
                        mobile=False,
                    )
                    yield browser
            finally:
                process.terminate()
                process.wait(10)

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """One order and its answer; what happens meanwhile is noted."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def open(self, url: str) -> None:
        self.tell("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """What a piece of JavaScript comes to."""
        answer = self.tell("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until it is true."""
        return _wait(lambda: self.run(script))

    def press(self, key: str) -> None:
        """A letter, as from a keyboard."""
        for kind in ("keyDown", "keyUp"):
            self.tell("Input.dispatchKeyEvent", type=kind, text=key if kind == "keyDown" else "", key=key)

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"])

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
            case "Network.webSocketCreated":
                self.asked.append(params["url"])
            case "Runtime.consoleAPICalled":
                self.said.append(" ".join(str(each.get("value")) for each in params["args"]))
            case "Log.entryAdded":
                self.said.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.said.append(str(params["exceptionDetails"]))


def _wait(done: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)
    return found
