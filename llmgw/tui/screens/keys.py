"""Who? Keys and tenants with what they spend and do just now, what they are held to, and which of them end soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.desk.kills import LiftKill, ThrowKill
from llmgw.domain import spelling
from llmgw.tui.budgeting import set_budget
from llmgw.tui.figures import keys
from llmgw.tui.figures.terms import term
from llmgw.tui.frame import Frame
from llmgw.tui.widgets.drawing import Paper, bar, level, line, spark
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from rich.text import Text
    from textual.app import ComposeResult

    from llmgw.domain.pulse import BudgetNow
    from llmgw.rules.picture import Picture

PLACE = 6
KEYS = (
    Column("KEY", grow=True, least=6),
    Column("TENANT", wide=True),
    Column("STATE"),
    Column("REQ", right=True),
    Column("/MIN", right=True),
    Column("TODAY", right=True),
    Column("MONTH", right=True),
    Column("BUDGET"),
    Column("LAST", right=True),
    Column("LIMITS"),
    Column("LATELY", wide=True),
    Column("MODELS", wide=True),
    Column("TAGS", wide=True),
    Column("EXPIRES", right=True, wide=True),
)
TENANTS = (
    Column("TENANT", grow=True, least=8),
    Column("KEYS", right=True),
    Column("REQ", right=True),
    Column("ERR", right=True),
    Column("TODAY", right=True),
    Column("MONTH", right=True),
    Column("BUDGET"),
    Column("LEFT", right=True),
)
BARS = 120
"""Columns from which on budgets have bars."""
SPARK = 16
STYLES = {"live": "good", "expiring": "warn", "paused": "bad", "expired": "bad", "gone": "dim"}
MARKS = {"live": "", "expiring": "! ", "paused": "! ", "expired": "! ", "gone": ""}
REASON = "paused from the dashboard"


class Keys(Frame):
    @property
    def command(self) -> str:
        return "llmgw key list"

    @property
    def copied(self) -> str:
        row = self.table("keys").row
        return self.command if row is None else f"llmgw key show {row.key}"

    def body(self) -> ComposeResult:
        yield Table("Keys", columns=KEYS, empty="no key; `llmgw key create NAME` makes one", id="keys")
        yield Table("Tenants", columns=TENANTS, empty="no tenant", id="tenants")

    def draw(self, picture: Picture) -> None:
        plain = self.dash.plain
        callers = keys.callers(picture)
        table = self.table("keys")
        table.border_title = f"{len(callers)} keys" if len(callers) != 1 else "1 key"
        bars = self.size.width >= BARS
        table.fill([_key(each, picture.now, bars=bars, plain=plain) for each in callers])
        tenants = keys.tenants(picture)
        self.table("tenants").fill([_tenant(each, bars=bars, plain=plain) for each in tenants])
        self.table("tenants").styles.height = min(len(tenants), 8) + 3

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        self.drill(term("key" if chosen.table.id == "keys" else "tenant", chosen.row.key))

    def action_pause_key(self) -> None:
        """Throw the switch of the key under the cursor; where it is thrown, lift it."""
        row = self.table("keys").row
        if row is None:
            return
        scope = f"key:{row.key}"
        kills = self.dash.picture.standing.kills or ()
        if any(kill.scope == scope for kill in kills):
            self.change(
                LiftKill(scope=scope),
                f"llmgw kill off {scope}",
                lambda _: self.notify(f"{row.key} may call again"),
            )
        else:
            ask = ThrowKill(scope=scope, reason=REASON)
            command = f"llmgw kill on {scope} --reason '{REASON}'"
            self.change(ask, command, lambda _: self.notify(f"{row.key} is paused", severity="warning"))

    def action_set_budget(self) -> None:
        """The budget of the key or tenant under the cursor."""
        tenants = self.focused is not None and self.focused.id == "tenants"
        table = self.table("tenants" if tenants else "keys")
        if table.row is not None:
            scope = f"{'tenant' if tenants else 'key'}:{table.row.key}"
            budgets = self.dash.picture.standing.budgets or ()
            set_budget(self, scope, next((each for each in budgets if each.scope == scope), None))


def _key(each: keys.Caller, now: int, *, bars: bool, plain: bool) -> Row:
    key, used = each.key, each.key.last_used_at if each.key else None
    state = "paused" if each.kill is not None else keys.state(key, now)
    word = state
    ends = key.expires_at if key else None
    if state == "expiring" and ends is not None:
        word = f"ends {spelling.relative(ends, now)}"
    title = f"{each.name} {'*' if plain else '★'}" if key is not None and key.admin else each.name
    limits = [
        limit.replace("requests", "req").replace("minute", "min") for limit in (key.limits if key else ())
    ]
    return Row(
        each.name,
        (
            line((title, "id")),
            key.tenant if key else spelling.DASH,
            line((MARKS[state] + word, STYLES[state])),
            spelling.count(each.today.requests),
            f"{each.per_minute:,.0f}",
            spelling.usd(each.today.cost),
            spelling.short_usd(each.month.cost),
            _budget(each.budget, bars=bars, plain=plain),
            spelling.DASH if used is None else spelling.relative(used, now).removesuffix(" ago"),
            ", ".join(limits) or line(("none", "dim")),
            spark(each.trend, Paper(SPARK, 1, plain)),
            ", ".join(key.models) if key and key.models else "all",
            ", ".join(key.tags) if key and key.tags else spelling.DASH,
            spelling.DASH if ends is None else spelling.relative(ends, now),
        ),
        (
            each.name, key.tenant if key else "", state, each.today.requests, each.per_minute, each.today.cost,
            each.month.cost, None if each.budget is None else each.budget.used, used, str(limits),
            sum(each.trend), str(key.models if key else ""), str(key.tags if key else ""), ends,
        ),
    )  # fmt: skip


def _tenant(each: keys.Tenant, *, bars: bool, plain: bool) -> Row:
    counts, budget = each.today, each.budget
    errors = counts.errors / counts.requests if counts.requests else None
    left = None if budget is None else budget.left
    shown = spelling.DASH if budget is None else spelling.amount(budget.unit, left)
    return Row(
        each.name,
        (
            line((each.name, "id")),
            spelling.count(each.keys),
            spelling.count(counts.requests),
            spelling.percent(errors),
            spelling.usd(counts.cost),
            spelling.short_usd(each.month.cost),
            _budget(budget, bars=bars, plain=plain),
            shown,
        ),
        (
            each.name,
            each.keys,
            counts.requests,
            errors,
            counts.cost,
            each.month.cost,
            budget and budget.used,
            left,
        ),
    )


def _budget(budget: BudgetNow | None, *, bars: bool, plain: bool) -> Text:
    """How much of the tightest ceiling of its own is used."""
    if budget is None or budget.used is None:
        return line(("none", "dim"))
    style = level(budget.used)
    mark = "! " if budget.used >= spelling.HIGH else ""
    words = (f"{mark}{spelling.percent(budget.used)} of {budget.window}", style if mark else "")
    return line(bar(budget.used, Paper(8, 1, plain), style), " ", words) if bars else line(words)
