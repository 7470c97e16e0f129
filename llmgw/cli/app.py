"""The ``llmgw`` program: finds commands in a folder, runs one, turns every failure into words and an exit code."""

from __future__ import annotations

import importlib
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from llmgw import __version__
from llmgw.cli import notices, output
from llmgw.cli.grammar import Noun, Verb
from llmgw.cli.options import given
from llmgw.errors import GatewayError

FOLDER = Path(__file__).parent / "commands"
PANELS = ("GATEWAY", "WATCH", "CONTROL", "PROVIDERS", "SETUP")
PLACE = re.compile(r'^PLACE = "([A-Z]+)", (\d+)$', re.MULTILINE)
INTERRUPTED = 130

HELP = """One gateway in front of every model you use: one address, one key, every request priced.

Examples:
  llmgw serve
  llmgw status
  llmgw help exit-codes
"""


class Entry(NamedTuple):
    """What a command's file says of itself without being imported."""

    name: str
    summary: str
    panel: str
    rank: int

    @property
    def order(self) -> tuple[int, int, str]:
        return PANELS.index(self.panel), self.rank, self.name


@cache
def entries() -> dict[str, Entry]:
    """Every command of the folder in the order of the help."""
    found = [_read(path) for path in FOLDER.glob("*.py") if path.stem != "__init__"]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.order)}


def _read(path: Path) -> Entry:
    source = path.read_text(encoding="utf-8")
    place = PLACE.search(source)
    panel, rank = place.groups() if place else (PANELS[-1], 99)
    summary = source.partition("\n")[0].strip('"').rstrip(".")
    return Entry(path.stem.replace("_", "-"), summary, panel, int(rank))


@cache
def load(name: str) -> Any:
    """Import one command's file and make it a command with the house's help and global options."""
    module = importlib.import_module(f"llmgw.cli.commands.{name.replace('-', '_')}")
    app: typer.Typer = getattr(module, "app", None) or typer.Typer()
    if not hasattr(module, "app"):
        app.command(name)(module.command)
    app.info.name, app.info.help = name, module.__doc__
    _dress(app)
    group = typer.main.get_group(app)
    for word in getattr(module, "ELSEWHERE", ()):
        verb: Any = group.commands[word]
        verb.elsewhere = True
    return group.commands[name] if list(group.commands) == [name] else group


def _dress(app: typer.Typer) -> None:
    """Give the house's help and global options to a noun, its verbs, and the nouns within it."""
    app.info.cls, app.rich_markup_mode = Noun, None
    for verb in app.registered_commands:
        verb.cls = Verb
    for noun in app.registered_groups:
        if noun.typer_instance is not None:
            _dress(noun.typer_instance)


class Root(Noun):
    """``llmgw`` itself: its commands are files."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(entries())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        return load(cmd_name) if cmd_name in entries() else None

    def summaries(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:  # noqa: ARG002
        panels: dict[str, list[tuple[str, str]]] = {}
        for entry in entries().values():
            panels.setdefault(entry.panel, []).append((entry.name, entry.summary))
        return panels

    def invoke(self, ctx: Any) -> Any:
        if not ctx._protected_args:  # noqa: SLF001  as in Noun
            return _greet(ctx)
        return super().invoke(ctx)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Only names: importing every command would be slow."""
        from typer._click.shell_completion import CompletionItem

        matching = [entry for entry in entries().values() if entry.name.startswith(incomplete)]
        return [
            CompletionItem(entry.name, help=entry.summary) for entry in matching
        ] or super().shell_complete(ctx, incomplete)


def _show_version(value: bool) -> None:
    if value:
        output.text(f"llmgw {__version__}")
        raise typer.Exit


def _declare(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_show_version, is_eager=True, expose_value=False
        ),
    ] = False,
) -> None:
    """Carry the options of ``llmgw`` itself."""


@cache
def root() -> Root:
    """The whole command line."""
    app = typer.Typer()
    app.command("declare")(_declare)
    version: list[Any] = typer.main.get_group(app).commands["declare"].params
    settings = {"help_option_names": ["-h", "--help"]}
    return Root(name="llmgw", help=HELP, params=version, context_settings=settings, rich_markup_mode=None)


def _greet(ctx: Any) -> None:
    """Bare ``llmgw``: the help, and whether the gateway is up."""
    from llmgw.cli.options import paths, url
    from llmgw.service import background

    output.text(ctx.get_help())
    if there := url():
        output.text(f"\nthe gateway meant is at {there}, ask it with `llmgw status`")
        return
    running = background.find(paths())
    output.text(
        f"\ngateway is up at {running.url}"
        if running
        else "\ngateway is not running, start it with `llmgw serve`"
    )


def main() -> None:
    """Run the command line of this process and end with its exit code."""
    if "_LLMGW_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    if "pyreqwest" in sys.modules:
        # Its threads may still be letting go of what they held, and abort when the interpreter ends under them.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(words: list[str]) -> int:
    try:
        code = root().main(words, prog_name="llmgw", standalone_mode=False)
    except GatewayError as error:
        notices.error(error.message, error.hint)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except typer.TyperException as error:
        return _misused(error)
    except OSError as error:
        notices.error(f"{error.strerror or error}" + (f": `{error.filename}`" if error.filename else ""))
    except Exception as error:  # the last resort of a program is words, not a traceback
        if given.verbose:
            raise
        notices.error(f"{type(error).__name__}: {error}", "this is a bug; `-v` shows where it happened")
    else:
        return code if isinstance(code, int) else 0
    return 1


def _misused(error: typer.TyperException) -> int:
    """A command line that cannot be read, in our voice."""
    message = error.format_message().strip().rstrip(".").replace("'", "`")
    message, _, near = (
        message.replace(" (Possible options: ", " Did you mean ").rstrip(")").partition(" Did you mean ")
    )
    ctx = getattr(error, "ctx", None)
    hint = (
        f"did you mean {near.rstrip('?')}?"
        if near
        else f"see `{ctx.command_path if ctx else 'llmgw'} --help`"
    )
    notices.error(message[:1].lower() + message[1:].rstrip("."), hint)
    return error.exit_code
