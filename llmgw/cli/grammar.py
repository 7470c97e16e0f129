"""How a command line is read and explained: global options everywhere, help with examples, suggestions."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Any

from typer.core import TyperCommand, TyperGroup

from llmgw.cli import options, output
from llmgw.cli.options import bold, global_params
from llmgw.errors import BadRequest

EXAMPLES = "Examples:"
OTHER_WORDS = {
    "add": "create", "delete": "remove", "disable": "off", "down": "stop", "enable": "on", "get": "show", "ls": "list", "new": "create",
    "ps": "status", "rm": "remove", "run": "serve", "start": "serve", "up": "serve",
}  # fmt: skip
"""What other programs call our commands."""


def _written(option: Any) -> Any:
    """The option ``--help``, whose answer is written as every other is."""
    if option is not None:
        option.callback = _help
    return option


def _help(ctx: Any, _: Any, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        output.text(ctx.get_help())
        ctx.exit()


class Verb(TyperCommand):
    """A command that does something."""

    elsewhere = False
    """Whether it also works on, or does not care for, a gateway on another machine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for param in self.params:
            if param.param_type_name == "argument" and param.metavar is None and param.name:
                param.metavar = param.name.upper()
        self.params += global_params()

    def invoke(self, ctx: Any) -> Any:
        if not self.elsewhere and (url := options.url()):
            where = "unset LLMGW_URL" if options.given.url is None else "leave out `--url`"
            raise BadRequest(
                f"`{ctx.command_path}` works on the gateway's own machine, not on {url}",
                hint=f"{where}, or run it there",
            )
        return super().invoke(ctx)

    def get_help_option(self, ctx: Any) -> Any:
        return _written(super().get_help_option(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        explain(self, ctx, formatter)


class Noun(TyperGroup):
    """A word that holds commands; alone it shows its help."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += global_params()
        self.invoke_without_command = True

    def invoke(self, ctx: Any) -> Any:
        if not ctx._protected_args:  # noqa: SLF001  the words that are left; Click offers no other name
            return output.text(ctx.get_help())
        return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        if not ctx.resilient_parsing and not word.startswith("-") and self.get_command(ctx, word) is None:
            raise BadRequest(f"no command `{ctx.command_path} {word}`", hint=self._suggest(ctx, word))
        return super().resolve_command(ctx, args)

    def _suggest(self, ctx: Any, word: str) -> str:
        names = self.list_commands(ctx)
        near = [OTHER_WORDS[word]] if OTHER_WORDS.get(word) in names else get_close_matches(word, names, n=1)
        if near:
            return f"did you mean `{ctx.command_path} {near[0]}`?"
        return f"see `{ctx.command_path} --help`"

    def summaries(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        """Commands with one line of help each, by panel."""
        listed = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        return {"Commands": [(name, first_line(command.help)) for name, command in listed if command]}

    def get_help_option(self, ctx: Any) -> Any:
        return _written(super().get_help_option(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        explain(self, ctx, formatter)


def explain(command: Verb | Noun, ctx: Any, formatter: Any) -> None:
    """Write the help: what it does, usage, commands, options, examples."""
    words, _, examples = (command.help or "").partition(EXAMPLES)
    formatter.width = min(output.width(), 100)
    formatter.write_text(words.strip())
    formatter.write_paragraph()
    formatter.write_usage(ctx.command_path, " ".join(command.collect_usage_pieces(ctx)))
    if isinstance(command, Noun):
        for panel, entries in command.summaries(ctx).items():
            _section(formatter, panel, entries)
    arguments: list[tuple[str, str]] = []
    own: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    shared_names = {param.name for param in global_params()} | {"help"}
    for param in command.get_params(ctx):
        if entry := param.get_help_record(ctx):
            everywhere = param.name in shared_names and ctx.parent is not None
            kind = arguments if param.param_type_name == "argument" else shared if everywhere else own
            kind.append(entry)
    _section(formatter, "Arguments", arguments)
    _section(formatter, "Options", own)
    if shared:
        names = ", ".join(option.split(" ")[0].rstrip(",") for option, _ in shared)
        _section(formatter, "Global options", [(names, "")])
    if examples.strip():
        formatter.write_paragraph()
        formatter.write(bold("Examples", sys.stdout) + "\n")
        formatter.write("".join(f"  {line.strip()}\n" for line in examples.strip().splitlines()))


def first_line(words: str | None) -> str:
    """The first line of a help text without its full stop."""
    return (words or "").strip().partition("\n")[0].rstrip(".")


def _section(formatter: Any, title: str, entries: list[tuple[str, str]]) -> None:
    if entries:
        formatter.write_paragraph()
        formatter.write(bold(title, sys.stdout) + "\n")
        formatter.indent()
        formatter.write_dl(entries)
        formatter.dedent()
