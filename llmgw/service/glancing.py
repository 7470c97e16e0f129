"""Keeps the figures of the status line in a file that somebody reads.

A reader makes the file, or sets its time: no file costs a look a second, one that nobody has read for a minute also a
write a minute, so that whoever comes back need not wait.
"""

from __future__ import annotations

import asyncio
import math
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
EVERY_SECONDS, EVERY_SECONDS_UNREAD = 5, 60


async def keep_glance(path: Path, desks: Callable[[str], Desk]) -> None:
    """Write the file every few seconds while it is read, else every minute, until cancelled; then it is gone."""
    written = -math.inf
    try:
        while True:
            await asyncio.sleep(1)
            if (asked := _asked(path)) is None:
                continue
            lately = time.time() - asked[1] / 1e9 <= WANTED_SECONDS
            if time.monotonic() - written >= (EVERY_SECONDS if lately else EVERY_SECONDS_UNREAD):
                with suppress(GatewayError, OSError):  # the next round tells
                    await asyncio.to_thread(_write, path, desks, asked)
                    written = time.monotonic()
    finally:
        _forget(path)


def _asked(path: Path) -> tuple[int, int] | None:
    """The file's times, of which the second tells when it was read last; None where nobody has ever."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_atime_ns, found.st_mtime_ns


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _write(path: Path, desks: Callable[[str], Desk], asked: tuple[int, int]) -> None:
    with desks("statusline") as desk:
        glance = msgspec.to_builtins(desk.ask(ShowGlance()))
        at = desk.clock.now()
    write_private(path, msgspec.json.encode({"at": at, "pid": os.getpid(), "glance": glance}))
    os.utime(path, ns=asked)  # written is not asked for
