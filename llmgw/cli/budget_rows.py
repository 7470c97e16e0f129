"""How a budget looks: exact for programs, with a bar for people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llmgw.cli import amounts
from llmgw.cli.output import DASH, Column, cell

if TYPE_CHECKING:
    from llmgw.desk.budget_shapes import BudgetView

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


def draw(row: BudgetView) -> dict[str, str]:
    """What people see."""

    def amount(measure: str) -> str:
        value = row.of(measure)
        return DASH if value is None else amounts.show_amount(row.unit, value)

    return {
        "name": row.name,
        "scope": row.scope,
        "window": row.window.value,
        "spent": amount("spent"),
        "held": amount("held"),
        "ceiling": amount("hard"),
        "left": DASH if row.used is None else f"{max(0, int(100 * (1 - row.used)))} %",
        "used": DASH if row.used is None else _bar(row.used),
        "burn": f"{amount('burn_per_hour')}/h" if row.of("burn_per_hour") else DASH,
        "runs_out": _runs_out(row),
        "tightest": row.tightest or DASH,
        "soft": amount("soft"),
        "medium": amount("medium"),
        "warn": ", ".join(f"{each} %" for each in row.warn),
        "on_exceed": row.on_exceed,
    }


def sentence(row: BudgetView) -> str:
    """One line: ``key:ci: $1.02 of $5.00 spent in the day 2026-11-21``."""
    spent = amounts.show_amount(row.unit, row.of("spent") or 0)
    hard, under_way = row.of("hard"), row.of("held")
    of = "" if hard is None else f" of {amounts.show_amount(row.unit, hard)}"
    when = "in total" if row.ends_at is None else f"in the {row.window} {row.period}"
    held = f", {amounts.show_amount(row.unit, under_way)} held" if under_way else ""
    return f"{row.scope}: {spent}{of} spent {when}{held}"


def _bar(used: float) -> str:
    full = min(WIDTH, round(used * WIDTH))
    return "▓" * full + "░" * (WIDTH - full) + (" !" if used >= HIGH else "")


def _runs_out(row: BudgetView) -> str:
    if row.of("left") == 0:
        return "now"
    if row.runs_out_at is None or row.runs_out_at <= time.time_ns():
        return DASH
    return cell("runs_out_at", row.runs_out_at)
