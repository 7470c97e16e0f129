"""Our two themes, and what the names that drawings are styled with mean in any theme."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from rich.style import Style
from rich.theme import Theme as Styles
from textual.theme import Theme

from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DARK, LIGHT = "llmgw", "llmgw-light"
NAMES = (
    "good",
    "warn",
    "bad",
    "id",
    "dim",
    "strong",
    "bar",
    "local",
    "cheap",
    "premium",
    "cursor",
    "mark",
    "wrong",
)
"""What may be said of a piece of text; whatever a colour tells, a symbol or a word tells too."""

THEMES = (
    Theme(
        name=DARK, dark=True, primary="#58a6ff", secondary="#39c5cf", accent="#bc8cff", success="#3fb950",
        warning="#d29922", error="#f85149", foreground="#e6edf3", background="#0d1117", surface="#0d1117",
        panel="#161b22", variables={"border": "#30363d", "border-blurred": "#30363d", "llmgw-dim": "#8b949e"},
    ),
    Theme(
        name=LIGHT, dark=False, primary="#0969da", secondary="#1b7c83", accent="#8250df", success="#1a7f37",
        warning="#9a6700", error="#cf222e", foreground="#1f2328", background="#ffffff", surface="#ffffff",
        panel="#f6f8fa", variables={"border": "#d0d7de", "border-blurred": "#d0d7de", "llmgw-dim": "#656d76"},
    ),
)  # fmt: skip

_ANSI = {
    "good": "green", "warn": "yellow", "bad": "red", "id": "cyan", "dim": "bright_black", "strong": "bold",
    "bar": "blue", "local": "green", "cheap": "cyan", "premium": "magenta", "cursor": "reverse", "mark": "bold yellow",
    "wrong": "bold red",
}  # fmt: skip


def styles(theme: Theme, variables: Mapping[str, str]) -> Styles:
    """The names as styles of a theme."""
    if theme.ansi:
        return Styles({name: Style.parse(style) for name, style in _ANSI.items()}, inherit=False)

    def colour(name: str) -> str:
        return variables[name].split()[0]

    dim = variables.get("llmgw-dim") or _between(colour("foreground"), colour("background"))
    good, cyan, violet, blue = (colour(name) for name in ("success", "secondary", "accent", "primary"))
    return Styles(
        {
            "good": Style(color=good),
            "warn": Style(color=colour("warning")),
            "bad": Style(color=colour("error")),
            "id": Style(color=cyan),
            "dim": Style(color=dim),
            "strong": Style(bold=True),
            "bar": Style(color=blue),
            "local": Style(color=good),
            "cheap": Style(color=cyan),
            "premium": Style(color=violet),
            "cursor": Style(bgcolor=_between(blue, colour("background"), 0.75)),
            "mark": Style(color=colour("warning"), bold=True),
            "wrong": Style(color=colour("error"), bold=True),
        },
        inherit=False,
    )


def check(name: str, available: Iterable[str]) -> None:
    """ConfigInvalid for a theme that there is not."""
    known = sorted(available)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
        raise ConfigInvalid(f"there is no theme `{name}`", hint=hint)


def _between(one: str, other: str, part: float = 0.45) -> str:
    from textual.color import Color  # noqa: PLC0415

    return Color.parse(one).blend(Color.parse(other), part).hex6
