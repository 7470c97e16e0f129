"""Everything a command says besides its answer; the only writer of stderr."""

from __future__ import annotations

import sys

from llmgw.cli.options import given, shown, styled

RED, YELLOW, CYAN = "1;31", "1;33", "1;36"


def error(message: str, help_: str | None = None) -> None:
    """What went wrong in one line, and below it the command or change that helps."""
    _say("error", RED, message)
    if help_:
        _write("")
        hint(help_)


def warn(message: str) -> None:
    _say("warning", YELLOW, message)


def hint(message: str) -> None:
    """Name the command or change that helps."""
    _say("hint", CYAN, message)


def note(message: str) -> None:
    """Something worth knowing that changes nothing, as a list that was cut."""
    _say("note", CYAN, message)


def detail(message: str) -> None:
    """Shown with ``-v`` only."""
    if given.verbose:
        _write(message)


def say(message: str) -> None:
    """Plain words; ``-q`` silences them."""
    if not given.quiet:
        _write(message)


def _say(word: str, color: str, message: str) -> None:
    _write(f"{styled(f'{word}:', color, sys.stderr)} {message}")


def _write(line: str) -> None:
    sys.stderr.write(shown(line) + "\n")
    sys.stderr.flush()
