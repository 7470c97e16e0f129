"""Whose days a command counts in: those of ``--tz``, else of the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.cli import options

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


def read_zone(name: str | None) -> ZoneInfo:
    """The time zone of that name; without one that of `server.timezone`, which is this machine's by default."""
    from llmgw.config import zones
    from llmgw.config.load import effective_config

    return zones.read_zone(name or effective_config(options.paths(), secrets=False).server.timezone)
