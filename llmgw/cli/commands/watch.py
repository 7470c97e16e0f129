"""The gateway's figures in a few lines, live."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from llmgw.cli import output, watching
from llmgw.cli.options import Format, colored, given
from llmgw.domain import spelling
from llmgw.domain.spans import parse_span
from llmgw.errors import BadRequest
from llmgw.rules.picture import WINDOWS, Picture

if TYPE_CHECKING:
    from llmgw.client.feed import Feed

PLACE = "WATCH", 2
ELSEWHERE = ("watch",)

LEAST = 10**8
FIRST_SECONDS = 2.0
"""What a first pulse is waited for."""


def command(
    window: Annotated[
        str, typer.Option(help=f"What rates and charts are of: {' '.join(WINDOWS)}.", metavar="WINDOW")
    ] = "1h",
    every: Annotated[str, typer.Option(help="How often: 1s, 10s, 1m.", metavar="SPAN")] = "1s",
    count: Annotated[
        int | None, typer.Option("-n", "--count", min=1, help="End after so many.", metavar="N")
    ] = None,
) -> None:
    """The gateway's figures in a few lines, live, until Ctrl-C.

    In a terminal they are drawn in place; in a pipe, and with `--json`, each moment is a line.

    Examples:
      llmgw watch
      llmgw watch --every 10s --json >> figures.jsonl
      llmgw watch -n 1
    """
    from llmgw.cli import opening

    if window not in WINDOWS:
        raise BadRequest(f"there is no window `{window}`", hint=f"one of {', '.join(WINDOWS)}")
    pause = parse_span(every)
    if pause < LEAST:
        raise BadRequest(f"`--every {every}` is too often", hint="ten times a second is the most")
    opening.check_there()
    asyncio.run(watch(opening.live(window), pause / 1e9, count))


async def watch(feed: Feed, pause: float, count: int | None) -> None:
    """Draw what a feed tells, or write it line by line, so many times or for ever."""
    picture, first = Picture(), asyncio.Event()

    async def read() -> None:
        async for beat in feed:
            picture.take(beat)
            if picture.last is not None:
                first.set()

    async with feed:
        reading = asyncio.create_task(read())
        with suppress(TimeoutError):
            await asyncio.wait_for(first.wait(), FIRST_SECONDS)
        try:
            if given.output is Format.TABLE and sys.stdout.isatty() and not given.quiet:
                await _draw(picture, feed, pause, count)
            else:
                await _lines(picture, feed, pause, count)
        finally:
            reading.cancel()


async def _lines(picture: Picture, feed: Feed, pause: float, count: int | None) -> None:
    stream = output.Stream([output.Column("figures_at"), output.Column("state")], {}, ident="state")
    for number in _numbers(count):
        if number:
            await asyncio.sleep(pause)
        if given.output is Format.TABLE:
            output.text(watching.line(picture, feed.state.value, feed.words, plain=_plain()))
        else:
            stream.write(watching.machine(picture, feed.state.value, feed.words))


async def _draw(picture: Picture, feed: Feed, pause: float, count: int | None) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, plain = Console(color_system="auto" if colored(sys.stdout) else None), _plain()

    def drawn() -> Text:
        block = watching.block(picture, feed.state.value, feed.words, console.width, plain=plain)
        head, *rest = map(spelling.printable, block)
        text = Text(head, style="bold" if feed.state.value == "live" else "bold yellow", no_wrap=True)
        for line in rest:
            text.append(
                f"\n{line}", style="not bold yellow" if line.startswith("  !") else "not bold default"
            )
        return text

    with Live(drawn(), console=console, auto_refresh=False) as shown:
        for number in _numbers(count):
            if number:
                await asyncio.sleep(pause)
            shown.update(drawn(), refresh=True)


def _numbers(count: int | None) -> range:
    return range(count if count is not None else sys.maxsize)


def _plain() -> bool:
    """Whether only ASCII can be shown."""
    return not (sys.stdout.encoding or "").lower().startswith("utf")
