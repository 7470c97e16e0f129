"""Budgets: how much may be spent by whom, and what is left of it."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from llmgw.cli import budget_files, notices, output, prompts
from llmgw.cli.budget_rows import CEILINGS, MACHINE, SCREEN, draw, sentence
from llmgw.cli.options import Format, given
from llmgw.cli.output import Column
from llmgw.domain import amounts, spelling
from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.scope import Scope, ScopeKind, parse_scope
from llmgw.errors import BadRequest, BudgetExceeded, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmgw.desk.budget_shapes import BudgetView

PLACE = "CONTROL", 2
ELSEWHERE = ("list", "set", "show", "remove", "check", "history", "reset")

app = typer.Typer()

ScopeName = Annotated[
    str,
    typer.Argument(
        help="all, tenant:NAME, user:NAME, key:NAME, tag:NAME, tier:NAME, provider:NAME or model:NAME.",
        show_default=False,
        metavar="SCOPE",
    ),
]
WindowName = Annotated[
    Window | None,
    typer.Argument(help="hour, day, week, month or total; all of them without it.", show_default=False),
]
UnitName = Annotated[
    Unit | None, typer.Option("--unit", help="Only the budget in money, or only that in tokens.")
]
Zone = Annotated[
    str | None,
    typer.Option("--tz", help="Whose days, as Europe/Berlin; the gateway's by default.", metavar="ZONE"),
]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Mark = Annotated[str | None, typer.Option(metavar="AMOUNT", show_default=False)]


@app.command("list")
def list_budgets(tz: Zone = None) -> None:
    """List budgets with what is spent, held and left, and when they run out.

    HELD is what calls under way may yet cost, BURN what the last hour cost, TIGHTEST the other ceiling that the
    same calls meet first.

    Examples:
      llmgw budget list
      llmgw budget list --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.budgets import ListBudgets

    with gateway() as there:
        found = there.ask(ListBudgets(tz=tz)).budgets
    _print(found)


