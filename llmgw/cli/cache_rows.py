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
