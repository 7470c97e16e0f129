"""Budgets as they travel: what is shown of one, what is declared of one, and both in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from llmgw.desk.scopes import ScopeName
from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.money import decimal_usd
from llmgw.domain.scope import Scope, parse_scope
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from llmgw.desk.overview import Overview

MARKS = ("hard", "medium", "soft")
KINDS = {Unit.MONEY: "nanousd", Unit.TOKENS: "tokens"}
Amount = int | UnsetType
Mark = int | None | UnsetType
Hard = Annotated[int | None, Meta(description="the ceiling, which is never exceeded")]
Medium = Annotated[int | None, Meta(description="from here on no premium model is used")]
Soft = Annotated[int | None, Meta(description="here a notice is given")]
Used = Annotated[float, Meta(description="the part of the ceiling that is spent or held")]


class BudgetView(Struct, frozen=True, kw_only=True):
    """A budget now. Amounts are in its unit: those of the other one are not there."""

    name: str
    scope: str
    window: Window
    unit: Unit
    amount: Annotated[str, Meta(description="as `llmgw budget set` takes it")]
    period: str
    ends_at: int | None
    spent_nanousd: Amount = UNSET
    spent_tokens: Amount = UNSET
    held_nanousd: Mark = UNSET
    held_tokens: Mark = UNSET
    left_nanousd: Mark = UNSET
    left_tokens: Mark = UNSET
    hard_nanousd: Mark = UNSET
    hard_tokens: Mark = UNSET
    medium_nanousd: Mark = UNSET
    medium_tokens: Mark = UNSET
    soft_nanousd: Mark = UNSET
    soft_tokens: Mark = UNSET
    burn_per_hour_nanousd: Amount = UNSET
    burn_per_hour_tokens: Amount = UNSET
    used: Used | None
    warn: tuple[int, ...]
    on_exceed: str
    runs_out_at: int | None
    tightest: Annotated[str | None, Meta(description="the other budget that leaves the same calls less")]

    def of(self, measure: str) -> int | None:
        """``spent``, ``held``, ``left``, ``hard``, ``medium``, ``soft`` or ``burn_per_hour`` in the budget's unit."""
        found: Mark = getattr(self, f"{measure}_{KINDS[self.unit]}")
        return None if found is UNSET else found

    @property
    def budget(self) -> Budget:
        """What was declared of it."""
        return Budget(
            scope=parse_scope(self.scope),
            window=self.window,
            unit=self.unit,
            hard=self.of("hard"),
            medium=self.of("medium"),
            soft=self.of("soft"),
            warn=self.warn,
            on_exceed=self.on_exceed,
        )


class BudgetSet(BudgetView, frozen=True, kw_only=True):
    changed: bool


class PastWindow(Struct, frozen=True, kw_only=True):
    """What was spent in one window of a budget; resets do not change it."""

    scope: str
    window: Window
    period: str
    starts_at: int
    spent_nanousd: Amount = UNSET
    spent_tokens: Amount = UNSET
    hard_nanousd: Mark = UNSET
    hard_tokens: Mark = UNSET
    used: float | None


class Amounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Marks in money or in tokens, at least one; ``hard`` is the ceiling."""

    window: Window
    hard_nanousd: Hard = None
    hard_tokens: Hard = None
    medium_nanousd: Medium = None
    medium_tokens: Medium = None
    soft_nanousd: Soft = None
    soft_tokens: Soft = None
    warn: Annotated[
        tuple[int, ...], Meta(description="percentages of the ceiling at which a notice is given")
    ] = ()
    on_exceed: Annotated[
        str, Meta(description="what becomes of calls that do not fit: `stop`, `downgrade:TIER` or `cache`")
    ] = "stop"

    def budget_of(self, scope: Scope) -> Budget:
        """The budget that these make; BadRequest for money and tokens at once."""
        given = {unit: [getattr(self, f"{mark}_{kind}") for mark in MARKS] for unit, kind in KINDS.items()}
        units = [unit for unit, marks in given.items() if any(mark is not None for mark in marks)]
        if len(units) > 1:
            raise BadRequest("a budget is in money or in tokens, not both", hint="set two")
        unit = units[0] if units else Unit.MONEY
        hard, medium, soft = given[unit]
        return Budget(
            scope=scope,
            window=self.window,
            unit=unit,
            hard=hard,
            medium=medium,
            soft=soft,
            warn=tuple(sorted(set(self.warn))),
            on_exceed=self.on_exceed,
        )


class DeclaredBudget(Amounts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One budget of a whole set."""

    scope: ScopeName


def view(row: Overview) -> BudgetView:
    """A budget as operators see it."""
    budget, kind = row.budget, KINDS[row.budget.unit]
    amounts: dict[str, Any] = {
        "spent": row.spent, "held": row.held, "left": row.left, "hard": budget.hard, "medium": budget.medium,
        "soft": budget.soft, "burn_per_hour": row.burn,
    }  # fmt: skip
    return BudgetView(
        name=f"{budget.scope} {budget.window}",
        scope=str(budget.scope),
        window=budget.window,
        unit=budget.unit,
        amount=spell(budget),
        period=row.period,
        ends_at=row.ends_at,
        **{f"{name}_{kind}": value for name, value in amounts.items()},
        used=None if row.used is None else round(row.used, 4),
        warn=budget.warn,
        on_exceed=budget.on_exceed,
        runs_out_at=row.runs_out_at,
        tightest=None if row.tightest is None else f"{row.tightest.scope} {row.tightest.window}",
    )


def amounts_of(budget: Budget) -> dict[str, Any]:
    """A budget but for its scope, in the fields of `Amounts`."""
    kind = KINDS[budget.unit]
    marks = {f"{mark}_{kind}": getattr(budget, mark) for mark in MARKS}
    return {"window": budget.window, **marks, "warn": budget.warn, "on_exceed": budget.on_exceed}


def spell(budget: Budget) -> str:
    """A budget as `budget set` takes it."""
    words = [f"{type_amount(budget.unit, budget.hard)}/{budget.window.value}"]
    for option, value in (("soft", budget.soft), ("medium", budget.medium)):
        if value is not None:
            words.append(f"--{option} {type_amount(budget.unit, value)}")
    if budget.warn:
        words.append(f"--warn {','.join(map(str, budget.warn))}")
    if budget.on_exceed != "stop":
        words.append(f"--on-exceed {budget.on_exceed}")
    return " ".join(words)


def type_amount(unit: Unit, amount: int | None) -> str:
    """An amount as commands read it."""
    if amount is None:
        return "none" if unit is Unit.MONEY else "none-tokens"
    return decimal_usd(amount) if unit is Unit.MONEY else f"{amount}-tokens"


def past(budget: Budget, period: str, start: int, spent: int) -> PastWindow:
    """A window that was, as operators see it."""
    kind = KINDS[budget.unit]
    amounts: dict[str, Any] = {f"spent_{kind}": spent, f"hard_{kind}": budget.hard}
    return PastWindow(
        scope=str(budget.scope),
        window=budget.window,
        period=period,
        starts_at=start,
        **amounts,
        used=None if not budget.hard else round(spent / budget.hard, 4),
    )
