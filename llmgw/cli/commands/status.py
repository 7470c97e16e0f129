"""Tell whether the gateway is up, since when, and what today has cost."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer
from msgspec import to_builtins

from llmgw.cli import notices, output
from llmgw.cli.options import bold
from llmgw.domain.money import format_usd
from llmgw.domain.spans import parse_span
from llmgw.errors import START, GatewayError, NotRunning, TimedOut

PLACE = "GATEWAY", 4
ELSEWHERE = ("status",)

POLL_SECONDS = 0.1


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
    from llmgw.cli.reaching import gateway
    from llmgw.desk.status import ShowStatus

    end = time.monotonic() + (parse_span(wait) / 1e9 if wait else 0)
    with gateway() as there:
        while True:
            try:
                status = there.ask(ShowStatus())
            except NotRunning:
                if time.monotonic() >= end:
                    raise
            else:
                if status.state == "up" or time.monotonic() >= end:
                    break
            time.sleep(POLL_SECONDS)
    state, shown = status.state, to_builtins(status)
    output.record(shown, ident="state", text=_text(shown))
    if state == "up":
        return
    if wait:
        raise TimedOut(f"the gateway was not up within {wait}", hint="`llmgw logs` may tell why")
    if state == "down":
        notices.hint(START)
    raise typer.Exit(NotRunning.exit_code if state == "down" else GatewayError.exit_code)


def _kill_line(kill: dict[str, Any]) -> str:
    why = f": {kill['reason']}" if kill["reason"] else ""
    since = output.cell("thrown_at", kill["thrown_at"])
    words = f"KILL SWITCH  {kill['mode']} on {kill['scope']}{why} (by {kill['by']}, {since})"
    return f"{bold(words, sys.stdout)}; `llmgw kill off {kill['scope']}` lifts it"


def _headroom_line(headroom: dict[str, Any]) -> str:
    """A model whose provider has said how much is left; the tightest limit is enough."""
    if headroom["retry_at"]:
        return f"{headroom['name']} refuses until {output.cell('retry_at', headroom['retry_at'])}"
    tightest = min(
        headroom["left"], key=lambda left: left["remaining"] / (left["limit"] or left["remaining"] or 1)
    )
    most = f" of {tightest['limit']:,}" if tightest["limit"] else ""
    return f"{headroom['name']} has {tightest['remaining']:,}{most} {tightest['kind']} left"


def _failing_line(failing: dict[str, Any]) -> str:
    if failing["retry_at"]:
        return f"{failing['name']}: others go first until {output.cell('retry_at', failing['retry_at'])}"
    return f"{failing['name']}: the next call tries it"


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
    told = [each for each in status["headroom"] if each["left"] or each["retry_at"]]
    lines += [
        f"  {'' if number else 'headroom':<9} {_headroom_line(each)}" for number, each in enumerate(told)
    ]
    lines += [
        f"  {'' if number else 'failing':<9} {_failing_line(each)}"
        for number, each in enumerate(status["failing"])
    ]
    lines += [f"  {'' if number else 'nowhere':<9} {each}" for number, each in enumerate(status["lost"])]
    if cache["provider_cached_rate"]:
        lines.append(
            f"  cache     {cache['provider_cached_rate']:.0%} of today's input tokens read from providers' caches"
        )
    return "\n".join(lines)
