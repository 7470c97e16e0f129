"""One dashboard in a process of its own, whose screen and keys travel over pipes as Textual's web driver has them.

A packet is a letter, a length in four bytes, the higher first, and so many bytes: ``D`` holds what a terminal would
read or write, ``M`` a JSON object about the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any, Self

from msgspec import DecodeError, json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

READY = b"__GANGLION__\n"
"""What the driver writes before its first packet."""
LINES = 100
"""Lines that a program may print before it."""
GRACE = 5.0
"""Seconds that a dashboard has to leave."""
MOST = 1000
"""Columns or rows of the widest screen."""


class Stage:
    """Started with ``async with``; iterating gives what the browser's terminal is to show, until the dashboard ends."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], width: int, height: int) -> None:
        self._command = command
        self._environ = {
            **environ,
            "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
            "TEXTUAL_COLOR_SYSTEM": "truecolor",
            "COLUMNS": str(_cells(width)),
            "ROWS": str(_cells(height)),
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, env=self._environ, start_new_session=True
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running
        with contextlib.suppress(OSError, RuntimeError):
            await self._tell(b"M", json.encode({"type": "quit"}))
        for end in (None, process.terminate, process.kill):
            with contextlib.suppress(ProcessLookupError):
                if end is not None:
                    end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained(), GRACE)
                return

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader = self._running.stdout
        if reader is None or not await _begun(reader):
            return
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(5)
                content = await reader.readexactly(int.from_bytes(head[1:], "big"))
                if head[:1] == b"D":
                    yield content
                elif head[:1] == b"M" and _kind(content) == "exit":
                    return

    async def type(self, text: str) -> None:
        """What was typed, clicked or pasted."""
        await self._tell(b"D", text.encode("utf-8", "ignore"))

    async def resize(self, width: int, height: int) -> None:
        size = {"type": "resize", "width": _cells(width), "height": _cells(height)}
        await self._tell(b"M", json.encode(size))

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "a stage is used inside `async with`"  # noqa: S101
        return self._process

    async def _tell(self, kind: bytes, content: bytes) -> None:
        stdin = self._running.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(kind + len(content).to_bytes(4, "big") + content)
            with contextlib.suppress(ConnectionError):
                await stdin.drain()

    async def _drained(self) -> None:
        """Wait for the end, reading what is still written so that a full pipe does not hold it up."""
        if (reader := self._running.stdout) is not None:
            while await reader.read(1 << 16):
                pass
        await self._running.wait()


async def _begun(reader: asyncio.StreamReader) -> bool:
    """Whether a dashboard began; what else was printed before is passed over."""
    for _ in range(LINES):
        line = await reader.readline()
        if line == READY:
            return True
        if not line:
            break
    return False


def environment(kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of this process, but for what says how its own terminal draws; ``kept`` comes on top."""
    own = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM", "COLORTERM"}}
    return {**own, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(kept or {})}


def _kind(content: bytes) -> Any:
    try:
        return json.decode(content, type=dict[str, Any]).get("type")
    except DecodeError:
        return None


def _cells(count: int) -> int:
    return max(1, min(count, MOST))
