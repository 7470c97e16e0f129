"""Print the variables that point SDKs and programs at the gateway."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import Annotated

import typer

from llmgw.cli import output
from llmgw.cli.linking import KeyName, find
from llmgw.cli.options import Format, given
from llmgw.cli.programs import variables

PLACE = "SETUP", 3
ELSEWHERE = ("env",)


class Shell(StrEnum):
    SH = "sh"
    FISH = "fish"
    DOTENV = "dotenv"


def command(
    key: KeyName = None,
    shell: Annotated[Shell, typer.Option(help="Whose syntax to write.")] = Shell.SH,
) -> None:
    """Print the variables that point SDKs and programs at the gateway.

    The output holds a key: read it with eval, or send it to a file of your own.

    Examples:
      eval "$(llmgw env)"
      eval "$(llmgw env --key ci)"
      llmgw env --shell fish | source
      llmgw env --json
    """
    found = variables(*find(key))
    if given.quiet or given.output is not Format.TABLE:
        output.record(found, ident="OPENAI_API_KEY")
        return
    for name, value in found.items():
        quoted = shlex.quote(value)
        match shell:
            case Shell.SH:
                output.text(f"export {name}={quoted}")
            case Shell.FISH:
                output.text(f"set -gx {name} {quoted}")
            case Shell.DOTENV:
                output.text(f"{name}={quoted}")
