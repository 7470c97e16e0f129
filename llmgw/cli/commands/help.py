"""Explain a command, a topic, or all commands at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from llmgw.cli import options, output
from llmgw.cli.grammar import Noun, first_line
from llmgw.errors import NotFound

PLACE = "SETUP", 8
ELSEWHERE = ("help",)

TOPICS = Path(__file__).parents[1] / "topics"


def complete(incomplete: str) -> list[str]:
    from llmgw.cli.app import entries

    return [word for word in [*topics(), "tree", *entries()] if word.startswith(incomplete)]


def command(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC|COMMAND...]", help="What to explain.", autocompletion=complete),
    ] = None,
) -> None:
    """Explain a command, a topic, or all commands at once.

    Examples:
      llmgw help key create
      llmgw help exit-codes
      llmgw help tree --json
    """
    root = ctx.find_root()
    match words or []:
        case []:
            _overview(root)
        case ["tree"]:
            _tree(root)
        case [topic] if topic in topics():
            content = (TOPICS / f"{topic}.md").read_text(encoding="utf-8").rstrip()
            title, _, body = content.partition("\n")
            heading = options.bold(title.removeprefix("# "), sys.stdout)
            output.record({"topic": topic, "text": content}, ident="topic", text=heading + "\n" + body)
        case names:
            _explain(root, names)


def topics() -> list[str]:
    return sorted(path.stem for path in TOPICS.glob("*.md"))


def _overview(root: Any) -> None:
    names = topics()
    text = f"{root.get_help()}\n\n{options.bold('Topics', sys.stdout)}\n  {', '.join(names)}, tree"
    output.record({"topics": [*names, "tree"], "commands": root.command.list_commands(root)}, text=text)


def _explain(root: Any, names: list[str]) -> None:
    """Show the help of a command as ``--help`` would."""
    ctx = root
    for name in names:
        found = ctx.command.get_command(ctx, name) if isinstance(ctx.command, Noun) else None
        if found is None:
            raise NotFound(
                f"no help on `{' '.join(names)}`",
                hint=f"topics are {', '.join(topics())}; commands: `llmgw --help`",
            )
        ctx = type(root)(found, info_name=name, parent=ctx)
    output.record({"command": " ".join(names), "text": ctx.get_help()}, ident="command", text=ctx.get_help())


def _tree(root: Any) -> None:
    tree = [
        _branch(root, root.command.get_command(root, name), name) for name in root.command.list_commands(root)
    ]
    lines = [line for branch in tree for line in _drawn(branch, 0)]
    output.record({"commands": tree}, ident="commands", text="\n".join(lines))


def _drawn(branch: dict[str, Any], depth: int) -> list[str]:
    line = f"{'  ' * depth + branch['name']:<12}{branch['summary']}"
    return [line, *(below for verb in branch["commands"] for below in _drawn(verb, depth + 1))]


def _branch(parent: Any, command: Any, name: str) -> dict[str, Any]:
    """Describe one command and those below it."""
    from llmgw.cli.app import entries

    verbs = [_branch(parent, verb, str(verb.name)) for verb in getattr(command, "commands", {}).values()]
    text, _, examples = (command.help or "").partition("Examples:")
    own = [param for param in command.params if param.expose_value]
    branch = {
        "name": name,
        "summary": first_line(text),
        "arguments": [p.metavar or p.name for p in own if p.param_type_name == "argument"],
        "options": {max(p.opts, key=len): p.help or "" for p in own if p.param_type_name == "option"},
        "examples": [line.strip() for line in examples.strip().splitlines()],
        "commands": verbs,
    }
    if name in entries() and command is parent.command.get_command(parent, name):
        branch["panel"] = entries()[name].panel
    return branch
