"""Print the completion script of a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from llmgw.cli import output

PLACE = "SETUP", 7
ELSEWHERE = ("completion",)


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def command(shell: Annotated[Shell, typer.Argument(help="Which shell.", show_default=False)]) -> None:
    """Print the completion script of a shell.

    Names of keys and models are completed too, from the ledger of this machine.

    Examples:
      llmgw completion bash > ~/.local/share/bash-completion/completions/llmgw
      llmgw completion zsh > ~/.zfunc/_llmgw
      llmgw completion fish > ~/.config/fish/completions/llmgw.fish
    """
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="llmgw", complete_var="_LLMGW_COMPLETE", shell=shell.value)
    output.record({"shell": shell.value, "script": script}, ident="shell", text=script)
