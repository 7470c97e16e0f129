"""How a budget is set from a screen: an amount is typed into the command that is shown, the rest stays as it was."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from llmgw.desk.budget_shapes import amounts_of, type_amount
from llmgw.desk.budgets import Budgets, ListBudgets, SetBudget
from llmgw.domain.amounts import parse_rate
from llmgw.domain.budget import Budget, Unit
from llmgw.domain.scope import parse_scope

if TYPE_CHECKING:
    from llmgw.domain.pulse import BudgetNow
    from llmgw.tui.frame import Frame

USUAL = "20/month"


def set_budget(frame: Frame, scope: str, now: BudgetNow | None = None) -> None:
    """Have an amount typed and agreed to. ``now`` is the budget that there is, if any."""
    typed = USUAL if now is None else f"{type_amount(Unit(now.unit), now.hard)}/{now.window}"
    if frame.dash.options.write:
        frame.asking(ListBudgets(), partial(_ask, frame, scope, typed))
    else:
        _ask(frame, scope, typed, Budgets(()))  # which says that it takes --write


def _ask(frame: Frame, scope: str, typed: str, found: Budgets) -> None:
    frame.change(partial(_budget, scope, found), f"llmgw budget set {shlex.quote(scope)} {{}}", value=typed)


def _budget(scope: str, found: Budgets, text: str) -> SetBudget:
    """The budget that there is with another amount and all its marks, or a new one; BadRequest for what is no amount."""
    unit, hard, window = parse_rate(text.strip())
    new = Budget(scope=parse_scope(scope), window=window, unit=unit, hard=hard)
    old = next((each.budget for each in found.budgets if each.budget.name == new.name), new)
    return SetBudget(scope=scope, **amounts_of(replace(old, hard=hard)))
