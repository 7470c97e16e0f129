"""Are upstreams well? Speed, failures and breakers of each provider, what it leaves us of its limits, how old its prices are."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from textual.containers import Horizontal

from llmgw.domain import spelling
from llmgw.domain.money import NANO
from llmgw.rules.picture import TIERS
from llmgw.tui.figures import providers
from llmgw.tui.figures.terms import term
from llmgw.tui.frame import Frame
from llmgw.tui.widgets.drawing import Paper, bar, fit, line
from llmgw.tui.widgets.pane import Pane
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from rich.text import Text
    from textual.app import ComposeResult

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.pulse import Counts
    from llmgw.rules.picture import Picture

PLACE = 7
UPSTREAMS = (
    Column("PROVIDER", grow=True, least=9),
    Column("STATE"),
    Column("REQ", right=True),
    Column("ERR", right=True),
    Column("TTFT ms", right=True),
    Column("p95", right=True),
    Column("BUSY", right=True),
    Column("ROOM", right=True),
    Column("PRICES", right=True),
    Column("CREDENTIAL", wide=True),
    Column("TIER", wide=True),
    Column("WHOLE p95", right=True, wide=True),
    Column("ADDRESS", wide=True),
)
MODELS = (
    Column("MODEL", grow=True, least=24),
    Column("REQ", right=True),
    Column("ERR", right=True),
    Column("TTFT ms", right=True),
    Column("p95", right=True),
    Column("TOK/S", right=True, wide=True),
    Column("COST", right=True),
)
STATES = {
    "up": ("● up", "* up", "good"),
    "half-open": ("◐ half", "! half", "warn"),
    "open": ("✕ open", "x open", "bad"),
    "down": ("✕ down", "x down", "bad"),
}
"""Of a provider, by its breaker: open is left alone, half open is tried again."""
LOW = 16
"""Lines of a terminal that has room for the providers alone."""
OLD_DAYS = 60
"""Prices older than this are said to be."""
ONE_LINE, TITLE = 60, 28
"""Cells from which on a limit takes one line, and those of its name there."""
TIGHT = 0.2
"""Of a provider's own limit; less than this is little."""
ERRORS = 0.05


class Providers(Frame):
    @property
    def command(self) -> str:
        return "llmgw provider list"

    def body(self) -> ComposeResult:
        yield Table(
            "Providers",
            columns=UPSTREAMS,
            empty="no provider is in use; `llmgw provider add NAME`",
            id="upstreams",
        )
        with Horizontal(id="details"):
            yield Table("Models", columns=MODELS, empty="no model was asked in this window", id="models")
            yield Pane("Their own limits", id="rooms")

    def draw(self, picture: Picture) -> None:
        plain, found = self.dash.plain, providers.upstreams(picture)
        table = self.table("upstreams")
        table.fill([_upstream(each, picture.now, plain=plain) for each in found])
        table.styles.height = min(
            max(len(found), 1) + 3, self.size.height - 2 if self.size.height < LOW else self.size.height // 2
        )
        models = self.table("models")
        models.border_title = f"Models, {picture.window}"
        models.fill([_model(each) for upstream in found for each in providers.models(picture, upstream.name)])
        self.pane("rooms").show(lambda paper: _rooms(found, paper))

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        if chosen.table.id == "upstreams":
            self.drill(term("provider", chosen.row.key))
        else:
            self.drill(term("target", chosen.row.key))


