"""Run a program that is already pointed at the gateway."""

from __future__ import annotations

import os
import shutil
from typing import Annotated

import typer

from llmgw.cli.linking import KeyName, Url, find
from llmgw.cli.programs import variables
from llmgw.errors import NotFound

PLACE = "SETUP", 4

REPLACED = ("ANTHROPIC_API_KEY",)
"""Variables that would go before ours in the program."""


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
    environ = {name: value for name, value in os.environ.items() if name not in REPLACED}
    os.execve(path, program, environ | variables(*found))  # noqa: S606  replacing ourselves is the point
