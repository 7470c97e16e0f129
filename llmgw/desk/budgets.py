"""Budgets: what an operator sees of them, sets, checks and resets."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct, structs

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.budget_shapes import (
    Amounts,
    BudgetSet,
    BudgetView,
    DeclaredBudget,
    PastWindow,
    past,
    view,
)
from llmgw.desk.overview import Overview, applicable, group, history, living, overview, tightest
from llmgw.desk.scopes import ScopeName, ZoneName, read_scope
from llmgw.domain.budget import Unit, Window
from llmgw.domain.scope import Scope, ScopeKind
from llmgw.errors import BadRequest, NotFound
from llmgw.storage.budgets import Budgets as Stored

RUN = "run"
"""The plan of the keys that `llmgw run` issues, whose budgets come and go with them."""


class Budgets(Struct, frozen=True):
    budgets: tuple[BudgetView, ...]


class Removed(Struct, frozen=True):
    removed: tuple[BudgetView, ...]


class Reset(Struct, frozen=True):
    message: str
    budgets: tuple[BudgetView, ...]


class Checked(Struct, frozen=True):
    fits: bool
    scope: str
    tightest: BudgetView | None


class PastWindows(Struct, frozen=True):
    windows: tuple[PastWindow, ...]


class ListBudgets(Ask[Budgets], frozen=True, kw_only=True):
    """List budgets with what is spent, held and left, and when they run out."""

    at: ClassVar = Place("GET", "/admin/budgets")
    answer: ClassVar = Budgets
    holding: Annotated[
        str | None, Meta(description="only those that calls of this scope are held to, as `key:ci`")
    ] = None
    tz: ZoneName = None

    def do(self, desk: Desk) -> Budgets:
        rows = _rows(desk, self.tz)
        if self.holding is not None:
            rows = applicable(group(rows), read_scope(self.holding), living(desk.control))
        return Budgets(tuple(map(view, rows)))


class SetBudget(Ask[BudgetSet], Amounts, frozen=True, kw_only=True):
    """Set a budget, in place of the one of its scope, window and unit; the next call is held to it."""

    at: ClassVar = Place("POST", "/admin/budgets")
    answer: ClassVar = BudgetSet
    scope: ScopeName

    def do(self, desk: Desk) -> BudgetSet:
        budgets, after = Stored(desk.control), self.budget_of(read_scope(self.scope))
        before = next((each for each in budgets.list() if each.name == after.name), None)
        budgets.set(after)
        row = next(row for row in _rows(desk, None) if row.budget.name == after.name)
        return BudgetSet(**structs.asdict(view(row)), changed=before != after)


class ReplaceBudgets(Ask[Budgets], frozen=True, kw_only=True):
    """Put exactly these budgets in force and lift all others, but for those of `llmgw run`."""

    at: ClassVar = Place("PUT", "/admin/budgets")
    answer: ClassVar = Budgets
    budgets: tuple[DeclaredBudget, ...]

    def do(self, desk: Desk) -> Budgets:
        stored = Stored(desk.control)
        declared = [each.budget_of(read_scope(each.scope)) for each in self.budgets]
        for budget in declared:
            if sum(budget.name == other.name for other in declared) > 1:
                raise BadRequest(f"`{budget.scope}` has two budgets for a {budget.window}", param="budgets")
        runs = {Scope(ScopeKind.KEY, key.name) for key in desk.control.load_keys() if key.plan == RUN}
        stored.replace(*declared, *(each for each in stored.list() if each.scope in runs))
        return Budgets(tuple(map(view, _rows(desk, None))))


class RemoveBudgets(Ask[Removed], frozen=True, kw_only=True):
    """Remove the budgets of a scope, or one of them."""

    at: ClassVar = Place("DELETE", "/admin/budgets")
    answer: ClassVar = Removed
    scope: ScopeName
    window: Window | None = None
    unit: Unit | None = None

    def do(self, desk: Desk) -> Removed:
        rows = _rows(desk, None)
        gone = {
            each.name for each in Stored(desk.control).remove(read_scope(self.scope), self.window, self.unit)
        }
        return Removed(tuple(view(row) for row in rows if row.budget.name in gone))


class CheckBudget(Ask[Checked], frozen=True, kw_only=True):
    """Tell whether an amount would fit under every ceiling that holds for a scope; nothing is set aside."""

    at: ClassVar = Place("GET", "/admin/budgets/check")
    answer: ClassVar = Checked
    scope: ScopeName
    amount_nanousd: int | None = None
    amount_tokens: int | None = None
    tz: ZoneName = None

    def do(self, desk: Desk) -> Checked:
        money, tokens = self.amount_nanousd, self.amount_tokens
        if (money is None) == (tokens is None):
            raise BadRequest("one amount, in dollars or in tokens", param="amount_usd")
        unit, wanted = (Unit.TOKENS, tokens or 0) if money is None else (Unit.MONEY, money)
        scope, keys = read_scope(self.scope), living(desk.control)
        if scope.kind is ScopeKind.KEY and scope.name not in keys:
            desk.control.show(scope.name)
            raise NotFound(f"key `{scope.name}` is revoked", hint="`llmgw key list` shows those that count")
        least = tightest(applicable(group(_rows(desk, self.tz)), scope, keys), unit)
        fits = least is None or least.left is None or wanted <= least.left
        return Checked(fits, str(scope), None if least is None else view(least))


class BudgetHistory(Ask[PastWindows], frozen=True, kw_only=True):
    """Tell what was spent in past windows of the budgets of a scope."""

    at: ClassVar = Place("GET", "/admin/budgets/history")
    answer: ClassVar = PastWindows
    scope: ScopeName
    window: Window | None = None
    unit: Unit | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="how many windows of each at most")] = 12
    tz: ZoneName = None

    def do(self, desk: Desk) -> PastWindows:
        zone, now = desk.zone(self.tz), desk.clock.now()
        return PastWindows(
            tuple(
                past(budget, *period)
                for budget in Stored(desk.control).show(read_scope(self.scope))
                if self.window in {None, budget.window} and self.unit in {None, budget.unit}
                for period in history(desk.control, budget, zone, now, self.limit)
            )
        )


class ResetBudgets(Ask[Reset], frozen=True, kw_only=True):
    """Count from now on as if nothing had been spent, of one scope or of all; the ledger keeps everything."""

    at: ClassVar = Place("POST", "/api/admin/reset-budgets")
    answer: ClassVar = Reset
    scope: Annotated[str | None, Meta(description="whose budgets; everybody's without it")] = None
    window: Window | None = None
    unit: Unit | None = None

    def do(self, desk: Desk) -> Reset:
        if self.scope is None and (self.window or self.unit):
            raise BadRequest("`window` and `unit` are of a scope's budgets", param="scope")
        scope = None if self.scope is None else read_scope(self.scope)
        done = {each.name for each in Stored(desk.control, desk.clock).reset(scope, self.window, self.unit)}
        rows = tuple(view(row) for row in _rows(desk, None) if row.budget.name in done)
        return Reset(f"{len(rows):,} budget{'s' * (len(rows) != 1)} reset", rows)


def _rows(desk: Desk, tz: str | None) -> list[Overview]:
    return overview(desk.control, desk.zone(tz), desk.clock.now())
