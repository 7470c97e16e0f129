"""Tell whether the gateway is up, since when, and what today has cost."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.options import bold
from llmgw.cli.ranges import parse_span
from llmgw.domain.money import format_usd
from llmgw.errors import GatewayError, NotRunning, TimedOut

if TYPE_CHECKING:
    from llmgw.config.paths import Paths
    from llmgw.service.running import Running
    from llmgw.storage.reports import Line

PLACE = "GATEWAY", 4

POLL_SECONDS = 0.1
ANSWER_SECONDS = 2.0


def command(
    wait: Annotated[
        str | None, typer.Option(help="Wait until it is up, at most this long: 30s.", metavar="SPAN")
    ] = None,
) -> None:
    """Tell whether the gateway is up, since when, and what today has cost.

    The exit code is 3 when it is not running, 1 when it runs but is not well.

    Examples:
      llmgw status
      llmgw status --wait 30s && ./run-tests.sh
      llmgw status --json | jq -r .spend.today_usd
    """
    from llmgw.service import background

    paths = options.paths()
    end = time.monotonic() + (parse_span(wait) / 1e9 if wait else 0)
    while True:
        running = background.find(paths)
        state = background.ask(running, ANSWER_SECONDS) if running else "down"
        if state == "up" or time.monotonic() >= end:
            break
        time.sleep(POLL_SECONDS)
    status = describe(paths, running, state, time.time_ns())
    output.record(status, ident="state", text=_text(status))
    if state == "up":
        return
    if wait:
        raise TimedOut(f"the gateway was not up within {wait}", hint="`llmgw logs` may tell why")
    if state == "down":
        notices.hint("start it with `llmgw serve`")
    raise typer.Exit(NotRunning.exit_code if state == "down" else GatewayError.exit_code)


def describe(paths: Paths, running: Running | None, state: str, now: int) -> dict[str, Any]:
    """Put together what is known: of the process from its run file, of the requests from the ledger."""
    return {
        "running": running is not None,
        "state": state,
        "url": running.url if running else None,
        "pid": running.pid if running else None,
        "version": running.version if running else None,
        "started_at": running.started_at if running else None,
        "uptime_seconds": (now - running.started_at) // 10**9 if running else None,
        "log_file": running.log_file if running else str(paths.log),
        "kills": _kills(paths),
        **_figures(paths, now),
    }


def _kills(paths: Paths) -> list[dict[str, Any]]:
    from llmgw.cli.commands.kill import describe
    from llmgw.client import local
    from llmgw.storage.kills import Kills

    if not paths.database.exists():
        return []
    with local.control(paths) as control:
        return [describe(kill) for kill in Kills(control).list()]


def _figures(paths: Paths, now: int) -> dict[str, Any]:
    from llmgw.cli.zones import read_zone
    from llmgw.client import local
    from llmgw.rules.windows import bucket

    today: list[Line] = []
    month = 0
    if paths.database.exists():
        zone = read_zone(None)
        day = bucket("day", now, zone)
        with local.reports(paths) as reports:
            today = reports.report("day", zone, day.start_ns, day.end_ns, "cache")
            month = reports.current("month", now, zone).cost
    totals = [line.totals for line in today]
    requests = sum(each.requests for each in totals)
    read = sum(each.input_tokens for each in totals)
    cached = sum(each.cache_read_tokens for each in totals)
    hits = sum(line.totals.requests for line in today if line.group in {"exact", "semantic", "joined"})
    return {
        "spend": {
            "today_nanousd": sum(each.cost for each in totals),
            "month_nanousd": month,
            "saved_today_nanousd": sum(each.saving for each in totals),
            "unpriced_requests_today": sum(each.unknown_cost for each in totals),
        },
        "requests": {"today": requests, "errors_today": sum(each.errors for each in totals)},
        "tokens": {"input_today": read, "output_today": sum(each.output_tokens for each in totals)},
        "cache": {
            "hits_today": hits,
            "hit_rate": hits / requests if requests else None,
            "provider_cached_tokens_today": cached,
            "provider_cached_rate": cached / read if read else None,
        },
    }


def _kill_line(kill: dict[str, Any]) -> str:
    why = f": {kill['reason']}" if kill["reason"] else ""
    since = output.cell("thrown_at", kill["thrown_at"])
    words = f"KILL SWITCH  {kill['mode']} on {kill['scope']}{why} (by {kill['by']}, {since})"
    return f"{bold(words, sys.stdout)}; `llmgw kill off {kill['scope']}` lifts it"


def _text(status: dict[str, Any]) -> str:
    spend, requests, cache = status["spend"], status["requests"], status["cache"]
    match status["state"]:
        case "down":
            first = "llmgw is not running"
        case "up":
            first = f"llmgw is up at {status['url']}"
        case "failing":
            first = f"llmgw is failing at {status['url']}: see `llmgw logs`"
        case _:
            first = f"llmgw does not answer at {status['url']}: see `llmgw logs`"
    lines = [first]
    if status["running"]:
        since = output.cell("started_at", status["started_at"])
        lines[0] += f"  (pid {status['pid']}, version {status['version']}, started {since})"
    spent = f"{format_usd(spend['today_nanousd'])} today, {format_usd(spend['month_nanousd'])} this month"
    lines += [f"  {_kill_line(kill)}" for kill in status["kills"]]
    if unknown := spend["unpriced_requests_today"]:
        spent += f", {unknown:,} requests without a known price"
    lines += [
        f"  spend     {spent}",
        f"  requests  {requests['today']:,} today, {requests['errors_today']:,} failed",
    ]
    if cache["provider_cached_rate"]:
        lines.append(
            f"  cache     {cache['provider_cached_rate']:.0%} of today's input tokens read from providers' caches"
        )
    return "\n".join(lines)
