"""How is it going? Rate, spend, savings and cache hits at a glance, with the models, keys and notices behind them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from textual.containers import Horizontal

from llmgw.domain import spelling
from llmgw.domain.pulse import Counts
from llmgw.rules.picture import TIERS, grouped
from llmgw.tui.figures.overview import curve, ends, entries, figures_of, tightest
from llmgw.tui.filter import read_filter
from llmgw.tui.frame import Frame
from llmgw.tui.widgets.drawing import Paper, bar, chart, fit, hits, level, line, packed, shares, spark, spread
from llmgw.tui.widgets.pane import Pane
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text
    from textual.app import ComposeResult

    from llmgw.domain.pulse import BudgetNow, Line, Notice
    from llmgw.rules.picture import Group, Picture
    from llmgw.tui.figures.overview import Entry, Figures

PLACE = 1
AXES = ("model", "provider", "tier", "tag", "tenant", "surface")
"""What the table at the left can be grouped by."""
DASH = spelling.DASH
SMALLEST = "60x16"
QUIET = {"breaker"}
"""Notices that somebody may read later."""


class Overview(Frame):
    foot_screens = True

    def __init__(self) -> None:
        super().__init__()
        self.axis = AXES[0]

    @property
    def command(self) -> str:
        return (
            f"llmgw report daily --by {self.axis}"
            if self.axis in {"provider", "tier", "tag"}
            else "llmgw status"
        )

    @property
    def copied(self) -> str:
        """What lists the requests behind the row under the cursor."""
        table = self.focused
        if not isinstance(table, Table) or table.row is None:
            return self.command
        options = read_filter(self._terms(table, table.row)).options
        return shlex.join(["llmgw", "request", "list", *options]) if options else self.command

    def body(self) -> ComposeResult:
        yield Pane(id="brief")
        with Horizontal(id="cards"):
            for name, title in (
                ("now", "Now"),
                ("spend", "Spend today"),
                ("saved", "Saved today"),
                ("here", "Answered here"),
                ("latency", "Latency p95"),
            ):
                yield Pane(title, id=name)
        with Horizontal(id="middle"):
            yield Pane("Spend", id="curve")
            yield Pane("Tiers today", id="tiers")
        with Horizontal(id="tables"):
            yield Table("Top models", columns=MODELS, empty="no traffic yet today", id="models")
            yield Table("Top keys", columns=KEYS, empty="no traffic yet today", id="keys")
        yield Pane("Notices", id="notices")

    def draw(self, picture: Picture) -> None:
        lines = picture.today()
        figures = figures_of(picture, lines)
        self.pane("now").show(lambda paper: _now(figures, paper))
        self.pane("spend").show(lambda _: _spend(figures))
        self.pane("saved").show(lambda _: _saved(figures))
        self.pane("here").show(lambda _: _here(figures))
        self.pane("latency").show(lambda _: _latency(figures))
        values, noun, label = curve(picture, self.dash.units)
        moments = ends(picture)
        self.pane("curve").border_title = f"{noun}/min, {picture.window}"
        self.pane("curve").show(lambda paper: chart(values, paper, label=label, ends=moments))
        tiers = grouped((each for each in lines if each.tier), "tier")
        self.pane("tiers").show(lambda paper: _tiers(tiers, figures, paper))
        state = self.dash.state_words(short=True)
        tiny = not {"-tiny", "-flat"}.isdisjoint(self.classes)
        size = f"{self.size.width}x{self.size.height}: tables from {SMALLEST} on" if tiny else ""
        self.pane("brief").show(lambda paper: _brief(figures, tiers, values, noun, state, size, paper))
        models = self.table("models")
        models.border_title = f"Top {self.axis}s"
        heading = (Column(self.axis.upper(), grow=True, least=12), *MODELS[1:])
        models.fill(_models(entries(picture, lines, self.axis), self.axis, plain=self.dash.plain), heading)
        self.table("keys").fill(_keys(lines, tightest(picture.standing.budgets or ()), plain=self.dash.plain))
        notices = picture.standing.notices or ()
        self.pane("notices").show(lambda paper: _notices(notices, picture, paper))

    def action_group(self) -> None:
        self.axis = AXES[(AXES.index(self.axis) + 1) % len(AXES)]
        self.draw(self.dash.picture)

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        """The requests behind it."""
        self.drill(self._terms(chosen.table, chosen.row))

    def _terms(self, table: Table, row: Row) -> str:
        """The filter that shows what is behind a row."""
        axis = self.axis if table.id == "models" else "key"
        name = shlex.quote(row.key)
        return f"{'target' if axis == 'model' else axis}={name}" if row.key else f"{axis}:none"


MODELS = (
    Column("MODEL", grow=True, least=12),
    Column("REQ", right=True),
    Column("HIT", right=True),
    Column("TTFT", right=True, wide=True),
    Column("COST", right=True),
    Column("", wide=True),
)
KEYS = (
    Column("KEY", grow=True, least=6),
    Column("REQ", right=True, wide=True),
    Column("COST", right=True),
    Column("LEFT", right=True),
    Column("USED", wide=True),
)


def _now(figures: Figures, paper: Paper) -> list[Text]:
    return [
        line((spelling.rate(figures.rate).removesuffix("/s"), "strong"), " req/s"),
        spark(figures.rates or [0.0], paper),
        line((f"{figures.in_flight:,}", "strong"), (" in flight", "dim")),
    ]


def _spend(figures: Figures) -> list[Text]:
    return [
        line((spelling.usd(figures.today.cost), "strong")),
        line(("month ", "dim"), _month(figures)),
        line(("now ", "dim"), spelling.per_hour(figures.burn)),
    ]


def _month(figures: Figures) -> Text:
    """What the month has cost, of its budget where there is one."""
    if figures.month is None or not figures.month.hard:
        return line(spelling.short_usd(figures.month_cost))
    spent, hard = spelling.short_usd(figures.month.spent), spelling.short_usd(figures.month.hard)
    part = figures.month.used
    mark = " !" if part is not None and part >= spelling.HIGH else ""
    return line((f"{spent}/{hard.removesuffix('.00')}{mark}", level(part)))


def _saved(figures: Figures) -> list[Text]:
    today = figures.today
    lines = [
        line((spelling.usd(figures.saved), "good")),
        line(("cache ", "dim"), spelling.usd(today.saved)),
    ]
    if today.premium_cost:
        lines.append(line(("tiers ", "dim"), spelling.usd(today.saving - today.saved)))
    return lines


def _here(figures: Figures) -> list[Text]:
    def whole(verdict: str) -> str:
        part = figures.of(verdict)
        return spelling.DASH if part is None else "<1" if 0 < part < 0.005 else f"{100 * part:.0f}"

    exact, semantic = whole("exact"), whole("semantic")
    # in 100 columns a card holds 16
    unit = " %" if figures.of("exact") is not None and len(exact + semantic) < 4 else ""
    return [
        line((spelling.percent(figures.hit), hits(figures.hit))),
        line(("exact ", "dim"), exact + unit, (" sem ", "dim"), semantic),
        line(("joined ", "dim"), spelling.percent(figures.of("joined"))),
    ]


def _latency(figures: Figures) -> list[Text]:
    bad = figures.errors is not None and figures.errors >= 0.05
    return [
        line(("TTFT   ", "dim"), (spelling.took(figures.ttft_us), "strong")),
        line(("gate   ", "dim"), spelling.took(figures.gate_us)),
        line(
            ("error  ", "dim"),
            (spelling.percent(figures.errors) + (" !" if bad else ""), "bad" if bad else ""),
        ),
    ]


def _tiers(tiers: list[Group], figures: Figures, paper: Paper) -> list[Text]:
    reached = sum(group.counts.requests for group in tiers)
    found = {group.name: group.counts for group in tiers}
    names = [*TIERS, *sorted(set(found) - {*TIERS, ""})]
    parts = []
    for name in names:
        counts = found.get(name, Counts())
        part = counts.requests / reached if reached else 0.0
        parts.append((name, part, spelling.usd(counts.cost), name if name in TIERS else "bar"))
    note = max(len(note) for _, _, note, _ in parts)
    today = figures.today
    told = line(
        ("downgraded ", "dim"), spelling.count(today.downgraded), ("   fallbacks ", "dim"),
        spelling.count(today.fallbacks), ("   escalated ", "dim"), spelling.count(today.escalated),
    )  # fmt: skip
    lines = shares(parts, paper, name=8, note=note)
    lines += [line()] * max(0, paper.height - len(lines) - 2) + [told]
    if today.premium_cost:
        lines.append(line(("all-premium price would be ", "dim"), spelling.usd(today.premium_cost)))
    return lines


def _models(found: Iterable[Entry], axis: str, *, plain: bool) -> list[Row]:
    rows = []
    for name, counts, hit, ttft, now, before in found:
        trend = spelling.trend(now, before, plain=plain)
        shown = name.partition("/")[2] if axis == "model" else name
        cost = spelling.usd(counts.cost) if counts.unknown_cost < counts.requests else DASH
        rows.append(
            Row(
                name,
                (
                    line((shown or DASH, "id" if shown else "dim")),
                    spelling.count(counts.requests),
                    line((spelling.percent(hit), hits(hit) if hit else "dim")),
                    spelling.took(ttft).removesuffix(" ms"),
                    cost,
                    line((trend, {"▲": "good", "▼": "warn"}.get(trend, "dim"))),
                ),
                (shown, counts.requests, hit, ttft, counts.cost, now),
            )
        )
    return rows


def _keys(lines: Iterable[Line], budgets: dict[str, BudgetNow], *, plain: bool) -> list[Row]:
    rows = []
    for group in grouped(lines, "key"):
        name, counts = group.name, group.counts
        budget = budgets.get(name)
        left, used = (None, None) if budget is None else (budget.left, budget.used)
        full = line(("no budget", "dim"))
        if used is not None:
            full = line(
                bar(used, Paper(10, 1, plain), level(used)), (" !" if used >= spelling.HIGH else "", "warn")
            )
        rows.append(
            Row(
                name,
                (
                    line((name or DASH, "id")),
                    spelling.count(counts.requests),
                    spelling.usd(counts.cost),
                    spelling.usd(left),
                    full,
                ),
                (name, counts.requests, counts.cost, left, used),
            )
        )
    return rows


def _notices(notices: Iterable[Notice], picture: Picture, paper: Paper) -> list[Text]:
    lines = []
    for notice in notices:
        quiet = notice.kind in QUIET
        at = spelling.clock(notice.at, picture.zone, seconds=False)
        mark = ("." if paper.plain else "·") if quiet else "!"
        told = line((f"{at}  ", "dim"), (f"{mark} ", "dim" if quiet else "warn"), notice.message, " ")
        lines.append(
            spread(paper, told, line((f" {notice.command}" if notice.command else "", "id")))
            if paper.width >= 90
            else fit(told, paper.width)
        )
    return lines or [line(("nothing to tell", "dim"))]


def _brief(
    figures: Figures,
    tiers: list[Group],
    values: list[float],
    noun: str,
    state: Text,
    size: str,
    paper: Paper,
) -> list[Text]:
    """Everything in a few lines, for a terminal that is too small for cards."""
    reached = sum(group.counts.requests for group in tiers)
    month = figures.month
    cells = Paper(7, 1, paper.plain)
    said = [
        line(
            (" llmgw ", "strong"),
            state,
            (f" {spelling.rate(figures.rate).removesuffix('/s')}", "strong"),
            " req/s",
        ),
        line((spelling.usd(figures.today.cost), "strong"), " today"),
        line(
            "month ",
            _month(figures),
            " ",
            bar(month.used, cells, level(month.used)) if month and month.hard else "",
        ),
        line("saved ", (spelling.usd(figures.saved), "good")),
        line("hit ", (spelling.percent(figures.hit), hits(figures.hit))),
    ]
    room = max(3, (paper.width - 40) // 2)
    split = []
    for group in sorted(tiers, key=lambda each: -each.counts.requests):
        part = group.counts.requests / reached if reached else 0.0
        cells = Paper(max(1, round(part * room)), 1, paper.plain)
        split.append(
            line((group.name, group.name), f" {spelling.percent(part)} ", bar(1.0, cells, group.name))
        )
    name = f" {noun}/min "
    return [
        *packed(said, paper),
        *packed([line(" ", split[0]), *split[1:]] if split else [line((" no traffic yet", "dim"))], paper),
        line(name, spark(values, Paper(max(1, paper.width - len(name) - 1), 1, paper.plain))),
        *([line((f" {size}", "dim"))] if size else ()),
    ]
