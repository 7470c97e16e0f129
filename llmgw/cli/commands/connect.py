"""Write a program's own settings so that it uses the gateway."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmgw.cli import notices, options, output, rewriting
from llmgw.cli.linking import PLACEHOLDER, KeyName, find
from llmgw.cli.options import Format, given
from llmgw.cli.programs import PROGRAMS, SERVED, Link, Machine, Program
from llmgw.errors import ConfigInvalid, NotAllowed, NotFound

if TYPE_CHECKING:
    from llmgw.cli.linking import Found
    from llmgw.config.paths import Paths

PLACE = "SETUP", 5
ELSEWHERE = ("connect",)

LISTED = 50
"""Models of the gateway that are written into programs which want a list."""


def complete(incomplete: str) -> list[str]:
    return [name for name in PROGRAMS if name.startswith(incomplete)]


def command(
    program: Annotated[
        str | None,
        typer.Argument(help=f"One of {', '.join(PROGRAMS)}.", autocompletion=complete, show_default=False),
    ] = None,
    print_: Annotated[bool, typer.Option("--print", help="Show the settings, write nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put the settings back as they were.")] = False,
    model: Annotated[
        str | None,
        typer.Option(help="Model it starts with; gateway-auto where it wants one.", show_default=False),
    ] = None,
    key: KeyName = None,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="With --undo: lose later changes to the settings.")
    ] = False,
) -> None:
    """Write a program's own settings so that it uses the gateway.

    Each program gets a key of its own name, so that reports tell them apart. Its files are kept as they were until
    `--undo` brings them back byte for byte. Without a program: which there are and which are connected.

    Examples:
      llmgw connect claude-code
      llmgw connect openclaw --model gateway-auto --print
      llmgw connect aider --undo
    """
    paths = options.paths()
    if program is None:
        _list(paths)
        return
    chosen = PROGRAMS.get(program)
    if chosen is None:
        raise NotFound(
            f"`{program}` is not known", hint=f"there are {', '.join(PROGRAMS)}; or `llmgw exec -- {program}`"
        )
    record = paths.connections / f"{program}.json"
    if undo:
        restored = rewriting.undo(record, force=yes)
        _tell(program, restored, f"{chosen.title} has its own settings back")
        return
    if chosen.speaks not in SERVED and not print_:
        raise NotAllowed(
            f"{chosen.title} speaks only {chosen.speaks}, which this version does not serve",
            hint=f"`llmgw connect {program} --print` shows the settings it would need",
        )
    found = find(key, default_key=program, issue=not print_)
    link = Link(found.url, found.key, chosen.model if model is None else model, _models(found))
    texts = _rewritten(chosen, link, paths)
    if print_:
        _show(texts)
        if link.key == PLACEHOLDER:
            notices.note(f"{PLACEHOLDER} stands for a key; `llmgw key create {program}` makes one")
        return
    rewriting.write(record, texts)
    start = chosen.start.format(file=next(iter(texts)), model=link.model)
    _tell(program, list(texts), f"{chosen.title} uses {link.url}; start it with `{start}`")
    if chosen.note:
        notices.note(chosen.note)


def _rewritten(program: Program, link: Link, paths: Paths) -> dict[Path, str]:
    """The new text of every file the program needs; ConfigInvalid where one cannot be read."""
    machine = Machine(Path.home(), os.environ, paths.state)
    texts = {}
    for path, rewrite in program.files(link, machine).items():
        before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        try:
            texts[path] = rewrite(before)
        except ValueError as error:  # tomlkit's errors are
            raise ConfigInvalid(f"{path} cannot be read: {error}", hint="mend it, or move it away") from None
        except ConfigInvalid as error:
            raise ConfigInvalid(f"{path}: {error.message}", hint="mend it, or move it away") from None
        if path.suffix in {".json", ".jsonc"} and before and not _plain_json(before):
            notices.note(f"comments in {path} are not kept; `--undo` brings them back")
    return texts


def _plain_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _models(found: Found) -> tuple[str, ...]:
    """Models that the gateway lists, if it answers."""
    import httpx

    try:
        with httpx.Client(timeout=3, trust_env=False) as client:
            reply = client.get(f"{found.url}/v1/models", headers={"authorization": f"Bearer {found.key}"})
            return tuple(model["id"] for model in reply.raise_for_status().json()["data"])[:LISTED]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ()


def _list(paths: Paths) -> None:
    rows = [
        {
            "program": name,
            "title": program.title,
            "speaks": program.speaks,
            "connected": (paths.connections / f"{name}.json").exists(),
        }
        for name, program in PROGRAMS.items()
    ]
    columns = [output.Column(name) for name in ("program", "title", "speaks", "connected")]
    output.rows(rows, columns, noun="programs", ident="program")


def _show(texts: dict[Path, str]) -> None:
    if given.output is not Format.TABLE:
        files = [{"path": str(path), "content": text} for path, text in texts.items()]
        output.rows(files, [output.Column("path"), output.Column("content")], noun="files", ident="path")
        return
    for path, text in texts.items():
        notices.say(f"# {path}")
        output.text(text.rstrip("\n"))


def _tell(program: str, files: list[Path], text: str) -> None:
    output.record({"program": program, "files": [str(path) for path in files]}, ident="program", text=text)
    for path in files:
        notices.detail(f"  {path}")
