"""Print the version of llmgw and of what it runs on."""

from __future__ import annotations

import platform

from llmgw import __version__
from llmgw.cli import output

PLACE = "SETUP", 9
ELSEWHERE = ("version",)


def command() -> None:
    """Print the version of llmgw and of what it runs on.

    Examples:
      llmgw version
      llmgw version --json
    """
    python = platform.python_version()
    system = f"{platform.system()} {platform.machine()}"
    output.record(
        {"version": __version__, "python": python, "platform": system},
        ident="version",
        text=f"llmgw {__version__} (Python {python}, {system})",
    )
