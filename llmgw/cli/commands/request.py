"""Requests in the ledger: what each cost, how long it took, who answered."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import completing, options, output
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_range
from llmgw.domain.money import parse_usd
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from llmgw.domain.ledger import RequestRow
    from llmgw.domain.usage import Usage
    from llmgw.storage.requests import AttemptRow, Filter

PLACE = "WATCH", 4

app = typer.Typer()

POLL_SECONDS = 0.2
WIDTHS = {
    "id": 17, "ended_at": 20, "key": 8, "target": 26, "tier": 7, "cache": 6, "usage.input_tokens": 7,
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


class Sort(StrEnum):
    TIME = "time"
    COST = "cost"
    LATENCY = "latency"
    TTFT = "ttft"
    TOKENS = "tokens"


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
    from llmgw.client import local

    start, end = parse_range(since, until, time.time_ns())
    wanted = _filter(key, model, provider, tier, tag, status, min_cost, start, end)
    with local.requests(options.paths()) as requests:
        page = requests.newest(wanted, limit, sort.value)
    output.rows(map(describe, page.rows), COLUMNS, noun="requests", ident="id", total=page.total)


@app.command()
def show(request_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as req_01j....")]) -> None:
    """Show one request with its attempts and what each cost.

    Examples:
      llmgw request show req_06bq3k5xj0000
      llmgw request show req_06bq3k5xj0000 --json
    """
    from llmgw.client import local
    from llmgw.domain.ledger import read_id, show_id

    try:
        number = read_id(request_id)
    except ValueError:
        raise BadRequest(
            f"`{request_id}` is not the id of a request", hint="see `llmgw request list`"
        ) from None
    with local.requests(options.paths()) as requests:
        detail = requests.show(number)
    shown = {"id": show_id(number), "state": "in_flight"}
    if detail.request:
        shown = describe(detail.request) | {"state": "done"}
    attempts = [_describe_attempt(attempt) for attempt in detail.attempts]
    whole = shown | {"attempts": attempts}
    output.record(whole, ident="id", text=_explain(shown, attempts))


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
    from llmgw.client import local

    wanted = _filter(key, model, provider, tier, tag, status, min_cost, None, None)
    columns = [
        column._replace(field="ended_at") if column.field == "started_at" else column for column in COLUMNS
    ]
    stream = output.Stream(columns, WIDTHS)
    with local.requests(options.paths()) as requests:
        page = requests.newest(wanted, max(last, 1))
        found = page.rows[:last][::-1]
        while True:
            for row in found:
                shown = describe(row)
                stream.write(
                    shown | {"ended_at": output.rfc3339(row.started_at + row.latency_us * 1000)[:19] + "Z"}
                )
            time.sleep(POLL_SECONDS)
            page = requests.ended_after(page.cursor, wanted)
            found = page.rows


def _filter(
    key: str | None,
    model: str | None,
    provider: str | None,
    tier: str | None,
    tag: str | None,
    status: str | None,
    min_cost: str | None,
    since: int | None,
    until: int | None,
) -> Filter:
    from llmgw.storage.requests import Filter

    try:
        least = None if min_cost is None else parse_usd(min_cost)
    except ValueError as error:
        raise BadRequest(f"`--min-cost`: {error}", hint="write dollars, as 0.05") from None
    return Filter(
        key=key,
        model=model,
        provider=provider,
        tier=tier,
        tag=tag,
        status=status,
        min_cost=least,
        since=since,
        until=until,
    )


def describe(row: RequestRow) -> dict[str, Any]:
    """What commands show of a request."""
    from llmgw.domain.ledger import show_id

    return {
        "id": show_id(row.id),
        "started_at": row.started_at,
        "key": row.key_name,
        "tags": row.tags.split(",") if row.tags else [],
        "surface": row.surface,
        "stream": row.stream,
        "model_asked": row.model_asked,
        "target": f"{row.provider}/{row.model}" if row.model else None,
        "provider": row.provider or None,
        "model": row.model or None,
        "tier": row.tier or None,
        "cache": row.cache.value,
        "status": row.status,
        "error": {"code": row.error} if row.error else None,
        "finish_reason": row.finish_reason or None,
        "attempt_count": row.attempts,
        "usage": _describe_usage(row.usage),
        "cost_nanousd": row.cost,
        "premium_cost_nanousd": row.premium_cost,
        "ttft_us": row.ttft_us,
        "latency_us": row.latency_us,
    }


def _describe_usage(usage: Usage) -> dict[str, Any]:
    from msgspec.structs import asdict

    return asdict(usage)


def _describe_attempt(attempt: AttemptRow) -> dict[str, Any]:
    import json

    return {
        "attempt": attempt.attempt,
        "state": attempt.state.value,
        "target": f"{attempt.provider}/{attempt.model}",
        "tier": attempt.tier,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "status": attempt.status,
        "error": {"code": attempt.error} if attempt.error else None,
        "finish_reason": attempt.finish_reason or None,
        "usage": _describe_usage(attempt.usage),
        "held_nanousd": attempt.held_cost,
        "cost_nanousd": attempt.cost,
        "premium_cost_nanousd": attempt.premium_cost,
        "price": json.loads(attempt.price) if attempt.price else None,
        "ttft_us": attempt.ttft_us,
        "latency_us": attempt.latency_us,
        "upstream_id": attempt.upstream_id or None,
    }


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
