"""Who and what takes most: by model, key, tier, provider, tag."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import output
from llmgw.cli.options import Format, colored, given
from llmgw.cli.output import Column
from llmgw.domain import spelling
from llmgw.errors import BadRequest, TimedOut
from llmgw.rules.picture import AXES, HERE, WINDOWS, Picture, grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmgw.client.feed import Feed
    from llmgw.domain.pulse import Line

PLACE = "WATCH", 3
ELSEWHERE = ("top",)

WAIT_SECONDS = 10.0
PAUSE = 1.0
BAR = 12


class Sort(StrEnum):
    COST = "cost"
    REQUESTS = "requests"
    TOKENS = "tokens"
    ERRORS = "errors"


ORDER: dict[Sort, Callable[[dict[str, Any]], int]] = {
    Sort.COST: lambda row: row["cost_nanousd"],
    Sort.REQUESTS: lambda row: row["requests"],
    Sort.TOKENS: lambda row: row["input_tokens"] + row["output_tokens"],
    Sort.ERRORS: lambda row: row["errors"],
}
MACHINE = [
    Column("name"),
    Column("requests"),
    Column("errors"),
    Column("input_tokens", "INPUT"),
    Column("output_tokens", "OUTPUT"),
    Column("cost_nanousd"),
]


def command(
    by: Annotated[str, typer.Option(help=f"One of {', '.join(AXES)}.", metavar="WHAT")] = "model",
    window: Annotated[str, typer.Option(help=f"Of what time: {' '.join(WINDOWS)}.", metavar="WINDOW")] = "1h",
    sort: Annotated[Sort, typer.Option(help="Most of this first.")] = Sort.COST,
    limit: Annotated[int, typer.Option(min=1, help="How many lines at most.", metavar="N")] = 20,
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
) -> None:
    """Who and what takes most: by model, key, tier, provider, tag; refreshed until Ctrl-C.

    In a pipe, and in any format but the table, it is shown once.

    Examples:
      llmgw top
      llmgw top --by key --window 24h --sort requests
      llmgw top --once --json
    """
    from llmgw.cli import opening

    if by not in AXES:
        raise BadRequest(f"nothing is grouped by `{by}`", hint=f"there are {', '.join(AXES)}")
    if window not in WINDOWS:
        raise BadRequest(f"there is no window `{window}`", hint=f"one of {', '.join(WINDOWS)}")
    opening.check_there()
    live = not once and given.output is Format.TABLE and sys.stdout.isatty() and not given.quiet
    asyncio.run(_top(opening.live(window), by, sort, limit, live=live))


async def _top(feed: Feed, by: str, sort: Sort, limit: int, *, live: bool) -> None:
    picture = Picture()
    async with feed:
        try:
            picture.take(await asyncio.wait_for(anext(feed), WAIT_SECONDS))
        except TimeoutError:
            raise TimedOut(f"nothing was heard within {WAIT_SECONDS:g} s", hint=feed.words or None) from None
        if live:
            await _draw(feed, picture, by, sort, limit)
            return
    rows = groups(picture, by, sort)
    drawn = given.output is Format.TABLE and not given.fields
    output.rows(
        _drawn(rows[:limit], sort) if drawn else rows[:limit],
        _columns(by) if drawn else MACHINE,
        noun="groups",
        total=len(rows),
    )


async def _draw(feed: Feed, picture: Picture, by: str, sort: Sort, limit: int) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(color_system="auto" if colored(sys.stdout) else None)

    def drawn() -> Text:
        state = "" if feed.state.value == "live" else f"  {feed.state.value} {feed.words}"
        head = f"llmgw top by {by}   window {picture.window}   {spelling.clock(picture.now, picture.zone)}{state}"
        rows = groups(picture, by, sort)[: min(limit, max(1, console.height - 3))]
        body = output.table(_drawn(rows, sort), _columns(by)) if rows else ["no requests yet"]
        text = Text(f"{spelling.printable(head)}\n{body[0]}", style="bold", no_wrap=True, overflow="ellipsis")
        return text.append("".join(f"\n{line}" for line in body[1:]), style="not bold")

    async def read() -> None:
        async for beat in feed:
            picture.take(beat)

    reading = asyncio.create_task(read())
    try:
        with Live(drawn(), console=console, auto_refresh=False) as shown:
            while True:
                await asyncio.sleep(PAUSE)
                shown.update(drawn(), refresh=True)
    finally:
        reading.cancel()


def groups(picture: Picture, by: str, sort: Sort) -> list[dict[str, Any]]:
    """What programs read of each group in the window, most of ``sort`` first."""
    lines = picture.in_window()
    rates = _hit_rates(lines, by)
    rows = [
        {
            "name": group.name,
            "requests": group.counts.requests,
            "errors": group.counts.errors,
            "hit_rate": rates.get(group.name),
            "input_tokens": group.counts.input_tokens,
            "output_tokens": group.counts.output_tokens,
            "cost_nanousd": group.counts.cost,
            "saved_nanousd": group.counts.saved,
            "unpriced_requests": group.counts.unknown_cost,
            "mean_latency_us": group.counts.latency_us // group.counts.requests,
            "mean_ttft_us": group.counts.ttft_us // group.counts.ttft_count
            if group.counts.ttft_count
            else None,
        }
        for group in grouped(lines, by)
    ]
    return sorted(rows, key=ORDER[sort], reverse=True)


def _hit_rates(lines: Iterable[Line], by: str) -> dict[str, float | None]:
    """What part of each group's requests a cache of ours answered."""
    lines = list(lines)
    here = {group.name: group.counts for group in grouped((each for each in lines if each.cache in HERE), by)}
    return {
        group.name: here[group.name].requests / group.counts.requests if group.name in here else 0.0
        for group in grouped(lines, by)
    }


def _columns(by: str) -> list[Column]:
    return [
        Column("name", by.upper()),
        Column("requests", "REQ"),
        Column("share", wide=True),
        Column("errors", "ERR"),
        Column("hit", "HIT"),
        Column("input", "IN", wide=True),
        Column("output", "OUT", wide=True),
        Column("mean_ttft_us", "TTFT", wide=True),
        Column("mean_latency_us", "TOOK", wide=True),
        Column("saved_nanousd", "SAVED", wide=True),
        Column("cost_nanousd"),
    ]


def _drawn(rows: list[dict[str, Any]], sort: Sort) -> list[dict[str, Any]]:
    """Groups as people read them, with bars of what they are sorted by."""
    most = max((ORDER[sort](row) for row in rows), default=0)
    return [
        row
        | {
            "share": spelling.bar(ORDER[sort](row) / most if most else 0.0, BAR, rest=False),
            "hit": spelling.percent(row["hit_rate"]),
            "input": spelling.tokens(row["input_tokens"]),
            "output": spelling.tokens(row["output_tokens"]),
        }
        for row in rows
    ]
