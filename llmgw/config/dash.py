"""The table of ``llmgw.toml`` about the dashboard: how it looks and which keys do what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from llmgw.config.section import Section


class Dash(Section, frozen=True):
    """How `llmgw dash` looks; flags of the command come before it."""

    theme: Annotated[
        str, Meta(min_length=1, description="llmgw, llmgw-light, ansi-dark, ansi-light or one of Textual's")
    ] = "llmgw"
    interval: Annotated[Literal[1, 2, 5, 10, 30], Meta(description="seconds between two pictures")] = 1
    ascii: Annotated[bool, Meta(description="draw bars, curves and frames in plain ASCII")] = False
    keymap: Annotated[
        dict[str, Any],
        Meta(description='keys of actions by id, as { window = "W", quit = "ctrl+q,q" }; `?` shows the ids'),
    ] = {}  # noqa: RUF012 (msgspec copies it)
