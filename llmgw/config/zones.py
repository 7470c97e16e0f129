"""Whose midnight a day begins at: a time zone by name, or this machine's."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from llmgw.errors import BadRequest

LOCALTIME = Path("/etc/localtime")


def read_zone(name: str | None) -> ZoneInfo:
    """A time zone by name; this machine's own where none is given, UTC where that cannot be known."""
    if name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BadRequest(
                f"there is no time zone `{name}`", hint="write it as Europe/Berlin or UTC"
            ) from None
    linked = str(LOCALTIME.resolve()).partition("/zoneinfo/")[2] if LOCALTIME.is_symlink() else ""
    for candidate in (os.environ.get("TZ", "").removeprefix(":"), linked):
        try:
            if candidate:
                return ZoneInfo(candidate)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")
