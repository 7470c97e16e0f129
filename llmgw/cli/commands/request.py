"""Requests in the ledger: what each cost, how long it took, who answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins
from msgspec.structs import replace

from llmgw.cli import completing, options, output
from llmgw.cli.options import Format
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_range
from llmgw.cli.zones import read_zone
from llmgw.desk.requests import ListRequests, Sort
from llmgw.desk.wire import moment, rfc3339
from llmgw.domain import spelling
from llmgw.domain.money import parse_usd
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

PLACE = "WATCH", 4
ELSEWHERE = ("list", "show", "stop", "tail")

app = typer.Typer()

POLL_SECONDS, POLL_SECONDS_ELSEWHERE = 0.2, 1.0
MOST = 1000
"""Requests that are shown at a time while they come in."""
WIDTHS = {
    "id": 17, "ended_at": 10, "key": 8, "target": 26, "tier": 7, "cache": 6, "usage.input_tokens": 7,
    "usage.output_tokens": 6, "ttft_us": 8, "latency_us": 8, "cost_nanousd": 10,
}  # fmt: skip
COLUMNS = [
    Column("id", "ID"),
    Column("started_at", "TIME"),
    Column("key"),
    Column("target", "MODEL"),
    Column("tier", wide=True),
    Column("cache", wide=True),
    Column("usage.input_tokens", "IN"),
    Column("usage.output_tokens", "OUT"),
    Column("ttft_us", wide=True),
    Column("latency_us", "TOOK", wide=True),
    Column("cost_nanousd"),
    Column("status"),
]
TAIL = [
    column._replace(field="ended_at") if column.field == "started_at"
    else column._replace(wide=column.wide or column.field.startswith("usage."))
    for column in COLUMNS
]  # fmt: skip


Key = Annotated[
    str | None, typer.Option(help="Only of this key.", metavar="NAME", autocompletion=completing.keys)
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Only this model; may hold * and ?.", metavar="PATTERN", autocompletion=completing.models
    ),
]
Provider = Annotated[str | None, typer.Option(help="Only by this provider.", metavar="NAME")]
Tier = Annotated[str | None, typer.Option(help="local, cheap or premium.", metavar="TIER")]
Tag = Annotated[str | None, typer.Option(help="Only with this tag.", metavar="TAG")]
Status = Annotated[
    str | None, typer.Option(help="ok, error, an HTTP status or an error code.", metavar="STATUS")
]
MinCost = Annotated[str | None, typer.Option(help="Only those that cost at least this.", metavar="DOLLARS")]


@app.command("list")
def list_requests(
    key: Key = None,
    model: Model = None,
    provider: Provider = None,
    tier: Tier = None,
    tag: Tag = None,
    status: Status = None,
    min_cost: MinCost = None,
    since: Annotated[
        str | None, typer.Option(help="From this time on: 10m, 24h, 2026-11-01.", metavar="TIME")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.", metavar="TIME")] = None,
    sort: Annotated[Sort, typer.Option(help="Most of this first.")] = Sort.TIME,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.", metavar="N")] = 50,
) -> None:
    """List requests, the newest first.

    Examples:
      llmgw request list
      llmgw request list --status error --since 1h -o jsonl
      llmgw request list --key ci --sort cost --limit 10
      llmgw request list --since 2026-11-01 --limit 100000 -o csv > november.csv
    """
    from llmgw.cli.reaching import gateway

    wanted = _wanted(key, model, provider, tier, tag, status, min_cost)
    start, end = parse_range(since, until, time.time_ns())
    with gateway() as there:
        page = there.ask(replace(wanted, since=moment(start), until=moment(end), sort=sort, limit=limit))
    output.rows(map(to_builtins, page.requests), COLUMNS, noun="requests", ident="id", total=page.total)


@app.command()
def show(request_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as req_01j....")]) -> None:
    """Show one request with its attempts and what each cost.

    Examples:
      llmgw request show req_06bq3k5xj0000
      llmgw request show req_06bq3k5xj0000 --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.requests import ShowRequest

    with gateway() as there:
        found = to_builtins(there.ask(ShowRequest(id=request_id)))
    state, attempts = found.pop("state"), found.pop("attempts")
    shown = found | {"state": state}
    output.record(shown | {"attempts": attempts}, ident="id", text=_explain(shown, attempts))


