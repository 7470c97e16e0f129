"""Is the cheap tier doing its share? Tiers over time, what decided, and what other settings would have cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.containers import Horizontal, Vertical

from llmgw.desk.routes import PolicyView, Simulated, SimulateRoutes
from llmgw.domain import spelling
from llmgw.rules.picture import TIERS
from llmgw.tui.figures import routing
from llmgw.tui.figures.terms import term
from llmgw.tui.figures.times import ends
from llmgw.tui.frame import Frame
from llmgw.tui.widgets.drawing import Paper, bar, fold, line, packed
from llmgw.tui.widgets.pane import Pane
from llmgw.tui.widgets.stacks import Part, stacks
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from rich.text import Text
    from textual.app import ComposeResult

    from llmgw.domain.pulse import Seen
    from llmgw.rules.picture import Picture
    from llmgw.tui.figures.shares import Share

PLACE = 3
PARTS = (Part("local", "░", "."), Part("cheap", "▒", "+"), Part("premium", "█", "#"))
DIALS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Settings of the quality dial that past requests are weighed at."""
NEWEST = 200
BESIDE = 28
"""Cells of a tier's line that are not its bar."""
SPLIT = (
    Column("TIER", least=9),
    Column("", grow=True, least=4),
    Column("PART", right=True, least=5),
    Column("COST", right=True, least=5),
)
RULES = (
    Column("DECIDED BY", grow=True, least=12),
    Column("REQ", right=True),
    Column("PART", right=True),
    Column("ERR", right=True, wide=True),
    Column("COST", right=True),
    Column("SAVED", right=True, wide=True),
)
DECISIONS = (
    Column("TIME"),
    Column("KEY", wide=True),
    Column("ASKED → TARGET", grow=True, least=24),
    Column("TIER"),
    Column("COST", right=True, wide=True),
    Column("WHY", grow=True, least=24),
)


class Dial(NamedTuple):
    """What has been found out of other settings; ``words`` say why there is nothing more."""

    found: tuple[Simulated, ...] = ()
    words: str = ""


class Routing(Frame):
    def __init__(self) -> None:
        super().__init__()
        self.dial = Dial()

    @property
    def command(self) -> str:
        return "llmgw report daily --by tier"

    def body(self) -> ComposeResult:
        with Horizontal(id="split"):
            yield Pane("Tiers over time", id="times")
            with Vertical(id="answered"):
                yield Table("Tiers", columns=SPLIT, id="tiers")
                yield Pane(id="price")
        with Horizontal(id="causes"):
            yield Table("What decided", columns=RULES, empty="nothing was routed in this window", id="rules")
            yield Pane("Quality dial", id="dial")
        yield Table("Newest decisions", columns=DECISIONS, empty="nothing was routed yet", id="decisions")

    def draw(self, picture: Picture) -> None:
        lines = picture.in_window()
        split, series, moments = routing.tiers(lines), routing.tier_series(picture), ends(picture)
        times = [counts for _, counts in series]
        self.pane("times").show(lambda paper: stacks(times, PARTS, paper, ends=moments))
        tiers, plain = self.table("tiers"), self.dash.plain
        tiers.border_title = f"Tiers, {picture.window}"
        tiers.fill([_tier(share, max(4, tiers.paper.width - BESIDE), plain=plain) for share in split])
        passages, price = routing.passages(lines), routing.what_if(lines)
        self.pane("price").show(lambda paper: _price(passages, price, paper))
        self.table("rules").fill([_rule(share) for share in routing.rules(lines)])
        newest = routing.decided(picture, NEWEST)
        heading = (
            *DECISIONS[:2],
            DECISIONS[2]._replace(title=f"ASKED {_arrow(plain)} TARGET"),
            *DECISIONS[3:],
        )
        decisions = self.table("decisions")
        newest_first = decisions.cursor == 0  # who is at the top stays there as others come
        decisions.fill([_decision(seen, picture, plain=plain) for seen in newest], heading)
        if newest_first:
            decisions.action_first()
        self.pane("dial").show(lambda paper: _dial(self.dial, paper))

    def action_dial(self) -> None:
        """Weigh a week of requests at other settings, one after the other."""
        self.dial = Dial(
            words="weighing a week of requests…" if not self.dash.plain else "weighing a week of requests..."
        )
        self.draw(self.dash.picture)
        self._weigh(())

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        if chosen.table.id == "decisions":
            self.dash.show_request(chosen.row.key)
        else:
            self.drill(term({"tiers": "tier", "rules": "rule"}[str(chosen.table.id)], chosen.row.key))

    def _weigh(self, found: tuple[Simulated, ...]) -> None:
        def then(answer: Simulated) -> None:
            more = (*found, answer)
            self.dial = Dial(more)
            self.draw(self.dash.picture)
            if len(more) <= len(DIALS):
                self._weigh(more)

        def failed(words: str) -> None:
            self.dial = Dial(words=words)
            self.draw(self.dash.picture)

        quality = DIALS[len(found) - 1] if found else None  # first as it stands
        self.asking(SimulateRoutes(quality=quality), then, failed)


