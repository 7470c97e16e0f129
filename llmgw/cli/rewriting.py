"""Changes to other programs' files that can be taken back: the first state of each is kept until it is restored."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from llmgw.config.private import write_private
from llmgw.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping


class Original(msgspec.Struct):
    """A file as it was before the first change: its bytes and mode, None where there was no file.

    ``written`` is the SHA-256 of what we wrote; ``touched`` says that somebody else wrote to it in between.
    """

    before: bytes | None
    mode: int
    written: str
    touched: bool = False


Record = dict[str, Original]


def write(record: Path, files: Mapping[Path, str]) -> None:
    """Write each file (mode 0600, they hold a key), after its first state has gone into ``record``; OSError."""
    originals = _read(record)
    for path, text in files.items():
        before = path.read_bytes() if path.exists() else None
        kept = originals.get(str(path))
        if kept is None:
            mode = path.stat().st_mode & 0o777 if before is not None else 0
            kept = originals[str(path)] = Original(before, mode, "")
        elif before is None or _digest(before) != kept.written:
            kept.touched = True
        kept.written = _digest(text.encode())
    write_private(record, msgspec.json.encode(originals).decode())
    for path, text in files.items():
        write_private(path, text)


def undo(record: Path, *, force: bool = False) -> list[Path]:
    """Put every file back byte for byte; Conflict when one was changed by somebody else, unless forced."""
    originals = _read(record)
    if not originals:
        raise NotFound("nothing to undo: its settings were not changed from here")
    for name, kept in originals.items():
        path = Path(name)
        now = _digest(path.read_bytes()) if path.exists() else ""
        if not force and (kept.touched or now != kept.written):
            raise Conflict(
                f"{path} has been changed since and those changes would be lost",
                hint="add `--yes` to restore it anyway",
            )
    for name, kept in originals.items():
        path = Path(os.path.realpath(name))
        if kept.before is None:
            path.unlink(missing_ok=True)
        else:
            write_private(path, kept.before)
            path.chmod(kept.mode)
    record.unlink()
    return [Path(name) for name in originals]


def _read(record: Path) -> Record:
    return msgspec.json.decode(record.read_bytes(), type=Record) if record.exists() else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
