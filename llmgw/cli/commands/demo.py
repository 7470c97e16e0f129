"""A private gateway with simulated traffic: nothing real is touched."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from llmgw.cli import notices
from llmgw.cli.options import Format, given
from llmgw.errors import BadRequest

PLACE = "WATCH", 7
ELSEWHERE = ("demo",)

WINDOW = "1h"


def command(
    no_dash: Annotated[
        bool, typer.Option("--no-dash", help="Print figures line by line instead of opening the dashboard.")
    ] = False,
    seconds: Annotated[
        int | None, typer.Option(min=1, help="With --no-dash: end after so many seconds.", metavar="N")
    ] = None,
) -> None:
    """A private gateway with simulated traffic, and the dashboard on it; nothing real is touched.

    Models, callers, prices and a month of history are made up. It runs in a folder of its own, uses no key of yours,
    calls nobody, and is gone when it ends.

    Examples:
      llmgw demo
      llmgw demo --no-dash --seconds 10
    """
    if not no_dash and (given.output is not Format.TABLE or seconds):
        raise BadRequest("the dashboard is for people, and ends with `q`", hint="`llmgw demo --no-dash`")
    if not no_dash and sys.stdout.isatty() and sys.stdin.isatty():
        from llmgw.cli.commands import dash

        dash.command(demo=True)
        return
    from llmgw.cli import opening
    from llmgw.cli.commands.watch import watch

    feed = opening.demo(WINDOW)
    notices.note(f"all of this is simulated; look closer with `llmgw --home {given.home} request tail`")
    asyncio.run(watch(feed, 1.0, seconds))
