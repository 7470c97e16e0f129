"""What was spent by day, week, month or session, by model, key, tag, tier or provider."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins
from msgspec.structs import replace

from llmgw.cli import completing, notices, output
from llmgw.cli.options import Format, given
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_range, parse_span
from llmgw.desk.reports import NO_END, Group, ShowReport
from llmgw.domain import spelling
from llmgw.domain.budget import Window
from llmgw.errors import BadRequest
from llmgw.rules.windows import HOUR, bucket, lately

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.client.gateway import Gateway

PLACE = "WATCH", 5
ELSEWHERE = ("daily", "weekly", "monthly", "session")

app = typer.Typer()

BAR = 12
QUARTER = HOUR // 4
LATELY = "7d"
"""How far back sessions are looked for where nothing is said."""


class Sort(StrEnum):
    PERIOD = "period"
    COST = "cost"
    REQUESTS = "requests"
    TOKENS = "tokens"


COST = ("cost_nanousd", "saving_nanousd", "bar")
WIDE = ("errors", "cache_read_tokens", "saving_nanousd", "bar", "models")
MEASURES = [
    Column("requests"),
    Column("errors", wide=True),
    Column("input_tokens", "INPUT"),
    Column("cache_read_tokens", "CACHED", wide=True),
    Column("output_tokens", "OUTPUT"),
    Column("cost_nanousd"),
    Column("bar", "SHARE", wide=True),
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
    typer.Option(
        "--tz",
        "--timezone",
        help="Whose days: Europe/Berlin, UTC; this machine's by default.",
        metavar="ZONE",
    ),
]
Breakdown = Annotated[bool, typer.Option("--breakdown", help="Show the models within each line.")]
Sorted = Annotated[Sort, typer.Option(help="By period, or most of this first.")]
Limit = Annotated[int | None, typer.Option(min=1, help="How many lines at most.", metavar="N")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Short for `-o csv`.")]
Compact = Annotated[bool, typer.Option("--compact", help="Only the columns that matter most.")]
NoCost = Annotated[bool, typer.Option("--no-cost", help="Leave money out of the table.")]


@dataclass
class Looks:
    """What was asked of the looks of a report."""

    sort: Sort
    limit: int | None
    csv: bool
    compact: bool
    no_cost: bool

    def columns(self, *first: Column) -> list[Column]:
        gone = {*(COST if self.no_cost else ()), *(WIDE if self.compact else ())}
        return [column for column in (*first, *MEASURES) if column.field not in gone]

    @property
    def drawn(self) -> bool:
        """Whether people read it as a table."""
        return given.output is Format.TABLE and not given.fields and not given.quiet


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
    compact: Compact = False,
    no_cost: NoCost = False,
) -> None:
    """Report each day.

    Examples:
      llmgw report daily
      llmgw report daily --by model --since 7d
      llmgw report daily --by tag --since 30d --json
    """
    _report(Window.DAY, by, since, until, tz, breakdown, Looks(sort, limit, csv, compact, no_cost))


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
    compact: Compact = False,
    no_cost: NoCost = False,
) -> None:
    """Report each week, Monday to Sunday.

    Examples:
      llmgw report weekly --by provider
      llmgw report weekly --breakdown
    """
    _report(Window.WEEK, by, since, until, tz, breakdown, Looks(sort, limit, csv, compact, no_cost))


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
    compact: Compact = False,
    no_cost: NoCost = False,
) -> None:
    """Report each month.

    Examples:
      llmgw report monthly
      llmgw report monthly --by key --breakdown --csv > months.csv
    """
    _report(Window.MONTH, by, since, until, tz, breakdown, Looks(sort, limit, csv, compact, no_cost))


@app.command()
def session(
    gap: Annotated[
        str, typer.Option(help="A pause of this length ends one: 1h, 5h; at least 15m.", metavar="SPAN")
    ] = "1h",
    key: Annotated[
        str | None, typer.Option(help="Only of this key.", metavar="NAME", autocompletion=completing.keys)
    ] = None,
    since: Annotated[
        str, typer.Option(help="From this time on: 24h, today, 2026-11-01.", metavar="TIME")
    ] = LATELY,
    until: Until = None,
    tz: Zone = None,
    sort: Sorted = Sort.PERIOD,
    limit: Limit = None,
    csv: AsCsv = False,
    compact: Compact = False,
    no_cost: NoCost = False,
) -> None:
    """Report sessions, the newest first: what one key did with one set of tags, without a long pause.

    A program that tags its calls by project (`X-LLMGW-Tag`) has a session for each. Times are quarters of an hour.

    Examples:
      llmgw report session
      llmgw report session --key claude-code --since today
      llmgw report session --gap 5h --sort cost --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.reports import ShowSessions
    from llmgw.desk.wire import moment

    looks, pause = Looks(sort, limit, csv, compact, no_cost), parse_span(gap)
    if pause < QUARTER:
        raise BadRequest(
            f"`--gap {gap}` is too short", hint="sums are of quarters of an hour: 15m is the least"
        )
    if csv:
        given.output = Format.CSV
    with gateway() as there:
        start, end = parse_range(since, until, time.time_ns(), there.zone(tz))
        ask = ShowSessions(gap_seconds=pause // 10**9, key=key, since=moment(start), until=moment(end))
        sessions = list(map(to_builtins, there.ask(ask).sessions))
        zone = there.zone(tz)
    if sort is not Sort.PERIOD:
        sessions.sort(key=ORDER[sort])
    shown = sessions[:limit]
    if looks.drawn:
        _bars(shown)
        for each in shown:
            each["began"] = spelling.day_clock(each["starts_at"], zone)
            each["lasted"] = spelling.lasting((each["ends_at"] - each["starts_at"]) // 1000)
            each["lasted"] += " …" if each["running"] else ""
    first = [Column("began"), Column("lasted"), Column("key"), Column("tags"), Column("models", wide=True)]
    if not looks.drawn:
        first[:2] = [Column("starts_at"), Column("ends_at")]
    output.rows(shown, looks.columns(*first), noun="sessions", ident="key", total=len(sessions))


def _report(
    window: Window,
    by: Group | None,
    since: str | None,
    until: str | None,
    tz: str | None,
    breakdown: bool,
    looks: Looks,
) -> None:
    from llmgw.cli.reaching import gateway
    from llmgw.desk.wire import moment

    if looks.csv:
        given.output = Format.CSV
    with gateway() as there:
        start, end = parse_range(since, until, time.time_ns(), there.zone(tz) if since or until else None)
        ask = ShowReport(window=window, by=by, since=moment(start), until=moment(end), tz=tz)
        lines = list(map(to_builtins, there.ask(ask).lines))
        inner = replace(ask, within=Group.MODEL)
        parts = list(map(to_builtins, there.ask(inner).lines)) if breakdown else []
        going = _going(there, tz) if looks.drawn and not looks.no_cost and until is None else ""
    group = None if by is None else by.value
    periods = _by_period(lines)
    if looks.sort is not Sort.PERIOD:
        lines.sort(key=ORDER[looks.sort])
    shown = lines[: looks.limit]
    first = [Column("period"), *([Column(group)] if group else [])]
    if breakdown:
        first.append(Column("within", "MODEL"))
        shown = [
            each for line in shown for each in (line, *(part for part in parts if _same(part, line, group)))
        ]
    if unpriced := sum(line["unpriced_requests"] for line in lines):
        notices.note(
            f"{unpriced:,} requests have no known price and are not in the cost; `llmgw model price` sets one"
        )
    if looks.drawn:
        _bars(shown)
    output.rows(
        shown,
        looks.columns(*first),
        noun="lines",
        ident="period",
        total=len(shown) + max(0, len(lines) - (looks.limit or NO_END)),
    )
    if looks.drawn and lines:
        notices.say(_sum(periods, going, looks))


def _bars(lines: list[dict[str, Any]]) -> None:
    """Give each line a bar of what it cost beside the dearest."""
    most = max((line["cost_nanousd"] or 0 for line in lines), default=0)
    for line in lines:
        line["bar"] = spelling.bar((line["cost_nanousd"] or 0) / most if most else 0.0, BAR, rest=False)


def _by_period(lines: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Requests and cost of each period, in its order."""
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        requests, cost = sums.get(line["period"], (0, 0))
        sums[line["period"]] = requests + line["requests"], cost + (line["cost_nanousd"] or 0)
    return sums


def _sum(periods: dict[str, tuple[int, int]], going: str, looks: Looks) -> str:
    """What stands below a table: all of it, as a curve, and where it is going."""
    requests, cost = (sum(column) for column in zip(*periods.values(), strict=True))
    if looks.no_cost:
        return f"{requests:,} requests  {spelling.sparkline([each for each, _ in periods.values()], 40)}"
    curve = spelling.sparkline([each for _, each in periods.values()], 40)
    return f"{spelling.usd(cost)} in {requests:,} requests  {curve}{going}"


def _going(there: Gateway, tz: str | None) -> str:
    """What was spent within the last hour, and what the month will have cost if it goes on as it has gone."""
    from llmgw.desk.wire import moment

    now, zone = time.time_ns(), there.zone(tz)
    month = bucket(Window.MONTH, now, zone)
    since = lately(now)
    hour = there.ask(ShowReport(window=Window.HOUR, since=moment(since), tz=tz)).lines
    whole = there.ask(ShowReport(window=Window.MONTH, since=moment(month.start_ns), tz=tz)).lines
    burn, spent = (sum(line.cost_nanousd or 0 for line in lines) for lines in (hour, whole))
    projected = spent * (month.end_ns - month.start_ns) // max(1, now - month.start_ns)
    return (
        f"  {spelling.per_hour(burn * HOUR // (now - since))} of late, {spelling.usd(spent)} this month,"
        f" {spelling.usd(projected)} projected"
    )


def _same(part: dict[str, Any], line: dict[str, Any], group: str | None) -> bool:
    return part["period"] == line["period"] and (group is None or part[group] == line[group])