def _tier(share: Share, room: int, *, plain: bool) -> Row:
    part, counts = PARTS[TIERS.index(share.name)], share.counts
    return Row(
        share.name,
        (
            line((f"{part.plain if plain else part.cell} {share.name}", part.style)),
            bar(share.part or 0.0, Paper(room, 1, plain), part.style, rest=False),
            spelling.percent(share.part),
            spelling.usd(counts.cost),
        ),
        (TIERS.index(share.name), share.part, share.part, counts.cost),
    )


def _price(passages: routing.Passages, price: routing.WhatIf, paper: Paper) -> list[Text]:
    """How many did not go where they were meant to first, and what all would have cost at a premium model."""
    told = [
        line(("downgraded ", "dim"), spelling.count(passages.downgraded)),
        line(("fallbacks ", "dim"), spelling.count(passages.fallbacks)),
        line(("escalated ", "dim"), spelling.count(passages.escalated)),
    ]
    priced = [
        line(("all-premium price ", "dim"), spelling.usd(price.premium)),
        line(("paid ", "dim"), (spelling.usd(price.real), "strong")),
        line(("saved by tiers ", "dim"), (spelling.usd(price.tiers), "good")),
        line(("by caches ", "dim"), (spelling.usd(price.cache), "good")),
    ]
    return [*_packed(told, paper), *(_packed(priced, paper) if price.premium else ())]


def _packed(parts: list[Text], paper: Paper) -> list[Text]:
    """As many to a line as fit, from the edge on."""
    first, *others = packed(parts, paper)
    return [first, *(each[1:] for each in others)]


def _rule(share: Share) -> Row:
    counts = share.counts
    return Row(
        share.name,
        (
            line((share.name, "id")) if share.name else line(("no rule", "dim")),
            spelling.count(counts.requests),
            spelling.percent(share.part),
            spelling.percent(counts.errors / counts.requests if counts.requests else None),
            spelling.usd(counts.cost),
            line((spelling.usd(counts.saving), "good")),
        ),
        (share.name, counts.requests, share.part, counts.errors, counts.cost, counts.saving),
    )


def _decision(seen: Seen, picture: Picture, *, plain: bool) -> Row:
    again = f" {'~' if plain else '↻'}{seen.attempts - 1}" if seen.attempts > 1 else ""
    target = f"{seen.provider}/{seen.model}"
    asked = "" if seen.model_asked in {seen.model, target} else f"{seen.model_asked} {_arrow(plain)} "
    return Row(
        seen.id,
        (
            line((spelling.clock(seen.started_at, picture.zone), "dim")),
            line((seen.key, "id")),
            line(asked, target, (again, "warn")),
            line((seen.tier, seen.tier if seen.tier in TIERS else "")),
            spelling.usd(seen.cost),
            routing.why(seen),
        ),
        (seen.started_at, seen.key, seen.model_asked, seen.tier, seen.cost, seen.rule),
    )


def _dial(dial: Dial, paper: Paper) -> list[Text]:
    """Rows of what requests would have come to; regret is what the best answers are more likely to be good."""
    if not dial.found:
        words = (
            dial.words
            or "d weighs a week of past requests at other settings of the dial, and sends nothing to anybody"
        )
        return fold(words, paper.width, "dim")
    now, others = dial.found[0], dial.found[1:]
    if not now.requests:
        return fold("no request of the last week left its model to the router", paper.width, "dim")
    best = max(each.after.good for each in dial.found)
    narrow = paper.width < 44
    head = f"{'DIAL':>8}{'' if narrow else '  L / C / P':<12}{'COST':>9}{'GOOD':>8}{'REGRET':>8}"
    rows = [_setting("now", now.before, best, narrow=narrow, style="strong")]
    rows += [_setting(f"{each.quality:g}", each.after, best, narrow=narrow) for each in others]
    return [line((head, "dim")), *rows, line((f"{now.requests:,} requests of a week", "dim"))]


def _setting(name: str, side: PolicyView, best: float, *, narrow: bool, style: str = "") -> Text:
    whole = max(1, side.local + side.cheap + side.premium)
    split = "/".join(f"{100 * count / whole:.0f}" for count in (side.local, side.cheap, side.premium))
    regret = best - side.good
    return line(
        (f"{name:>8}", style),
        "" if narrow else f"  {split:<10}",
        f"{spelling.usd(side.cost_nanousd):>9}{spelling.percent(side.good):>8}",
        (f"{spelling.percent(regret):>8}", "warn" if regret >= 0.1 else "good"),
    )


def _arrow(plain: bool) -> str:
    return "->" if plain else "→"