def _upstream(each: providers.Upstream, now: Nanoseconds, *, plain: bool) -> Row:
    upstream = each.now
    state = upstream.state if upstream else "gone"
    shown, bare, style = STATES.get(state, (state, state, "dim"))
    room, failing = each.least, each.errors is not None and each.errors >= ERRORS
    part = None if room is None or not room.limit else room.remaining / room.limit
    age = None if upstream is None else _age(upstream.price_as_of, now)
    old = age is not None and age > OLD_DAYS
    prices = spelling.DASH if age is None else f"{age} d{' !' if old else ''}"
    tight = part is not None and part < TIGHT
    busy = None if upstream is None else upstream.in_flight + upstream.waiting
    return Row(
        each.name,
        (
            line((each.name, "id")),
            line((bare if plain else shown, style)),
            spelling.count(each.counts.requests),
            line((f"{spelling.percent(each.errors)}{' !' if failing else ''}", "bad" if failing else "")),
            _ms(each.ttft[0]),
            _ms(each.ttft[1]),
            _busy(each),
            line((f"{spelling.percent(part)}{' !' if tight else ''}", "warn" if tight else "")),
            line((prices, "warn" if old else "")),
            line(((upstream.credential if upstream else "") or "none needed", "" if upstream and upstream.credential else "dim")),
            line((upstream.tier, upstream.tier if upstream.tier in TIERS else "")) if upstream else "",
            _ms(each.latency[1]),
            upstream.base_url if upstream else "",
        ),
        (
            each.name, state, each.counts.requests, each.errors, *each.ttft, busy, part, age,
            upstream.credential if upstream else "", upstream.tier if upstream else "", each.latency[1],
            upstream.base_url if upstream else "",
        ),
    )  # fmt: skip


def _busy(each: providers.Upstream) -> Text:
    """Calls under way, of as many as it takes at a time, and those in line."""
    if each.now is None:
        return line((spelling.DASH, "dim"))
    of = "" if each.now.slots is None else f"/{each.now.slots}"
    line_up = f" +{each.now.waiting}" if each.now.waiting else ""
    return line(f"{each.now.in_flight}{of}", (line_up, "warn"))


def _model(each: tuple[str, Counts, tuple[int | None, int | None]]) -> Row:
    name, counts, ttft = each
    errors = counts.errors / counts.requests if counts.requests else None
    writing = counts.latency_us - counts.ttft_us
    speed = counts.output_tokens * 1e6 / writing if counts.ttft_count and writing > 0 else None
    failing = errors is not None and errors >= ERRORS
    cost = counts.cost if counts.cost or not counts.unknown_cost else None
    return Row(
        name,
        (
            line((name, "id")),
            spelling.count(counts.requests),
            line((f"{spelling.percent(errors)}{' !' if failing else ''}", "bad" if failing else "")),
            _ms(ttft[0]),
            _ms(ttft[1]),
            spelling.count(None if speed is None else round(speed)),
            spelling.usd(cost),
        ),
        (name, counts.requests, errors, *ttft, speed, cost),
    )


def _rooms(found: list[providers.Upstream], paper: Paper) -> list[Text]:
    """Targets that are left alone, then a bar for every limit that a provider told of."""
    lines = [
        line(("x " if paper.plain else "✕ ", "bad"), (target, "id"), (" left alone", "bad"))
        for each in found
        for target in (each.now.open if each.now else ())
    ]
    rooms = [(each.name, room) for each in found for room in (each.now.rooms if each.now else ())]
    if not rooms and not lines:
        return [line(("none of them told of a limit", "dim"))]
    for owner, room in rooms:
        part = room.remaining / room.limit if room.limit else None
        tight = part is not None and part < TIGHT
        style = "dim" if part is None else "warn" if tight else "good"
        note = line(
            ("! " if tight else "", "warn"),
            f"{spelling.tokens(room.remaining)} of {spelling.tokens(room.limit)}",
        )
        title = line((f"{room.model or owner} ", "id"), (room.kind, "dim"))
        if paper.width >= ONE_LINE:
            cells = Paper(paper.width - TITLE - TITLE // 2 - 2, 1, paper.plain)
            lines.append(
                line(fit(title, TITLE), " ", bar(part, cells, style), " ", fit(note, TITLE // 2, right=True))
            )
        else:
            cells = Paper(max(1, paper.width - note.cell_len - 1), 1, paper.plain)
            lines += [title, line(bar(part, cells, style), " ", note)]
    return lines


def _ms(microseconds: int | None) -> str:
    return spelling.took(microseconds).removesuffix(" ms")


def _age(day: str, now: Nanoseconds) -> int | None:
    """Days since the prices were looked up."""
    try:
        return (datetime.fromtimestamp(now // NANO).astimezone().date() - date.fromisoformat(day)).days
    except ValueError:
        return None
