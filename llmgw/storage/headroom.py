"""What the gateway sees of its targets, in files beside the database: only what is so now, written whole, never kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.domain.breaker import Failing
from llmgw.domain.headroom import Headroom

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_HEADROOM = msgspec.json.Decoder(tuple[Headroom, ...]).decode
_FAILING = msgspec.json.Decoder(tuple[Failing, ...]).decode


def write_headroom(database: Path, known: Iterable[Headroom]) -> None:
    """Put what providers say to leave us where `read_headroom` finds it; OSError when that cannot be written."""
    _write(_headroom(database), known)


def read_headroom(database: Path) -> tuple[Headroom, ...]:
    """What the running gateway has heard; nothing where none has."""
    try:
        return _HEADROOM(_headroom(database).read_bytes())
    except (OSError, msgspec.DecodeError):
        return ()


def write_failing(database: Path, known: Iterable[Failing]) -> None:
    """Put which targets fail where `read_failing` finds it; OSError when that cannot be written."""
    _write(_failing(database), known)


def read_failing(database: Path) -> tuple[Failing, ...]:
    """The targets that fail the running gateway."""
    try:
        return _FAILING(_failing(database).read_bytes())
    except (OSError, msgspec.DecodeError):
        return ()


def forget_headroom(database: Path) -> None:
    """The gateway ends, and with it what it has heard and seen."""
    _headroom(database).unlink(missing_ok=True)
    _failing(database).unlink(missing_ok=True)


def _write(path: Path, known: Iterable[Any]) -> None:
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_bytes(msgspec.json.encode(tuple(known)))
    beside.replace(path)


def _headroom(database: Path) -> Path:
    return database.with_name("headroom.json")


def _failing(database: Path) -> Path:
    return database.with_name("failing.json")
