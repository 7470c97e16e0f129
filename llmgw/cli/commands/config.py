"""Show, change and check the options of llmgw.toml."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.options import Format
from llmgw.cli.output import Column
from llmgw.errors import BadRequest, ConfigInvalid, NotFound

if TYPE_CHECKING:
    from llmgw.config.edit import Change
    from llmgw.config.model import Settings
    from llmgw.config.paths import Paths

PLACE = "SETUP", 2

app = typer.Typer()

NAMING = ("providers", "models", "tiers", "routes")
"""The tables that name targets, or say who has them."""

DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Show what would change, change nothing.")]


def complete(incomplete: str) -> list[str]:
    """Options that are there, by their dotted names."""
    from llmgw.config.model import Config
    from llmgw.config.values import dotted, options_of

    names = (dotted(option) for option, _ in options_of(Config()))
    return [name for name in names if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        help="Option, as server.port.", autocompletion=complete, show_default=False, metavar="OPTION"
    ),
]


@app.command()
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Also where each value comes from.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not at its default.")] = False,
) -> None:
    """Show every option in force; secrets are masked.

    Flags win over LLMGW_ variables, those over llmgw.toml, that over the defaults.

    Examples:
      llmgw config show --origin
      llmgw config show --changed
      llmgw config show --json
    """
    rows = [row for row in _rows(_settings()) if not changed or row["origin"] != "default"]
    columns = [Column("option"), Column("value"), *([Column("origin")] if origin else [])]
    output.rows(rows, columns, noun="options", ident="option")


@app.command()
def get(name: Name) -> None:
    """Print one option's value in force.

    Examples:
      llmgw config get server.port
    """
    from llmgw.config.values import dotted, parse_dotted, type_at

    option = dotted(parse_dotted(name))
    type_at(parse_dotted(name))
    for row in _rows(_settings()):
        if row["option"] == option:
            output.record(
                row, ident="option", text=output.cell("", row["value"]) if row["value"] != "" else ""
            )
            return
    raise NotFound(f"`{option}` is not set")


@app.command("set")
def set_(
    name: Name,
    value: Annotated[str, typer.Argument(help="New value; lists as a,b,c.", show_default=False)],
    dry_run: DryRun = False,
) -> None:
    """Set one option in llmgw.toml; comments are kept, nothing invalid is written.

    Secrets are not for the command line: write a reference, as '${GATEWAY_SECRET}'.

    Examples:
      llmgw config set server.port 9000
      llmgw config set tiers.cheap groq/llama-3.1-8b-instant,openai/gpt-5-nano
      llmgw config set -n 'prices."openai/gpt-5-nano".input' 0.05
    """
    from llmgw.config.edit import set_option
    from llmgw.config.expand import refers
    from llmgw.config.model import SECRET_OPTIONS
    from llmgw.config.values import parse_dotted

    option = parse_dotted(name)
    if option[-1] in SECRET_OPTIONS and value and not refers(value):
        better = f"`llmgw provider add {option[1]}`" if option[0] == "providers" else "'${GATEWAY_SECRET}'"
        raise BadRequest(
            "a secret on the command line is seen by others and stays in the shell's history",
            hint=f"use {better}",
        )
    apply(set_option(options.paths(), name, value), name, dry_run=dry_run)


@app.command()
def unset(name: Name, dry_run: DryRun = False) -> None:
    """Take one option, or a whole table, out of llmgw.toml.

    Examples:
      llmgw config unset server.port
      llmgw config unset 'models."claude-*"'
    """
    from llmgw.config.edit import remove_option
    from llmgw.config.values import parse_dotted

    apply(remove_option(options.paths(), parse_dotted(name)), name, dry_run=dry_run)


@app.command()
def edit() -> None:
    """Open llmgw.toml in $VISUAL or $EDITOR, and check it afterwards.

    Examples:
      llmgw config edit
      EDITOR=nano llmgw config edit
    """
    from llmgw.config.edit import write_starter

    paths = options.paths()
    if not paths.config.exists():
        write_starter(paths).save()
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), str(paths.config)], check=False).returncode  # noqa: S603
    except OSError as error:
        raise NotFound(f"cannot run `{editor}`: {error.strerror}", hint="set EDITOR") from None
    if code:
        raise typer.Exit(1)
    check()


@app.command()
def check() -> None:
    """Check llmgw.toml and the environment; exit 2 when something is wrong, as a target that nobody has.

    Also says what is set without an effect, and which targets no provider in use can serve.

    Examples:
      llmgw config check
      llmgw config check --json
    """
    from llmgw.service.assemble import survey
    from llmgw.service.naming import strangers

    paths = options.paths()
    settings = _settings(paths)
    found = survey(settings, paths, look=False)
    if lost := strangers(settings, found.upstreams, found.plan):
        words = "; ".join(f"{each.where}: `{each.name}` is nobody's, {each.why}" for each in lost)
        raise ConfigInvalid(words, hint=lost[0].hint)
    notes = [*settings.notes, *found.problems, *found.lost]
    where = (
        str(settings.path) if settings.path else "no llmgw.toml, which is fine: everything is at its default"
    )
    output.record(
        {"valid": True, "path": str(settings.path or ""), "notes": notes}, ident="path", text=f"ok: {where}"
    )
    if not options.given.quiet:
        for note in notes:
            notices.note(note)


@app.command()
def path() -> None:
    """Print where llmgw.toml and the other files lie.

    Examples:
      llmgw config path -q
      $EDITOR "$(llmgw config path -q)"
    """
    paths = options.paths()
    names = ("config", "database", "credentials", "log", "run", "lock", "keys", "state")
    output.record({name: str(getattr(paths, name)) for name in names}, ident="config")


@app.command()
def schema() -> None:
    """Print the JSON Schema of llmgw.toml, for editors.

    Examples:
      llmgw config schema > llmgw.schema.json
    """
    import msgspec

    from llmgw.config.model import Config

    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Config)}
    output.text(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _settings(paths: Paths | None = None) -> Settings:
    from llmgw.config.load import effective_config

    return effective_config(paths or options.paths())


def _rows(settings: Settings) -> list[dict[str, Any]]:
    from llmgw.config.masking import mask, mask_url
    from llmgw.config.model import SECRET_OPTIONS
    from llmgw.config.values import dotted, options_of

    rows = []
    for option, value in options_of(settings):
        if option[-1] in SECRET_OPTIONS:
            value = mask(value)  # noqa: PLW2901
        elif option[-1] == "base_url":
            value = mask_url(value)  # noqa: PLW2901
        name = dotted(option)
        shown = (
            output.cell("", value)
            if isinstance(value, list | dict | bool) or value in ("", None)
            else str(value)
        )
        value = shown if options.given.output is Format.TABLE else value  # noqa: PLW2901
        rows.append({"option": name, "value": value, "origin": settings.origins.get(name, "default")})
    return rows


def apply(change: Change, name: str, *, dry_run: bool, done: str = "set in") -> None:
    """Save a change and say what it did; a gateway that is running still has the old value.

    NotFound where it would name a target that nobody has.
    """
    from llmgw.service import background

    lost = _refuse_strangers(change)
    fields = {"option": name, "changed": bool(change.diff), "path": str(change.path)}
    if dry_run:
        output.record(
            {**fields, "diff": change.diff},
            ident="option",
            text=change.diff.rstrip("\n") or "nothing changes",
        )
        return
    try:
        change.save()
    except OSError as error:
        raise ConfigInvalid(f"cannot write {change.path}: {error.strerror}") from None
    output.record(
        fields, ident="option", text=f"{name} is {done} {change.path}" if change.diff else "nothing changes"
    )
    for problem in lost:
        notices.warn(problem)
    if change.diff and background.find(options.paths()):
        notices.note("the running gateway takes it up with `llmgw restart`")


def _refuse_strangers(change: Change) -> tuple[str, ...]:
    """NotFound where a change writes a target that nobody has; in words, which names lead nowhere after it."""
    from llmgw.config.load import effective_config
    from llmgw.service.assemble import survey
    from llmgw.service.naming import strangers, targets_of

    paths = options.paths()
    try:
        before, after = (effective_config(paths, text=text) for text in (change.before, change.after))
    except ConfigInvalid:  # by what the change does not touch; it may be on the way to mend that
        return ()
    if all(getattr(before, table) == getattr(after, table) for table in NAMING):
        return ()
    found = survey(after, paths)
    known = {name for _, name in targets_of(before)}
    for each in strangers(after, found.upstreams, found.plan):
        if each.name not in known:
            raise NotFound(f"{each.where}: `{each.name}` is nobody's, {each.why}", hint=each.hint)
    return found.lost
