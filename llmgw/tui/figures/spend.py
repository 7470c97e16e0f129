"""Figures of spending: budgets by what caps what, sums by who or what caused them, and the month as a whole."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain.money import NANO, decimal_usd
from llmgw.rules.picture import grouped, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmgw.domain.money import NanoUSD
    from llmgw.domain.pulse import BudgetNow, Counts
    from llmgw.rules.picture import Picture

BY = ("key", "model", "tag", "day", "provider", "tier", "tenant")
"""What spending can be added up by."""
WINDOWS = ("hour", "day", "week", "month", "total")


class Nested(NamedTuple):
    """A budget under those that hold its calls as well; ``depth`` counts them."""

    depth: int
    budget: BudgetNow


class Sum(NamedTuple):
    """What one of a group cost; ``part`` of all of them, None where nothing was spent."""

    name: str
    counts: Counts
    part: float | None


class Month(NamedTuple):
    """What the running month cost, what it will have cost at this pace, what the one before did."""

    spent: NanoUSD
    projected: NanoUSD
    before: NanoUSD


def nested(budgets: Sequence[BudgetNow]) -> list[Nested]:
    """Every budget once, each scope below the next wider one that has a budget, narrow windows first."""
    scopes = dict.fromkeys(budget.scope for budget in budgets)
    inside: dict[str | None, list[str]] = {}
    for scope in scopes:
        parent = next(budget.parent for budget in budgets if budget.scope == scope)
        inside.setdefault(parent if parent in scopes and parent != scope else None, []).append(scope)
    found: list[Nested] = []

    def walk(scope: str, depth: int) -> None:
        mine = sorted(
            (budget for budget in budgets if budget.scope == scope),
            key=lambda each: (WINDOWS.index(each.window), each.unit),
        )
        found.extend(Nested(depth, budget) for budget in mine)
        for narrower in inside.get(scope, ()):
            walk(narrower, depth + 1)

    for scope in inside.get(None, ()):
        walk(scope, 0)
    return found


def sums(picture: Picture, by: str) -> list[Sum]:
    """What was spent in the window by key, model, tag or day: the dearest first, days the newest first."""
    if by == "day":
        groups = _days(picture)
    else:
        groups = [(group.name, group.counts) for group in grouped(picture.in_window(), by)]
    whole = total(picture.in_window()).cost
    return [Sum(name, counts, counts.cost / whole if whole else None) for name, counts in groups]


def month(picture: Picture) -> Month:
    before = picture.history.last_month if picture.history else 0
    return Month(total(picture.month()).cost, picture.projection(), before)


def budgets_csv(rows: Iterable[Nested]) -> str:
    """Budgets as `budget list -o csv` has them: exact amounts in the budget's unit."""
    names = ("scope", "window", "unit", "spent", "held", "hard", "left", "burn_per_hour", "tightest")
    return _csv(
        names,
        ((b.scope, b.window, b.unit, b.spent, b.held, b.hard, b.left, b.burn, b.tightest) for _, b in rows),
    )


def sums_csv(rows: Iterable[Sum], by: str) -> str:
    """Sums as `report -o csv` has them: whole nano-dollars and exact dollars."""
    names = (by, "requests", "errors", "input_tokens", "output_tokens", "cost_nanousd", "cost_usd")
    return _csv(
        names,
        (
            (name, c.requests, c.errors, c.input_tokens, c.output_tokens, c.cost, decimal_usd(c.cost))
            for name, c, _ in rows
        ),
    )


def _days(picture: Picture) -> list[tuple[str, Counts]]:
    """The window by local day, the newest first; a step counts to the day that it begins in."""
    days: dict[str, list[Counts]] = {}
    for step in picture.series():
        day = datetime.fromtimestamp(step.at // NANO, picture.zone).date().isoformat()
        days.setdefault(day, []).append(total(step.lines))
    found = [(day, _sum(parts)) for day, parts in days.items()]
    return [each for each in reversed(found) if each[1].requests]


def _sum(parts: list[Counts]) -> Counts:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


def _csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return buffer.getvalue()
