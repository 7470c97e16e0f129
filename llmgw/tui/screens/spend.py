"""Where does the money go? Budgets by what caps what, the month and where it leads, sums by whatever is asked for."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from llmgw.config.private import write_private
from llmgw.domain import spelling
from llmgw.domain.money import NANO
from llmgw.tui.budgeting import set_budget
from llmgw.tui.figures import spend
from llmgw.tui.figures.terms import scoped, target, term
from llmgw.tui.frame import Frame
from llmgw.tui.widgets.drawing import Paper, bar, fit, level, line
from llmgw.tui.widgets.pane import Pane
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text
    from textual.app import ComposeResult

    from llmgw.domain.pulse import BudgetNow
    from llmgw.rules.picture import Picture

PLACE = 5
BUDGETS = (
    Column("SCOPE", grow=True, least=10),
    Column("WINDOW"),
    Column("SPENT", right=True),
    Column("CEILING", right=True),
    Column("USED"),
    Column("BURN", right=True),
    Column("RUNS OUT", right=True),
    Column("TIGHTEST", wide=True),
    Column("HELD", right=True, wide=True),
)
SUMS = (
    Column("", grow=True, least=10),
    Column("REQ", right=True),
    Column("TOKENS", right=True, wide=True),
    Column("COST", right=True),
    Column("PART", right=True),
    Column(""),
    Column("SAVED", right=True, wide=True),
)
NARROW = 100
"""Columns from which on bars are long."""


class Spend(Frame):
    def __init__(self) -> None:
        super().__init__()
        self.by = spend.BY[0]

    @property
    def command(self) -> str:
        if self.focused is not None and self.focused.id == "sums" and self.by != "day":
            return f"llmgw report daily --by {self.by}"
        return "llmgw budget list"

    def body(self) -> ComposeResult:
        yield Table(
            "Budgets",
            columns=BUDGETS,
            empty="no budget is set; `llmgw budget set all 20/month` sets one",
            id="budgets",
        )
        yield Pane("Month", id="month")
        yield Table("Sums", columns=SUMS, empty="nothing was spent in this window", id="sums")

    def draw(self, picture: Picture) -> None:
        plain, cells = self.dash.plain, 18 if self.size.width >= NARROW else 10
        nested = spend.nested(picture.standing.budgets or ())
        self.table("budgets").fill([_budget(each, picture.now, cells, plain=plain) for each in nested])
        month = spend.month(picture)
        self.pane("month").show(lambda paper: _month(month, paper))
        table = self.table("sums")
        table.border_title = f"By {self.by}, {picture.window}"
        heading = (SUMS[0]._replace(title=self.by.upper()), *SUMS[1:])
        table.fill([_sum(each, cells, plain=plain) for each in spend.sums(picture, self.by)], heading)

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        if chosen.table.id == "budgets":
            self.drill(scoped(chosen.row.values[0]))
        elif self.by != "day":
            self.drill(target(chosen.row.key) if self.by == "model" else term(self.by, chosen.row.key))

    def action_group(self) -> None:
        self.by = spend.BY[(spend.BY.index(self.by) + 1) % len(spend.BY)]
        self.draw(self.dash.picture)

    def action_export(self) -> None:
        """Write the table that has the keyboard into the folder of screenshots."""
        picture = self.dash.picture
        if self.focused is not None and self.focused.id == "sums":
            what, text = f"by-{self.by}", spend.sums_csv(spend.sums(picture, self.by), self.by)
        else:
            what, text = "budgets", spend.budgets_csv(spend.nested(picture.standing.budgets or ()))
        at = datetime.fromtimestamp(picture.now // NANO, picture.zone)
        name = f"spend-{what}-{at:%Y-%m-%dT%H-%M-%S}.csv"
        path = self.dash.options.shots / name
        try:
            write_private(path, text)
        except OSError as error:
            self.tell(f"{path} cannot be written: {error.strerror}")
        else:
            self.notify(str(path), title="written", markup=False)

    def action_set_budget(self) -> None:
        """The budget under the cursor, or one for the key, model or tag there."""
        table = self.table("sums" if self.focused is not None and self.focused.id == "sums" else "budgets")
        if table.row is None or (table.id == "sums" and (self.by == "day" or not table.row.key)):
            set_budget(self, "all")
        elif table.id == "sums":
            set_budget(self, f"{self.by}:{table.row.key}")
        else:
            scope = table.row.values[0]
            budgets = self.dash.picture.standing.budgets or ()
            set_budget(self, scope, next((each for each in budgets if _name(each) == table.row.key), None))


def _name(budget: BudgetNow) -> str:
    return f"{budget.scope} {budget.window} {budget.unit}"


def _budget(nested: spend.Nested, now: int, cells: int, *, plain: bool) -> Row:
    depth, budget = nested
    corner = "" if not depth else f"{'  ' * (depth - 1)}{'`- ' if plain else '└ '}"
    used, high = budget.used, budget.used is not None and budget.used >= spelling.HIGH
    drawn = (
        line(("no ceiling", "dim"))
        if used is None
        else line(bar(used, Paper(cells, 1, plain), level(used)), (" !" if high else "  ", level(used)))
    )
    out = spelling.runs_out(budget.runs_out_at, budget.left, now)

    def amount(value: int | None) -> str:
        return spelling.short_usd(value) if budget.unit == "money" else spelling.tokens(value)

    burn = line((spelling.DASH, "dim")) if not budget.burn else line(f"{amount(budget.burn)}/h")
    return Row(
        _name(budget),
        (
            line((corner, "dim"), (budget.scope, "id")),
            budget.window,
            amount(budget.spent),
            amount(budget.hard) if budget.unit == "money" else f"{amount(budget.hard)} tok",
            drawn,
            burn,
            line((out, "bad" if out == "now" else "warn" if budget.runs_out_at else "dim")),
            line((budget.tightest or "", "warn")),
            amount(budget.held),
        ),
        (budget.scope, budget.window, budget.spent, budget.hard, used, budget.burn, budget.runs_out_at,
         budget.tightest, budget.held),
    )  # fmt: skip


def _sum(each: spend.Sum, cells: int, *, plain: bool) -> Row:
    counts = each.counts
    tokens = counts.input_tokens + counts.output_tokens
    unknown = f" +{counts.unknown_cost}?" if counts.unknown_cost else ""
    return Row(
        each.name,
        (
            line((each.name, "id")) if each.name else line((spelling.DASH, "dim")),
            spelling.count(counts.requests),
            spelling.tokens(tokens),
            line(spelling.usd(counts.cost if counts.cost or not unknown else None), (unknown, "warn")),
            spelling.percent(each.part),
            bar(each.part or 0.0, Paper(cells, 1, plain), rest=False) if each.part is not None else "",
            line((spelling.usd(counts.saving), "good")),
        ),
        (each.name, counts.requests, tokens, counts.cost, each.part, each.part, counts.saving),
    )


def _month(month: spend.Month, paper: Paper) -> list[Text]:
    """What it came to, will come to, came to before: in words, and as bars where there is room."""
    more = month.projected - month.before
    against = line(
        (f"{spelling.usd(abs(more))} {'more' if more > 0 else 'less'}", "warn" if more > 0 else "good")
    )
    if paper.height < 3:
        return [
            line(("month to date ", "dim"), (spelling.usd(month.spent), "strong"), (" · " if not paper.plain else " - ", "dim"),
                 ("projected ", "dim"), f"~{spelling.usd(month.projected)}", (" · " if not paper.plain else " - ", "dim"),
                 ("last month ", "dim"), spelling.usd(month.before)),
        ]  # fmt: skip
    most = max(month, default=0) or 1
    rows: Sequence[tuple[str, int, str, Text]] = (
        ("month to date", month.spent, "bar", line()),
        ("projected", month.projected, "warn" if more > 0 else "good", against if month.before else line()),
        ("last month", month.before, "dim", line()),
    )
    room = max(4, paper.width - 14 - 12 - 18)
    return [
        line(
            (f"{name:<14}", "dim"),
            fit(line((("~" if name == "projected" else "") + spelling.usd(value), "strong")), 10, right=True),
            "  ",
            fit(bar(value / most, Paper(room, 1, paper.plain), style, rest=False), room),
            "  ",
            said,
        )
        for name, value, style, said in rows
    ]
