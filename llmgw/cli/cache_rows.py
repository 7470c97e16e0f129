"""Remembered answers as commands show them."""

from __future__ import annotations

from llmgw.cli.output import Column

COLUMNS = [
    Column("id", "ID"),
    Column("created_at", "AGE"),
    Column("expires_at", "EXPIRES", wide=True),
    Column("key", wide=True),
    Column("model"),
    Column("hits"),
    Column("saved_nanousd"),
    Column("pinned", wide=True),
    Column("beginning", "PROMPT"),
]


def size(count: int) -> str:
    """Bytes for people."""
    for limit, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count} B"