@app.command()
def stop(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as req_01j....")],
    reason: Annotated[str, typer.Option(help="Why; its caller reads it.", metavar="TEXT")] = "",
) -> None:
    """End a request that is under way; what was written of its answer is billed.

    Examples:
      llmgw request stop req_06bq3k5xj0000
      llmgw request stop req_06bq3k5xj0000 --reason "it goes in circles"
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.requests import EndRequest

    with gateway() as there:
        found = to_builtins(there.ask(EndRequest(id=request_id, reason=reason)))
    attempts = found.pop("attempts")
    output.record(found | {"attempts": attempts}, ident="id", text=_explain(found, attempts))


@app.command()
def tail(
    key: Key = None,
    model: Model = None,
    provider: Provider = None,
    tier: Tier = None,
    tag: Tag = None,
    status: Status = None,
    min_cost: MinCost = None,
    last: Annotated[int, typer.Option("-n", "--last", min=0, help="Begin with so many.", metavar="N")] = 10,
) -> None:
    """Show requests as they end, until Ctrl-C.

    Examples:
      llmgw request tail
      llmgw request tail --key ci --json
    """
    from llmgw.cli.reaching import gateway

    wanted = _wanted(key, model, provider, tier, tag, status, min_cost)
    people = options.given.output is Format.TABLE and not options.given.utc
    zone = read_zone(None) if people else None
    stream = output.Stream(TAIL, WIDTHS, elastic="target")
    with gateway() as there:
        page = there.ask(replace(wanted, limit=max(last, 1)))
        found = page.requests[:last][::-1]
        while True:
            for row in found:
                ended = _moment(row.started_at + row.latency_us * 1000, zone)
                stream.write({**to_builtins(row), "ended_at": ended})
            time.sleep(POLL_SECONDS_ELSEWHERE if options.url() else POLL_SECONDS)
            page = there.ask(replace(wanted, after=page.cursor, limit=MOST))
            found = page.requests


def _moment(ended: int, zone: ZoneInfo | None) -> str:
    """When a request ended: for people the time of today, or the day; exact in UTC without a zone."""
    if zone is None:
        return rfc3339(ended)[:19] + "Z"
    day = spelling.day_clock(ended, zone)[:10]
    today = spelling.day_clock(time.time_ns(), zone)[:10]
    return spelling.clock(ended, zone) if day == today else day


def _wanted(
    key: str | None,
    model: str | None,
    provider: str | None,
    tier: str | None,
    tag: str | None,
    status: str | None,
    min_cost: str | None,
) -> ListRequests:
    try:
        least = None if min_cost is None else parse_usd(min_cost)
    except ValueError as error:
        raise BadRequest(f"`--min-cost`: {error}", hint="write dollars, as 0.05") from None
    return ListRequests(
        key=key, model=model, provider=provider, tier=tier, tag=tag, status=status, min_cost_nanousd=least
    )


def _explain(shown: dict[str, Any], attempts: list[dict[str, Any]]) -> str:
    """Tell a request to people: its facts, then each attempt under them."""
    parts = [_facts(shown)]
    for attempt in attempts:
        number = attempt["attempt"]
        rest = {
            name: value
            for name, value in attempt.items()
            if name not in {"attempt", "started_at", "ended_at"}
        }
        parts.append(f"attempt {number}\n" + "\n".join(f"  {line}" for line in _facts(rest).splitlines()))
    return "\n\n".join(parts)


def _facts(fields: dict[str, Any]) -> str:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": each for inner, each in value.items() if each not in {None, 0}}
        elif value not in (None, "", []):
            flat[name] = value
    width = max(map(len, flat))
    return "\n".join(f"{name.ljust(width)}  {output.cell(name, value)}" for name, value in flat.items())
