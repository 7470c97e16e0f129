"""Keeps the figures of the status line in a file for as long as somebody reads it.

A reader makes the file, or sets its time: no file, or one that nobody has read for a minute, costs a look a second.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from llmgw.config.private import write_private
from llmgw.desk.glance import ShowGlance
from llmgw.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmgw.desk.asking import Desk

WANTED_SECONDS = 60
EVERY_SECONDS = 5


async def keep_glance(path: Path, desks: Callable[[str], Desk]) -> None:
    """Write the file every few seconds while it is read, until cancelled; then it is gone."""
    try:
        while True:
            await asyncio.sleep(1)
            if asked := _asked(path):
                with suppress(GatewayError, OSError):  # the next round tells
                    await asyncio.to_thread(_write, path, desks, asked)
                    await asyncio.sleep(EVERY_SECONDS - 1)
    finally:
        _forget(path)


def _asked(path: Path) -> tuple[int, int] | None:
    """The file's times, if somebody has read it lately."""
    try:
        found = path.stat()
    except OSError:
        return None
    lately = time.time() - found.st_mtime <= WANTED_SECONDS
    return (found.st_atime_ns, found.st_mtime_ns) if lately else None


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _write(path: Path, desks: Callable[[str], Desk], asked: tuple[int, int]) -> None:
    with desks("statusline") as desk:
        glance = msgspec.to_builtins(desk.ask(ShowGlance()))
        at = desk.clock.now()
    write_private(path, msgspec.json.encode({"at": at, "pid": os.getpid(), "glance": glance}))
    os.utime(path, ns=asked)  # written is not asked for
