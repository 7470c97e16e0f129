"""Measure before believing: what the caches would do with a workload of yours."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.output import Column
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from llmgw.service.benching import Bench
    from llmgw.service.replaying import Result

PLACE = "SETUP", 7

app = typer.Typer()

COLUMNS = [
    Column("policy"),
    Column("hit_percent", "HITS %"),
    Column("hits"),
    Column("exact", wide=True),
    Column("wrong"),
    Column("wrong_percent", "WRONG %"),
    Column("wrong_low_percent", "FROM"),
    Column("wrong_high_percent", "TO"),
    Column("recall_percent", "RECALL %"),
    Column("saved_nanousd"),
    Column("lookup_p50_us", "P50"),
    Column("lookup_p99_us", "P99"),
]


@app.command()
def cache(
    file: Annotated[
        Path,
        typer.Argument(help="Questions, one JSON value a line; may be gzipped.", show_default=False),
    ],
    max_error: Annotated[
        float | None,
        typer.Option(
            min=0.0001, max=0.5, help="The promise; that of the config by default.", metavar="SHARE"
        ),
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(help="static, minilm or auto; that of the config by default.", metavar="NAME"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many questions.", metavar="N")
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(help="Whose price the questions would have cost.", metavar="PROVIDER/MODEL"),
    ] = None,
    output_tokens: Annotated[
        int, typer.Option(min=0, help="Tokens of an answer that the file does not hold.", metavar="N")
    ] = 300,
) -> None:
    """Replay a workload through the gateway's own caches, and count hits and wrong hits; nothing is called.

    A line is a text, {"prompt": ..., "cls": ...}, or the body of a chat completion with a "cls" of its own. Questions
    of the same cls (or label) want the same answer: without them, or an "answer" in each line, nobody knows which
    hits are wrong, and the judge learns nothing. FROM and TO bound the share of wrong hits 19 times out of 20.

    Examples:
      llmgw bench cache questions.jsonl
      llmgw bench cache questions.jsonl --max-error 0.02 --price openai/gpt-5.4-mini
      llmgw bench cache requests.jsonl.gz --limit 1000 --json
    """
    from llmgw.service.benching import run

    found = run(
        options.paths(),
        file.expanduser(),
        max_error=max_error,
        embedder=embedder,
        limit=limit,
        price=_priced(price),
        output_tokens=output_tokens,
    )
    _introduce(found)
    output.rows([describe(each, found) for each in found.results], COLUMNS, noun="policies", ident="policy")


def describe(result: Result, found: Bench) -> dict[str, Any]:
    """What commands show of a policy."""
    bounds = result.bounds
    return {
        "policy": result.policy,
        "embedder": found.embedder,
        "requests": result.requests,
        "bypass": result.bypass,
        "exact": result.exact,
        "semantic": result.semantic,
        "hits": result.exact + result.semantic,
        "hit_percent": percent(result.hit_rate),
        "wrong": result.wrong if bounds else None,
        "wrong_percent": percent(result.wrong_rate),
        "wrong_low_percent": percent(bounds.low if bounds else None),
        "wrong_high_percent": percent(bounds.high if bounds else None),
        "recall_percent": percent(result.recall),
        "audits": result.audits,
        "saved_nanousd": result.saved,
        "lookup_p50_us": result.p50_us,
        "lookup_p99_us": result.p99_us,
    }


def percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def _introduce(found: Bench) -> None:
    """Say on stderr what was replayed, and whether the promise was kept."""
    notices.note(f"{found.questions:,} questions, compared by {found.embedder}")
    result = next(each for each in found.results if each.policy.startswith("semantic"))
    if not found.judged:
        notices.warn("nothing in the file tells which answers are right: wrong hits are not counted")
    elif result.wrong_rate is None or result.bounds is None:
        notices.note(f"this traffic does not allow a promise of {found.promise:.2%}: nothing is served")
    elif result.bounds.high <= found.promise:
        notices.note(f"the promise of {found.promise:.2%} is kept")
    elif result.bounds.low > found.promise:
        notices.warn(f"the promise of {found.promise:.2%} is broken")
    else:
        notices.note(
            f"the promise of {found.promise:.2%} lies within the interval: more questions would tell"
        )


def _priced(name: str | None) -> tuple[str, str] | None:
    if name is None:
        return None
    provider, slash, model = name.partition("/")
    if not (provider and slash and model):
        raise BadRequest(f"`--price {name}` names no model", hint="as openai/gpt-5.4-mini")
    return provider, model
