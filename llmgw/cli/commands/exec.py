"""Run a program that is already pointed at the gateway."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from llmgw.cli.linking import KeyName, environment, executable, find

PLACE = "SETUP", 4
ELSEWHERE = ("exec",)


def command(
    program: Annotated[
        list[str], typer.Argument(help="The program and its arguments, after --.", metavar="PROGRAM")
    ],
    key: KeyName = None,
) -> None:
    """Run a program that is already pointed at the gateway.

    The key travels in the program's environment, never in its arguments. The exit code is the program's own.

    Examples:
      llmgw exec -- claude
      llmgw exec --key ci -- python nightly.py
      llmgw exec -- aider --model openai/gateway-auto
    """
    found = find(key)
    path = executable(program[0])
    os.execve(path, program, environment(path, *found))  # noqa: S606  replacing ourselves is the point
