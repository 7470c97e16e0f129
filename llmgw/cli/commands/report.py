"""What was spent by day, week or month, by model, key, tag, tier or provider."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_range
from llmgw.cli.zones import read_zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.storage.reports import Line

PLACE = "WATCH", 5

app = typer.Typer()

NO_END = 2**63 - 1


class Group(StrEnum):
    MODEL = "model"
    KEY = "key"
    TIER = "tier"
    TAG = "tag"
    PROVIDER = "provider"


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
    _report("day", by, since, until, tz, breakdown, sort, limit, csv)


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
    _report("week", by, since, until, tz, breakdown, sort, limit, csv)


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
    _report("month", by, since, until, tz, breakdown, sort, limit, csv)


def _report(
    window: str,
    by: Group | None,
    since: str | None,
    until: str | None,
    tz: str | None,
    breakdown: bool,
    sort: Sort,
    limit: int | None,
    csv: bool,
) -> None:
    from llmgw.client import local

    if csv:
        options.given.output = options.Format.CSV
    zone = read_zone(tz)
    start, end = parse_range(since, until, time.time_ns(), zone)
    group = None if by is None else by.value
    reach = (window, zone, start or 0, NO_END if end is None else end, group)
    with local.reports(options.paths()) as reports:
        lines = [_describe(line, by) for line in reports.report(*reach)]
        parts = [_describe(line, by) for line in reports.report(*reach, within="model")] if breakdown else []
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


def _describe(line: Line, by: Group | None) -> dict[str, Any]:
    totals = line.totals
    return {
        "period": line.period,
        "starts_at": line.start,
        "ends_at": line.end,
        **({by.value: line.group or None} if by else {}),
        "within": line.part or None,
        "requests": totals.requests,
        "errors": totals.errors,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cache_read_tokens": totals.cache_read_tokens,
        "cache_write_tokens": totals.cache_write_tokens,
        "reasoning_tokens": totals.reasoning_tokens,
        "cost_nanousd": None if totals.requests == totals.unknown_cost > 0 else totals.cost,
        "unpriced_requests": totals.unknown_cost,
        "estimated_requests": totals.estimated,
        "premium_cost_nanousd": totals.premium_cost,
        "saving_nanousd": totals.saving,
        "mean_latency_us": totals.mean_latency_us,
        "mean_ttft_us": totals.mean_ttft_us,
    }


def _same(part: dict[str, Any], line: dict[str, Any], group: str | None) -> bool:
    return part["period"] == line["period"] and (group is None or part[group] == line[group])
