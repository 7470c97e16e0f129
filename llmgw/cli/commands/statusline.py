"""One line for tmux, starship and Claude Code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from msgspec import to_builtins

from llmgw.cli import notices, options, output, rewriting, status_line
from llmgw.cli.options import given
from llmgw.cli.status_bars import Bar, change, own_command
from llmgw.errors import BadRequest, ConfigInvalid

PLACE = "WATCH", 6
ELSEWHERE = ("statusline",)


def command(
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="What it says, figures in braces: state today month saved burn hit prompt_hit requests errors left bar.",
            metavar="TEXT",
            show_default=False,
        ),
    ] = status_line.FORMAT,
    install: Annotated[
        Bar | None, typer.Option(help="Have it shown in: tmux, claude or starship.", metavar="PROGRAM")
    ] = None,
    print_: Annotated[bool, typer.Option("--print", help="With --install: show the settings only.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="With --install: put the settings back as they were.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="With --undo: lose later changes to the settings.")
    ] = False,
) -> None:
    """One line for tmux, starship and Claude Code: today's spend, what the caches answered, $/h, the tightest budget.

    It reads the ledger of this machine, whether the gateway is up or not, and says so where it is not.

    Examples:
      llmgw statusline
      llmgw statusline --install tmux
      llmgw statusline --format '{today} {bar}'
      llmgw statusline --install claude --undo
    """
    if install is None:
        if print_ or undo:
            raise BadRequest("`--print` and `--undo` go with `--install PROGRAM`")
        _show(form)
        return
    record = options.paths().connections / f"statusline-{install}.json"
    if undo:
        _tell(install, rewriting.undo(record, force=yes), f"{install} has its own settings back")
        return
    home = given.home or os.environ.get("LLMGW_HOME") or ""
    what = change(
        install, own_command(str(Path(home).expanduser().absolute()) if home else ""), Path.home(), os.environ
    )
    try:
        before = what.path.read_text(encoding="utf-8-sig") if what.path.exists() else ""
        text = what.rewrite(before)
    except (ValueError, ConfigInvalid) as error:
        raise ConfigInvalid(f"{what.path} cannot be read: {error}", hint="mend it, or move it away") from None
    if print_:
        notices.say(f"# {what.path}")
        output.text(text.rstrip("\n"))
        return
    rewriting.write(record, {what.path: text})
    _tell(install, [what.path], f"{install} shows the status line")
    notices.note(what.note)


def _show(form: str) -> None:
    if options.url():
        from llmgw.cli.reaching import gateway
        from llmgw.desk.glance import ShowGlance

        with gateway() as there:
            found = to_builtins(there.ask(ShowGlance()))
    else:
        found = status_line.figures(options.paths())
    output.record(found, ident="state", text=status_line.spell(found, form))


def _tell(program: str, files: list[Path], text: str) -> None:
    output.record({"program": program, "files": [str(path) for path in files]}, ident="program", text=text)
    for path in files:
        notices.detail(f"  {path}")
