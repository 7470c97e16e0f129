"""The options that every command takes, and what of them was given on this command line."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from llmgw.domain.spelling import ESCAPED

if TYPE_CHECKING:
    from llmgw.config.paths import Paths


STYLES = ("0", "1", "31", "32", "33", "1;31", "1;33", "1;36")
"""What we draw with, as a terminal calls it: plain, bold, red, green, amber, and bold red, amber and cyan."""
MARK = 0xD800
"""The first of the characters that stand for our styles until a text is written: halves, which no stored text can hold."""
SHOWN = ESCAPED | {MARK + number: f"\033[{style}m" for number, style in enumerate(STYLES)}


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PLAIN = "plain"


class When(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass
class Given:
    """What was typed; ``output``, ``notices`` and ``prompts`` obey it."""

    output: Format = Format.TABLE
    fields: tuple[str, ...] = ()
    quiet: bool = False
    verbose: int = 0
    utc: bool = False
    color: When = When.AUTO
    no_input: bool = False
    home: str | None = None
    config: str | None = None
    url: str | None = None


given = Given()


def url() -> str:
    """The gateway elsewhere that is meant; empty for the one of this machine."""
    return given.url or os.environ.get("LLMGW_URL", "")


def paths() -> Paths:
    """Where the gateway's files lie for ``--home`` and ``--config``, else for the environment."""
    from llmgw.config.paths import locate

    return locate(given.home, given.config)


def colored(stream: TextIO) -> bool:
    """Whether to colour what goes to this stream: ``--color``, then NO_COLOR, FORCE_COLOR, TERM, then the terminal."""
    if given.color is not When.AUTO:
        return given.color is When.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def bold(text: str, stream: TextIO) -> str:
    return styled(text, "1", stream)


def styled(text: str, style: str, stream: TextIO) -> str:
    """A text in one of ``STYLES``, for people; ``shown`` makes it what the terminal gets."""
    if not colored(stream) or (stream is sys.stdout and given.output is not Format.TABLE):
        return text
    return f"{chr(MARK + STYLES.index(style))}{text}{chr(MARK)}"


def shown(text: str) -> str:
    """A text as it goes to a terminal: with our own styles, and none of the control characters that it holds."""
    return text.translate(SHOWN)


def _keep(param: typer.CallbackParam, value: Any) -> None:
    """Remember a value that was typed; the same option may stand before and after the command."""
    if value is None or value is False or value == 0:
        return
    match param.name:
        case "json":
            given.output = Format.JSON
        case "fields":
            given.fields = tuple(field.strip() for field in value.split(",") if field.strip())
        case name:
            setattr(given, str(name), value)


def _option(*names: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, callback=_keep, expose_value=False, show_default=False, **more)


def declare(
    output: Annotated[
        Format | None, _option("-o", "--output", text="Format of the answer.", metavar="FORMAT")
    ] = None,
    json: Annotated[bool, _option("--json", text="Short for `-o json`.")] = False,
    fields: Annotated[
        str | None, _option("--fields", text="Only these fields, as a,b,c.", metavar="NAMES")
    ] = None,
    quiet: Annotated[bool, _option("-q", "--quiet", text="Print only names or ids.")] = False,
    verbose: Annotated[
        int, _option("-v", "--verbose", text="Say more on stderr; repeat for more.", count=True)
    ] = 0,
    utc: Annotated[bool, _option("--utc", text="Absolute times (UTC) in tables.")] = False,
    color: Annotated[When | None, _option("--color", text="auto, always or never.", metavar="WHEN")] = None,
    no_input: Annotated[
        bool, _option("--no-input", text="Never ask; fail instead.", envvar="LLMGW_NO_INPUT")
    ] = False,
    home: Annotated[
        str | None,
        _option("--home", text="Keep all files under this folder.  [env: LLMGW_HOME]", metavar="DIR"),
    ] = None,
    config: Annotated[
        str | None, _option("--config", text="Read this file.  [env: LLMGW_CONFIG]", metavar="FILE")
    ] = None,
    url: Annotated[
        str | None, _option("--url", text="A gateway elsewhere.  [env: LLMGW_URL]", metavar="URL")
    ] = None,
) -> None:
    """Carry the global options: only the declarations of this function are used."""


def global_params() -> list[Any]:
    """The global options as parameters for one more command."""
    app = typer.Typer()
    app.command("declare")(declare)
    params: list[Any] = typer.main.get_group(app).commands["declare"].params
    return params
