"""How a budget looks: exact for programs, with a bar for people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llmgw.cli.output import Column
from llmgw.domain import spelling
from llmgw.domain.spelling import DASH

if TYPE_CHECKING:
    from llmgw.desk.budget_shapes import BudgetView

WIDTH = 18

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


def draw(row: BudgetView) -> dict[str, str]:
    """What people see."""

    def amount(measure: str) -> str:
        return spelling.amount(row.unit, row.of(measure))

    return {
        "name": row.name,
        "scope": row.scope,
        "window": row.window.value,
        "spent": amount("spent"),
        "held": amount("held"),
        "ceiling": amount("hard"),
        "left": DASH if row.used is None else f"{max(0, int(100 * (1 - row.used)))} %",
        "used": spelling.bar(row.used, WIDTH, mark=True),
        "burn": f"{amount('burn_per_hour')}/h" if row.of("burn_per_hour") else DASH,
        "runs_out": spelling.runs_out(row.runs_out_at, row.of("left"), time.time_ns()),
        "tightest": row.tightest or DASH,
        "soft": amount("soft"),
        "medium": amount("medium"),
        "warn": ", ".join(f"{each} %" for each in row.warn),
        "on_exceed": row.on_exceed,
    }


def sentence(row: BudgetView) -> str:
    """One line: ``key:ci: $1.02 of $5.00 spent in the day 2026-11-21``."""
    spent = spelling.amount(row.unit, row.of("spent") or 0)
    hard, under_way = row.of("hard"), row.of("held")
    of = "" if hard is None else f" of {spelling.amount(row.unit, hard)}"
    when = "in total" if row.ends_at is None else f"in the {row.window} {row.period}"
    held = f", {spelling.amount(row.unit, under_way)} held" if under_way else ""
    return f"{row.scope}: {spent}{of} spent {when}{held}"
