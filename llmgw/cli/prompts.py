"""Every question a command asks; each has an option that answers it beforehand."""

from __future__ import annotations

import sys
from getpass import getpass

from llmgw.cli import notices
from llmgw.cli.options import given, shown
from llmgw.errors import BadRequest


def interactive() -> bool:
    """Whether somebody is there to answer."""
    return not given.no_input and sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool, option: str = "-y") -> None:
    """Go on only with ``yes`` or a typed y; BadRequest naming ``option`` where nobody can be asked."""
    if yes:
        return
    if not interactive():
        raise BadRequest(
            f"{question[0].lower()}{question[1:].rstrip('?')}: nobody to ask", hint=f"add `{option}` to go on"
        )
    if not agreed(question):
        raise KeyboardInterrupt


def agreed(question: str) -> bool:
    """Whether somebody who is there types y."""
    return _ask(f"{question} [y/N] ").lower() in {"y", "yes"}


def hidden(question: str, *, option: str) -> str:
    """A secret typed without echo; ``option`` is how to give it where nobody can be asked."""
    _require(question, option)
    return getpass(f"{question}: ", stream=sys.stderr).strip()


def text(question: str, default: str = "", *, option: str) -> str:
    """A line typed by the user, ``default`` for an empty one."""
    _require(question, option)
    return _ask(f"{question} [{default}]: " if default else f"{question}: ") or default


def choose(question: str, choices: list[str], *, option: str) -> str:
    """One of a few, by number or by name."""
    _require(question, option)
    for number, choice in enumerate(choices, 1):
        notices.say(f"  {number}  {choice}")
    while True:
        answer = _ask(f"{question} [1]: ") or "1"
        if answer in choices:
            return answer
        if answer.isdecimal() and 0 < int(answer) <= len(choices):
            return choices[int(answer) - 1]


def _require(question: str, option: str) -> None:
    if not interactive():
        raise BadRequest(f"{question}: nobody to ask", hint=f"give it with `{option}`")


def _ask(question: str) -> str:
    """``input`` would write the question to stdout, which holds data only."""
    sys.stderr.write(shown(question))
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise KeyboardInterrupt
    return line.strip()
