"""What was spent by day, week or month, by model, key, tag, tier or provider."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins
from msgspec.structs import replace

from llmgw.cli import notices, options, output
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_range
from llmgw.desk.reports import NO_END, Group
from llmgw.domain.budget import Window

if TYPE_CHECKING:
    from collections.abc import Callable


PLACE = "WATCH", 5
ELSEWHERE = ("daily", "weekly", "monthly")

app = typer.Typer()


class Sort(StrEnum):
    PERIOD = "period"
    COST = "cost"
    REQUESTS = "requests"
    TOKENS = "tokens"


MEASURES = [
    Column("requests"),
    Column("errors", wide=True),
    Column("input_tokens", "INPUT"),
    Column("cache_read_tokens", "CACHED", wide=True),
    Column("output_tokens", "OUTPUT"),
    Column("cost_nanousd"),
    Column("saving_nanousd", "SAVED", wide=True),
]
ORDER: dict[Sort, Callable[[dict[str, Any]], int]] = {
    Sort.COST: lambda line: -(line["cost_nanousd"] or 0),
    Sort.REQUESTS: lambda line: -line["requests"],
    Sort.TOKENS: lambda line: -line["input_tokens"] - line["output_tokens"],
}

By = Annotated[Group | None, typer.Option(help="Split each period.")]
Since = Annotated[str | None, typer.Option(help="From this time on: 7d, today, 2026-11-01.", metavar="TIME")]
Until = Annotated[str | None, typer.Option(help="Before this time.", metavar="TIME")]
Zone = Annotated[
    str | None,
    typer.Option("--tz", help="Whose days: Europe/Berlin, UTC; this machine's by default.", metavar="ZONE"),
]
Breakdown = Annotated[bool, typer.Option("--breakdown", help="Show the models within each line.")]
Sorted = Annotated[Sort, typer.Option(help="By period, or most of this first.")]
Limit = Annotated[int | None, typer.Option(min=1, help="How many lines at most.", metavar="N")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Short for `-o csv`.")]


@app.command()
def daily(
    by: By = None,
    since: Since = None,
    until: Until = None,
    tz: Zone = None,
    breakdown: Breakdown = False,
    sort: Sorted = Sort.PERIOD,
    limit: Limit = None,
    csv: AsCsv = False,
) -> None:
    """Report each day.

    Examples:
      llmgw report daily
      llmgw report daily --by model --since 7d
      llmgw report daily --by tag --since 30d --json
    """
    _report(Window.DAY, by, since, until, tz, breakdown, sort, limit, csv)


@app.command()
def weekly(
    by: By = None,
    since: Since = None,
    until: Until = None,
    tz: Zone = None,
    breakdown: Breakdown = False,
    sort: Sorted = Sort.PERIOD,
    limit: Limit = None,
    csv: AsCsv = False,
) -> None:
    """Report each week, Monday to Sunday.

    Examples:
      llmgw report weekly --by provider
      llmgw report weekly --breakdown
    """
    _report(Window.WEEK, by, since, until, tz, breakdown, sort, limit, csv)


@app.command()
def monthly(
    by: By = None,
    since: Since = None,
    until: Until = None,
    tz: Zone = None,
    breakdown: Breakdown = False,
    sort: Sorted = Sort.PERIOD,
    limit: Limit = None,
    csv: AsCsv = False,
) -> None:
    """Report each month.

    Examples:
      llmgw report monthly
      llmgw report monthly --by key --breakdown --csv > months.csv
    """
    _report(Window.MONTH, by, since, until, tz, breakdown, sort, limit, csv)


def _report(
    window: Window,
    by: Group | None,
    since: str | None,
    until: str | None,
    tz: str | None,
    breakdown: bool,
    sort: Sort,
    limit: int | None,
    csv: bool,
) -> None:
    from llmgw.cli.reaching import gateway
    from llmgw.desk.reports import ShowReport
    from llmgw.desk.wire import moment

    if csv:
        options.given.output = options.Format.CSV
    with gateway() as there:
        start, end = parse_range(since, until, time.time_ns(), there.zone(tz) if since or until else None)
        ask = ShowReport(window=window, by=by, since=moment(start), until=moment(end), tz=tz)
        lines = list(map(to_builtins, there.ask(ask).lines))
        inner = replace(ask, within=Group.MODEL)
        parts = list(map(to_builtins, there.ask(inner).lines)) if breakdown else []
    group = None if by is None else by.value
    if sort is not Sort.PERIOD:
        lines.sort(key=ORDER[sort])
    shown = lines[:limit]
    columns = [Column("period"), *([Column(group)] if group else []), *MEASURES]
    if breakdown:
        columns.insert(-len(MEASURES), Column("within", "MODEL"))
        shown = [
            each for line in shown for each in (line, *(part for part in parts if _same(part, line, group)))
        ]
    if unpriced := sum(line["unpriced_requests"] for line in lines):
        notices.note(
            f"{unpriced:,} requests have no known price and are not in the cost; `llmgw model price` sets one"
        )
    output.rows(
        shown,
        columns,
        noun="lines",
        ident="period",
        total=len(shown) + max(0, len(lines) - (limit or NO_END)),
    )


def _same(part: dict[str, Any], line: dict[str, Any], group: str | None) -> bool:
    return part["period"] == line["period"] and (group is None or part[group] == line[group])
