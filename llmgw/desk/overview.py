"""Budgets as people look at them: what is spent, held and left, how fast it goes, which ceiling is met first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from llmgw.domain.budget import Budget, Unit
from llmgw.domain.clock import Nanoseconds
from llmgw.domain.scope import ALL, Scope, ScopeKind
from llmgw.rules.reservations import Standing, Subject
from llmgw.rules.windows import FOREVER, HOUR, bucket, lately
from llmgw.storage.budgets import Budgets
from llmgw.storage.holds import first_call, open_attempts

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from llmgw.domain.identity import Key
    from llmgw.storage.control import Control


class Overview(Struct, frozen=True, kw_only=True):
    """One budget now. ``held`` is what calls under way may yet cost, None where the ledger does not tell: in tokens.

    ``burn`` is what was spent an hour, over the last one. ``runs_out_at`` is None where the ceiling will not be met
    in this window. ``tightest`` is the other budget that leaves the same calls less, None where there is none.
    """

    budget: Budget
    spent: int
    held: int | None
    burn: int
    period: str
    until: Nanoseconds
    runs_out_at: Nanoseconds | None
    tightest: Budget | None = None

    @property
    def left(self) -> int | None:
        """What is neither spent nor held of the ceiling; None where there is none."""
        hard = self.budget.hard
        return None if hard is None else max(0, hard - self.spent - (self.held or 0))

    @property
    def used(self) -> float | None:
        """The part of the ceiling that is spent or held."""
        hard, left = self.budget.hard, self.left
        if hard is None or left is None:
            return None
        return (self.spent + (self.held or 0)) / hard if hard else 1.0

    @property
    def ends_at(self) -> Nanoseconds | None:
        """When its window ends; None for one that never does."""
        return None if self.until >= FOREVER else self.until


def overview(control: Control, zone: ZoneInfo, now: Nanoseconds) -> list[Overview]:
    """Every budget, from the widest scope to the narrowest."""
    spending = Budgets(control).spending(zone, now)
    under_way = open_attempts(control)
    began = lately(now)
    found = []
    for each in spending:
        held = None
        if each.budget.unit is Unit.MONEY:
            scope = each.budget.scope
            mine = (
                one for one in under_way if one.started_at >= each.since and scope in one.subject.scopes()
            )
            held = sum(one.amount for one in mine)
        burn = each.lately * HOUR // (now - began)
        row = Overview(
            budget=each.budget,
            spent=each.spent,
            held=held,
            burn=burn,
            period=each.bucket,
            until=each.until,
            runs_out_at=None,
        )
        if burn and row.left is not None and (end := now + row.left * HOUR // burn) < each.until:
            row = replace(row, runs_out_at=end)
        found.append(row)
    by_scope, keys = group(found), living(control)
    return [replace(row, tightest=_tighter(row, by_scope, keys)) for row in found]


def living(control: Control) -> dict[str, Key]:
    """The keys that count, by name."""
    return {key.name: key for key in control.load_keys() if key.revoked_at is None}


def group(rows: list[Overview]) -> dict[Scope, list[Overview]]:
    """Budgets by their scope."""
    by_scope: dict[Scope, list[Overview]] = {}
    for row in rows:
        by_scope.setdefault(row.budget.scope, []).append(row)
    return by_scope


def applicable(by_scope: dict[Scope, list[Overview]], scope: Scope, keys: dict[str, Key]) -> list[Overview]:
    """The budgets that hold for every call of a scope: those of a key also for its tenant, user and tags."""
    return [row for each in wider(scope, keys) for row in by_scope.get(each, ())]


def tightest(rows: list[Overview], unit: Unit) -> Overview | None:
    """The one with the least left; None where no ceiling is counted in that unit."""
    ceilings = [row for row in rows if row.left is not None and row.budget.unit is unit]
    return min(ceilings, key=lambda row: row.left or 0, default=None)


def wider(scope: Scope, keys: dict[str, Key]) -> set[Scope]:
    """The scopes that hold every call of this one."""
    key = keys.get(scope.name) if scope.kind is ScopeKind.KEY else None
    if key is not None:
        return set(Subject(key.tenant, key.user, key.name, ",".join(key.tags), "", "", "").scopes())
    if scope.kind is ScopeKind.MODEL and "/" in scope.name:
        provider, _, model = scope.name.partition("/")
        return {ALL, scope, Scope(ScopeKind.PROVIDER, provider), Scope(ScopeKind.MODEL, model)}
    return {ALL, scope}


def history(
    control: Control, budget: Budget, zone: ZoneInfo, now: Nanoseconds, limit: int
) -> list[tuple[str, Nanoseconds, int]]:
    """Name, beginning and spending of the last windows of a budget, the running one first, back to the first call."""
    budgets, first = Budgets(control), first_call(control)
    found: list[tuple[str, Nanoseconds, int]] = []
    at = now
    while len(found) < limit:
        period = bucket(budget.window, at, zone)
        (spent,), _ = budgets.spent([Standing(budget)], zone, at)
        found.append((period.id, period.start_ns, spent))
        if first is None or period.start_ns <= first:
            break
        at = period.start_ns - 1
    return found


def _tighter(row: Overview, by_scope: dict[Scope, list[Overview]], keys: dict[str, Key]) -> Budget | None:
    least = tightest(applicable(by_scope, row.budget.scope, keys), row.budget.unit)
    if least is None or (row.left is not None and least.left is not None and least.left >= row.left):
        return None
    return least.budget
