"""Run a program that is already pointed at the gateway."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from llmgw.cli.linking import KeyName, Url, find
from llmgw.cli.programs import variables
from llmgw.errors import NotFound

PLACE = "SETUP", 4

CREDENTIALS = {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"}
"""Of these a program may get one: with both Claude Code complains, and who else reads them takes the first."""


def command(
    program: Annotated[
        list[str], typer.Argument(help="The program and its arguments, after --.", metavar="PROGRAM")
    ],
    key: KeyName = None,
    url: Url = None,
) -> None:
    """Run a program that is already pointed at the gateway.

    The key travels in the program's environment, never in its arguments. The exit code is the program's own.

    Examples:
      llmgw exec -- claude
      llmgw exec --key ci -- python nightly.py
      llmgw exec -- aider --model openai/gateway-auto
    """
    found = find(url, key)
    path = shutil.which(program[0])
    if path is None:
        raise NotFound(f"there is no program `{program[0]}`", hint="is it installed, and on the PATH?")
    ours = variables(*found)
    if Path(path).stem != "claude":
        # Claude Code asks before it uses an API key; aider, llm and OpenCode know nothing but an API key.
        ours["ANTHROPIC_API_KEY"] = ours.pop("ANTHROPIC_AUTH_TOKEN")
    environ = {name: value for name, value in os.environ.items() if name not in CREDENTIALS}
    os.execve(path, program, environ | ours)  # noqa: S606  replacing ourselves is the point