@app.command()
def set(  # noqa: A001 (the word people type)
    scope: Annotated[str | None, typer.Argument(help="Whose budget.", show_default=False)] = None,
    amount: Annotated[
        str | None,
        typer.Argument(
            help="Ceiling and window: 200/month, 0.50/day, 250k-tokens/day; none/day has only marks.",
            show_default=False,
            metavar="AMOUNT/WINDOW",
        ),
    ] = None,
    soft: Annotated[
        str | None,
        typer.Option(help="Amount at which a notice is given; none takes it away.", metavar="AMOUNT"),
    ] = None,
    medium: Annotated[
        str | None,
        typer.Option(help="Amount from which on no premium model is used; or none.", metavar="AMOUNT"),
    ] = None,
    warn: Annotated[
        str | None, typer.Option(help="Percentages at which a notice is given; or none.", metavar="80,95")
    ] = None,
    on_exceed: Annotated[
        str | None,
        typer.Option(
            help="What becomes of calls that do not fit: stop, downgrade:TIER or cache.", metavar="ACTION"
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", help="Put exactly the budgets of this file in force.", metavar="FILE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only print what would change.")] = False,
    yes: Yes = False,
) -> None:
    """Set a budget and print it; the next call is held to it.

    What is not given stays as it was; setting the same again changes nothing. With -f budgets that the file does
    not name are removed, but for those of `llmgw run`; that is asked first.

    Examples:
      llmgw budget set all 200/month
      llmgw budget set tenant:ml 50/week --warn 80,95 --on-exceed downgrade:cheap
      llmgw budget set all 50/day --soft 5 --medium 15
      llmgw budget set key:ci 250k-tokens/day
      llmgw budget set -f budgets.toml --dry-run
    """
    if file is not None:
        if any(each is not None for each in (scope, amount, soft, medium, warn, on_exceed)):
            raise BadRequest("`-f` takes all from the file", hint="leave the other words out")
        _apply(file, dry_run=dry_run, yes=yes)
        return
    if scope is None or amount is None:
        raise BadRequest("whose budget, and how much?", hint="write it as `llmgw budget set all 20/month`")
    from llmgw.cli.reaching import gateway, known_key
    from llmgw.desk.budget_shapes import amounts_of
    from llmgw.desk.budgets import ListBudgets, SetBudget

    whose = _scope(scope)
    unit, hard, window = amounts.parse_rate(amount)
    with gateway() as there:
        stored = (each.budget for each in there.ask(ListBudgets()).budgets)
        before = next((b for b in stored if b.name == (whose, window, unit)), None)
        old = before or Budget(scope=whose, window=window, unit=unit)
        after = Budget(
            scope=whose,
            window=window,
            unit=unit,
            hard=hard,
            soft=old.soft if soft is None else amounts.read_mark(soft, unit, "--soft"),
            medium=old.medium if medium is None else amounts.read_mark(medium, unit, "--medium"),
            warn=old.warn if warn is None else amounts.read_percents(warn),
            on_exceed=on_exceed or old.on_exceed,
        )
        _check(after)
        if dry_run:
            _print_changes([budget_files.Change(before, after)])
            return
        _mind_closing(before, after, yes=yes)
        row = there.ask(SetBudget(scope=scope, **amounts_of(after)))
        if whose.kind is ScopeKind.KEY and not known_key(there, whose.name):
            notices.note(f"there is no key `{whose.name}` yet")
    output.record(to_builtins(row), text=sentence(row))


@app.command()
def show(scope: ScopeName, tz: Zone = None) -> None:
    """Show the budgets of a scope, and the ceiling among all that hold for it which is met first.

    Examples:
      llmgw budget show key:ci
      llmgw budget show all --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.budgets import ListBudgets

    whose = _scope(scope)
    with gateway() as there:
        holding = there.ask(ListBudgets(holding=scope, tz=tz)).budgets
    found = [row for row in holding if row.scope == scope]
    if not holding:
        raise NotFound(f"no budget holds for `{whose}`", hint=f"`llmgw budget set {whose} 20/month` sets one")
    if len(found) < len(holding):
        others = ", ".join(f"{row.scope} ({row.window})" for row in holding if row not in found)
        notices.note(f"its calls are also held to {others}")
    _print(found, CEILINGS)


@app.command()
def remove(scope: ScopeName, window: WindowName = None, unit: UnitName = None, yes: Yes = False) -> None:
    """Remove the budgets of a scope, or one of them.

    Examples:
      llmgw budget remove key:ci day -y
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.budgets import ListBudgets, RemoveBudgets

    whose = _scope(scope)
    with gateway() as there:
        if matching := _matching(there.ask(ListBudgets()).budgets, whose, window, unit):
            prompts.confirm(f"Remove {_named(matching)}?", yes=yes)
        gone = there.ask(RemoveBudgets(scope=scope, window=window, unit=unit)).removed
    output.rows(map(to_builtins, gone), budget_files.COLUMNS, noun="removed")


@app.command()
def check(
    scope: ScopeName,
    amount: Annotated[
        str, typer.Argument(help="What is about to be spent: 0.50, or 20k-tokens.", show_default=False)
    ],
    tz: Zone = None,
) -> None:
    """Tell whether an amount would fit under every ceiling that holds for a scope; exit 6 when not.

    Nothing is set aside: it is a look, not a hold.

    Examples:
      llmgw budget check key:ci 0.50 || echo "not today"
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.budgets import CheckBudget

    _scope(scope)
    unit, wanted = amounts.parse_amount(amount)
    money, tokens = (wanted, None) if unit is Unit.MONEY else (None, wanted)
    with gateway() as there:
        found = there.ask(CheckBudget(scope=scope, amount_nanousd=money, amount_tokens=tokens, tz=tz))
    least = found.tightest
    left = None if least is None else least.of("left")
    words = "it fits, there is no ceiling"
    if least is not None and left is not None:
        verdict = "it fits" if found.fits else "it does not fit"
        words = f"{verdict}: {spelling.amount(unit, left)} left of {budget_files.name(least.budget)}"
    output.record(to_builtins(found), ident="fits", text=words)
    if not found.fits and least is not None:
        raise BudgetExceeded(
            f"{spelling.amount(unit, wanted)} do not fit: {sentence(least)}",
            hint=f"raise it: `llmgw budget set {least.scope} AMOUNT/{least.window}`",
        )


@app.command()
def history(
    scope: ScopeName,
    window: WindowName = None,
    unit: UnitName = None,
    limit: Annotated[int, typer.Option(min=1, help="How many windows at most.", metavar="N")] = 12,
    tz: Zone = None,
) -> None:
    """Tell what was spent in past windows, by the budgets of a scope; resets do not change it.

    Examples:
      llmgw budget history all month
      llmgw budget history key:ci --limit 30 -o csv
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.budgets import BudgetHistory

    _scope(scope)
    with gateway() as there:
        ask = BudgetHistory(scope=scope, window=window, unit=unit, limit=limit, tz=tz)
        records = list(map(to_builtins, there.ask(ask).windows))
    kinds = sorted({name for record in records for name in record if name.startswith(("spent", "hard"))})
    columns = [Column("window"), Column("period")]
    columns += [Column(each) for each in reversed(kinds)]
    output.rows(records, columns, noun="windows", ident="period")


@app.command()
def reset(
    scope: Annotated[str | None, typer.Argument(help="Whose budgets.", show_default=False)] = None,
    window: WindowName = None,
    unit: UnitName = None,
    every: Annotated[bool, typer.Option("--every", help="The budgets of all scopes.")] = False,
    yes: Yes = False,
) -> None:
    """Count from now on as if nothing had been spent; the ledger and the history keep everything.

    Examples:
      llmgw budget reset key:ci day -y
      llmgw budget reset --every -y
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.budgets import ListBudgets, ResetBudgets

    if (scope is None) != every:
        raise BadRequest("reset whose budgets?", hint="name a scope, or `--every`")
    if every and (window or unit):
        raise BadRequest("`--every` takes the budgets of all windows", hint="name a scope for one of them")
    whose = None if scope is None else _scope(scope)
    with gateway() as there:
        if matching := _matching(there.ask(ListBudgets()).budgets, whose, window, unit):
            prompts.confirm(f"Reset {_named(matching)}?", yes=yes)
        done = there.ask(ResetBudgets(scope=scope, window=window, unit=unit)).budgets
    _print(done)


def _print(rows: Sequence[BudgetView], more: tuple[Column, ...] = ()) -> None:
    """A table of words for people, the exact figures for everybody else."""
    if given.output is Format.TABLE and not given.fields and not given.quiet:
        output.rows([draw(row) for row in rows], [*SCREEN, *more], noun="budgets")
    else:
        output.rows(map(to_builtins, rows), MACHINE, noun="budgets")


def _apply(file: Path, *, dry_run: bool, yes: bool) -> None:
    """Replace all budgets by those of a file, and print the difference."""
    from llmgw.cli.reaching import gateway
    from llmgw.desk.budget_shapes import DeclaredBudget, amounts_of
    from llmgw.desk.budgets import RUN, ListBudgets, ReplaceBudgets
    from llmgw.desk.keys import ListKeys

    declared = budget_files.read(file)
    for budget in declared:
        _check(budget)
    with gateway() as there:
        runs = {f"key:{key.name}" for key in there.ask(ListKeys(all=True)).keys if key.plan == RUN}
        before = [each.budget for each in there.ask(ListBudgets()).budgets if each.scope not in runs]
        changes = budget_files.difference(before, declared)
        if not dry_run:
            if gone := [each.before for each in changes if each.before is not None and each.after is None]:
                prompts.confirm(f"Remove {' and '.join(map(budget_files.name, gone))}?", yes=yes)
            wanted = (DeclaredBudget(scope=str(each.scope), **amounts_of(each)) for each in declared)
            there.ask(ReplaceBudgets(budgets=tuple(wanted)))
    _print_changes(changes)


def _print_changes(changes: list[budget_files.Change]) -> None:
    columns = [Column(name) for name in ("change", "scope", "window", "before", "after")]
    output.rows([each.record for each in changes], columns, noun="changes", ident="scope")


def _mind_closing(before: Budget | None, after: Budget, *, yes: bool) -> None:
    """Ask somebody who is there before a ceiling is lowered."""
    if before is None or yes or not prompts.interactive() or after.hard is None:
        return
    if before.hard is None or after.hard < before.hard:
        prompts.confirm(f"Lower {budget_files.name(before)}?", yes=False, option="--yes")


def _scope(text: str) -> Scope:
    try:
        return parse_scope(text)
    except ValueError as error:
        raise BadRequest(str(error), hint="see `llmgw help scopes`") from None


def _check(budget: Budget) -> None:
    """Refuse what makes no sense before anybody is asked about it."""
    from llmgw.storage.budgets import check

    check(budget)


def _named(rows: Iterable[BudgetView]) -> str:
    return " and ".join(budget_files.name(row.budget) for row in rows)


def _matching(
    rows: Iterable[BudgetView], scope: Scope | None, window: Window | None, unit: Unit | None
) -> list[BudgetView]:
    return [
        row
        for row in rows
        if (scope is None or row.scope == str(scope))
        and window in {None, row.window}
        and unit in {None, row.unit}
    ]
