"""What providers leave us, in a file beside the database: only what is so now, so it is written whole and never kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmgw.domain.headroom import Headroom

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DECODE = msgspec.json.Decoder(tuple[Headroom, ...]).decode


def write_headroom(database: Path, known: Iterable[Headroom]) -> None:
    """Put it where `read_headroom` finds it; OSError when that cannot be written."""
    path = _path(database)
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_bytes(msgspec.json.encode(tuple(known)))
    beside.replace(path)


def read_headroom(database: Path) -> tuple[Headroom, ...]:
    """What the running gateway has heard; nothing where none has."""
    try:
        return _DECODE(_path(database).read_bytes())
    except (OSError, msgspec.DecodeError):
        return ()


def forget_headroom(database: Path) -> None:
    """The gateway ends, and with it what it has heard."""
    _path(database).unlink(missing_ok=True)


def _path(database: Path) -> Path:
    return database.with_name("headroom.json")
