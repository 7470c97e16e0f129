"""How fast callers may go: requests, tokens and calls at one time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.output import Column
from llmgw.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from llmgw.domain.limit import Limit, Measure
    from llmgw.domain.scope import Scope

PLACE = "CONTROL", 4

app = typer.Typer()

SET = "limit set"
CONFIGURED = "config"

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
    from llmgw.client import local
    from llmgw.config.limits import default_limits
    from llmgw.config.load import effective_config
    from llmgw.storage.limits import Limits

    wanted = None if scope is None else _scope(scope)
    paths = options.paths()
    defaults = default_limits(effective_config(paths))
    with local.control(paths) as control:
        issued = Limits(control).list()
    replaced = {(limit.scope, limit.measure) for limit in issued}
    found = [
        *(describe(limit, CONFIGURED) for limit in defaults if (limit.scope, limit.measure) not in replaced),
        *(describe(limit, SET) for limit in issued),
    ]
    output.rows(
        [row for row in found if wanted is None or row["scope"] == str(wanted)],
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
    from llmgw.client import local
    from llmgw.domain.limit import Limit
    from llmgw.storage.limits import Limits

    whom = _scope(scope)
    amounts = {measure: amount for amount, measure in map(_amount, limits)}
    wanted = [Limit(scope=whom, measure=measure, amount=amount) for measure, amount in amounts.items()]
    with local.control(options.paths()) as control:
        Limits(control).set(*wanted)
        _hint_at_typo(control, whom)
    _show([describe(limit, SET) for limit in wanted])


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
    from llmgw.client import local
    from llmgw.config.limits import default_limits
    from llmgw.config.load import effective_config
    from llmgw.storage.limits import Limits

    whom, only = _scope(scope), None if measure is None else _measure(measure)
    paths = options.paths()
    defaults = [
        limit
        for limit in default_limits(effective_config(paths))
        if limit.scope == whom and only in {None, limit.measure}
    ]
    with local.control(paths) as control:
        try:
            lifted = Limits(control).remove(whom, only)
        except NotFound as error:
            if defaults:
                raise NotFound(
                    f"the limits of {whom} come from the configuration",
                    hint="`llmgw config show --origin` shows where; a higher one from `llmgw limit set` goes before",
                ) from error
            raise
    for limit in defaults:
        notices.note(f"{limit.amount:,}/{limit.measure} from the configuration is in force again")
    _show([describe(limit, SET) for limit in lifted])


def describe(limit: Limit, origin: str) -> dict[str, Any]:
    """What commands show of a limit; ``origin`` is ``limit set`` or ``config``."""
    return {
        "scope": str(limit.scope),
        "measure": limit.measure.value,
        "amount": limit.amount,
        "origin": origin,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    output.rows(rows, [Column("scope"), Column("amount"), Column("measure")], noun="limits", ident="scope")


def _hint_at_typo(control: Any, scope: Scope) -> None:
    """A limit may be set before there is anybody it is about, but a slip in a name would go unnoticed."""
    from llmgw.domain.scope import ScopeKind

    if scope.kind is ScopeKind.KEY and all(key.name != scope.name for key in control.load_keys()):
        notices.note(f"there is no key `{scope.name}` yet; the limit waits for it")


def _scope(text: str) -> Scope:
    from llmgw.domain.scope import parse_scope

    try:
        return parse_scope(text)
    except ValueError as error:
        raise BadRequest(str(error), param="scope") from None


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
