"""What a running gateway says of itself; apart from all else, as every command reads it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Running(Struct, frozen=True, kw_only=True):
    """What the running gateway says of itself, in `run_file` and in the announcement to whoever started it."""

    pid: int
    url: str
    host: str
    port: int
    boot: str
    version: str
    started_at: int
    log_file: str
    drain_seconds: float
    flags: dict[str, Any]
    lost: tuple[str, ...] = ()
    """In words, which names of its configuration lead nowhere."""
    token: str = ""
    """A key with admin rights for whoever may read the run file, until the gateway ends."""
