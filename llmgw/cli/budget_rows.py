"""How a budget looks: exact for programs, with a bar for people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from llmgw.cli import amounts
from llmgw.cli.output import DASH, Column, cell
from llmgw.domain.budget import Unit

if TYPE_CHECKING:
    from llmgw.client.budgets import Overview

WIDTH = 18
HIGH = 0.8
"""From here on a bar is marked."""

SCREEN = (
    Column("scope"),
    Column("window"),
    Column("spent"),
    Column("held"),
    Column("ceiling"),
    Column("left"),
    Column("used"),
    Column("burn", wide=True),
    Column("runs_out"),
    Column("tightest", wide=True),
)
CEILINGS = (Column("soft"), Column("medium"), Column("warn"), Column("on_exceed"))
MACHINE = [
    Column("scope"),
    Column("window"),
    Column("unit"),
    Column("spent_nanousd"),
    Column("spent_tokens"),
    Column("hard_nanousd"),
    Column("hard_tokens"),
    Column("used"),
]


def describe(row: Overview) -> dict[str, Any]:
    """What programs see; amounts end in the budget's unit."""
    budget = row.budget
    kind = "nanousd" if budget.unit is Unit.MONEY else "tokens"
    return {
        "name": f"{budget.scope} {budget.window.value}",
        "scope": str(budget.scope),
        "window": budget.window.value,
        "unit": budget.unit.value,
        "period": row.period,
        "ends_at": row.ends_at,
        f"spent_{kind}": row.spent,
        f"held_{kind}": row.held,
        f"left_{kind}": row.left,
        f"hard_{kind}": budget.hard,
        f"medium_{kind}": budget.medium,
        f"soft_{kind}": budget.soft,
        f"burn_per_hour_{kind}": row.burn,
        "used": None if row.used is None else round(row.used, 4),
        "warn": list(budget.warn),
        "on_exceed": budget.on_exceed,
        "runs_out_at": row.runs_out_at,
        "tightest": None if row.tightest is None else f"{row.tightest.scope} {row.tightest.window.value}",
    }


def draw(row: Overview) -> dict[str, str]:
    """What people see."""
    budget = row.budget

    def amount(value: int | None) -> str:
        return DASH if value is None else amounts.show_amount(budget.unit, value)

    return {
        "name": f"{budget.scope} {budget.window.value}",
        "scope": str(budget.scope),
        "window": budget.window.value,
        "spent": amount(row.spent),
        "held": amount(row.held),
        "ceiling": amount(budget.hard),
        "left": DASH if row.used is None else f"{max(0, int(100 * (1 - row.used)))} %",
        "used": DASH if row.used is None else _bar(row.used),
        "burn": f"{amount(row.burn)}/h" if row.burn else DASH,
        "runs_out": _runs_out(row),
        "tightest": DASH if row.tightest is None else f"{row.tightest.scope} {row.tightest.window.value}",
        "soft": amount(budget.soft),
        "medium": amount(budget.medium),
        "warn": ", ".join(f"{each} %" for each in budget.warn),
        "on_exceed": budget.on_exceed,
    }


def sentence(row: Overview) -> str:
    """One line: ``key:ci: $1.02 of $5.00 spent in the day 2026-11-21``."""
    budget = row.budget
    spent = amounts.show_amount(budget.unit, row.spent)
    of = "" if budget.hard is None else f" of {amounts.show_amount(budget.unit, budget.hard)}"
    when = "in total" if row.ends_at is None else f"in the {budget.window.value} {row.period}"
    held = f", {amounts.show_amount(budget.unit, row.held)} held" if row.held else ""
    return f"{budget.scope}: {spent}{of} spent {when}{held}"


def _bar(used: float) -> str:
    full = min(WIDTH, round(used * WIDTH))
    return "▓" * full + "░" * (WIDTH - full) + (" !" if used >= HIGH else "")


def _runs_out(row: Overview) -> str:
    if row.left == 0:
        return "now"
    if row.runs_out_at is None or row.runs_out_at <= time.time_ns():
        return DASH
    return cell("runs_out_at", row.runs_out_at)
