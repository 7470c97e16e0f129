"""How fast callers may go: requests, tokens and calls at one time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from llmgw.cli import notices, output
from llmgw.cli.output import Column
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from llmgw.desk.limits import LimitView
    from llmgw.domain.limit import Measure

PLACE = "CONTROL", 4
ELSEWHERE = ("list", "set", "remove")

app = typer.Typer()

ScopeName = Annotated[
    str,
    typer.Argument(
        metavar="SCOPE",
        help="all, or one tenant, user, key, tag, tier, provider or model, as key:NAME.",
        show_default=False,
    ),
]


@app.command("list")
def list_limits(
    scope: Annotated[str | None, typer.Option(help="Only the limits of this scope.", metavar="SCOPE")] = None,
) -> None:
    """List limits.

    Examples:
      llmgw limit list
      llmgw limit list --scope key:ci --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.limits import ListLimits

    with gateway() as there:
        found = there.ask(ListLimits(scope=scope)).limits
    output.rows(
        map(to_builtins, found),
        [Column("scope"), Column("amount"), Column("measure"), Column("origin", wide=True)],
        noun="limits",
        ident="scope",
    )


@app.command("set")
def set_limits(
    scope: ScopeName,
    limits: Annotated[
        list[str],
        typer.Argument(
            metavar="AMOUNT/MEASURE...",
            help="How much of rpm, rpd, tpm, tpd (requests or tokens a minute or a day) or concurrency.",
            show_default=False,
        ),
    ],
) -> None:
    """Set limits; each replaces the one of its scope and measure.

    Examples:
      llmgw limit set key:ci 60/rpm
      llmgw limit set key:ci 60/rpm 100000/tpm 4/concurrency
      llmgw limit set provider:openai 500/rpm --json
    """
    from llmgw.cli.reaching import gateway, known_key
    from llmgw.desk.limits import SetLimits

    amounts = {measure.value: amount for amount, measure in map(_amount, limits)}
    with gateway() as there:
        done = there.ask(SetLimits(scope=scope, **amounts)).limits
        kind, _, name = scope.partition(":")
        if kind == "key" and not known_key(there, name):
            notices.note(f"there is no key `{name}` yet; the limit waits for it")
    _show(done)


@app.command()
def remove(
    scope: ScopeName,
    measure: Annotated[
        str | None,
        typer.Argument(
            metavar="[MEASURE]", help="Only this one: rpm, rpd, tpm, tpd or concurrency.", show_default=False
        ),
    ] = None,
) -> None:
    """Lift the limits of a scope, or one of them.

    Examples:
      llmgw limit remove key:ci
      llmgw limit remove key:ci tpm
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.limits import ListLimits, RemoveLimits

    only = None if measure is None else _measure(measure)
    with gateway() as there:
        lifted = there.ask(RemoveLimits(scope=scope, measure=only)).limits
        left = there.ask(ListLimits(scope=scope)).limits
    for limit in left:
        if only in {None, limit.measure}:
            notices.note(f"{limit.amount:,}/{limit.measure} from the configuration is in force again")
    _show(lifted)


def _show(limits: tuple[LimitView, ...]) -> None:
    columns = [Column("scope"), Column("amount"), Column("measure")]
    output.rows(map(to_builtins, limits), columns, noun="limits", ident="scope")


def _amount(text: str) -> tuple[int, Measure]:
    number, slash, measure = text.partition("/")
    digits = number.replace("_", "").replace(",", "")
    if not slash or not digits.isdecimal() or not digits.isascii():
        raise BadRequest(
            f"`{text}` is no limit", hint="write a whole number and a measure, as 60/rpm", param="limit"
        )
    return int(digits), _measure(measure)


def _measure(text: str) -> Measure:
    from llmgw.domain.limit import Measure

    try:
        return Measure(text)
    except ValueError:
        raise BadRequest(
            f"no measure `{text}`", hint=f"there are {', '.join(Measure)}", param="measure"
        ) from None
