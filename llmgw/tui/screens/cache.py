"""What does caching earn? Where answers came from, what that saved, what is held, and how close others came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal

from llmgw.desk.caches import ClearCache
from llmgw.domain import spelling
from llmgw.domain.ledger import CacheVerdict
from llmgw.tui.figures import cache
from llmgw.tui.figures.terms import term
from llmgw.tui.figures.times import ends
from llmgw.tui.frame import Frame
from llmgw.tui.screens.answers import Answers
from llmgw.tui.widgets.drawing import Paper, bar, chart, fold, hits, line
from llmgw.tui.widgets.pane import Pane
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text
    from textual.app import ComposeResult

    from llmgw.desk.cache_shapes import Cleared
    from llmgw.domain.pulse import CacheNow, Near
    from llmgw.rules.picture import Picture
    from llmgw.tui.figures.shares import Share

PLACE = 4
SOURCES = (
    Column("FROM"),
    Column("", grow=True, least=6),
    Column("PART", right=True),
    Column("REQ", right=True),
)
NEAR = (Column("LIKE", right=True), Column("TIMES", right=True), Column("ASKED", grow=True, least=12))
TOP = (Column("HITS", right=True), Column("SAVED", right=True), Column("ASKED", grow=True, least=12))
UPSTREAM = "upstream"
NOTHING_HELD = "no figures of the caches yet"


class Cache(Frame):
    @property
    def command(self) -> str:
        return f"llmgw cache stats --since {self.dash.picture.window}"

    def body(self) -> ComposeResult:
        with Horizontal(id="earned"):
            yield Table("Where answers came from", columns=SOURCES, id="sources")
            yield Pane("Saved, and the part answered here", id="saved")
        with Horizontal(id="likeness"):
            yield Pane("Similarity of nearest neighbours", id="similarity")
            yield Table("Near misses worth a look", columns=NEAR, empty="no prompt came close", id="near")
        yield Table("Top entries", columns=TOP, empty="no answer was given again yet", id="top")

    def draw(self, picture: Picture) -> None:
        plain, held = self.dash.plain, picture.standing.cache
        found = cache.sources(picture.in_window())
        table = self.table("sources")
        room = max(6, table.paper.width - 30)
        table.border_title = f"Where answers came from, {picture.window}"
        table.fill(_sources(found, room, plain=plain))
        rates = cache.carried(cache.hit_series(picture))
        moments, saved = ends(picture), cache.saved(picture)
        self.pane("saved").show(lambda paper: _saved(saved, rates, moments, held, picture, paper))
        self.pane("similarity").show(lambda paper: _similarity(held, paper))
        self.table("near").fill(_near(held.near if held else (), plain=plain))
        self.table("top").fill(_top(held.top if held else ()))

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        if chosen.table.id == "sources":
            self.drill(term("cache", chosen.row.key))
        else:
            self.app.push_screen(Answers(text=chosen.row.key))

    def action_answers(self) -> None:
        """All that is remembered."""
        self.app.push_screen(Answers())

    def action_clear_cache(self) -> None:
        self.change(ClearCache(), "llmgw cache clear -y", self._cleared)

    def _cleared(self, done: Cleared) -> None:
        self.notify(f"{spelling.count(done.removed)} answers forgotten")


def _sources(found: cache.Sources, room: int, *, plain: bool) -> list[Row]:
    rows = [_source(share, room, plain=plain) for share in found.parts]
    if found.provider_cached is not None:
        corner = "`- " if plain else "└ "
        cells: tuple[Text | str, ...] = (
            line((f"  {corner}provider", "dim")),
            line(("of input", "dim")),
            spelling.percent(found.provider_cached),
            "",
        )
        rows.append(Row("provider", cells, ("", "", found.provider_cached, None)))
    if found.bypassed:
        cells = (line(("not asked", "dim")), "", "", spelling.count(found.bypassed))
        rows.append(Row(CacheVerdict.BYPASS, cells, ("not asked", "", None, found.bypassed)))
    return rows


def _source(share: Share, room: int, *, plain: bool) -> Row:
    here = share.name != CacheVerdict.MISS
    name, count, style = share.name if here else UPSTREAM, share.counts.requests, "good" if here else "bar"
    return Row(
        share.name,
        (
            line((name, style)),
            bar(share.part or 0.0, Paper(room, 1, plain), style, rest=False),
            spelling.percent(share.part),
            spelling.count(count),
        ),
        (name, share.part, share.part, count),
    )


def _saved(
    saved: tuple[int, int],
    rates: list[float],
    moments: tuple[str, ...],
    held: CacheNow | None,
    picture: Picture,
    paper: Paper,
) -> list[Text]:
    today, month = saved
    head = line(
        (spelling.usd(today), "good"),
        (" today   ", "dim"),
        (spelling.usd(month), "good"),
        (" this month", "dim"),
    )
    told = _held(held, picture)
    curve = chart(rates, Paper(paper.width, max(2, paper.height - 1 - len(told)), paper.plain), label=spelling.percent,
                  ends=moments if paper.height - len(told) >= 7 else (), style=hits(_mean(rates)))  # fmt: skip
    return [head, *curve, *told]


def _held(held: CacheNow | None, picture: Picture) -> list[Text]:
    if held is None:
        return [line((NOTHING_HELD, "dim"))]
    full = held.bytes / held.cap_bytes if held.cap_bytes else 0.0
    oldest = (
        ""
        if held.oldest_at is None
        else f"   oldest {spelling.relative(held.oldest_at, picture.now).removesuffix(' ago')}"
    )
    waited = line((spelling.lasting(held.saved_us), "strong"), (" of waiting spared in a day", "dim"))
    return [
        *([waited] if held.saved_us else []),
        line(
            spelling.count(held.entries), (" answers  ", "dim"), spelling.size(held.bytes), (" of ", "dim"),
            spelling.size(held.cap_bytes), (" !" if full >= spelling.HIGH else "", "warn"), (oldest, "dim"),
        ),
        line(("evicted ", "dim"), spelling.count(held.evicted), ("   expired ", "dim"), spelling.count(held.expired), (" in a day", "dim")),
    ]  # fmt: skip


def _similarity(held: CacheNow | None, paper: Paper) -> list[Text]:
    """A column for each class, those that would be served apart from the others, then what is promised."""
    if held is None:
        return [line((NOTHING_HELD, "dim"))]
    classes = cache.similarities(held)
    words = [*fold(held.state, paper.width, "strong")]
    if held.max_error is not None:
        audits = f"; {spelling.count(held.audits)} compared with a fresh answer" if held.audits else ""
        words += fold(
            f"at most {spelling.percent(held.max_error)} wrong are promised{audits}", paper.width, "dim"
        )
    if not classes:
        return [*words, line(("no lookup came near a remembered prompt yet", "dim"))]
    steps = spelling.sparkline([each.lookups for each in classes], plain=paper.plain)
    cells = 4 if 5 * len(classes) + 2 <= paper.width else 3
    columns, labels, passed = [], [], False
    for each, step in zip(classes, steps, strict=True):
        if each.passes and not passed:
            passed = True
            columns.append(("| " if paper.plain else "┆ ", "warn"))
            labels.append(("| " if paper.plain else "┆ ", "warn"))
        name = f"{each.floor:.2f}" if cells == 4 else f"{100 * each.floor:.0f}"
        columns.append((f"{step * cells} ", "good" if each.passes else "dim"))
        labels.append((f"{name:<{cells}} ", "dim"))
    room = paper.height - len(words)
    top = (line(*columns), line(*labels)) if room >= 2 else (line(*columns),)
    limit = [] if held.threshold is None else fold(f"served from {held.threshold:.3g} on", paper.width, "dim")
    return [*top, *(limit if room >= 3 else []), *words]


def _near(near: Iterable[Near], *, plain: bool) -> list[Row]:
    times = "x" if plain else "×"  # noqa: RUF001
    return [
        Row(
            each.text,
            (
                "" if each.similarity is None else f"{each.similarity:.3f}",
                f"{each.count:,}{times}",
                each.text,
            ),
            (each.similarity, each.count, each.text),
        )
        for each in near
    ]


def _top(top: Iterable[Near]) -> list[Row]:
    return [
        Row(
            each.text,
            (spelling.count(each.count), line((spelling.usd(each.saved), "good")), each.text),
            (each.count, each.saved, each.text),
        )
        for each in top
    ]


def _mean(rates: list[float]) -> float | None:
    return sum(rates) / len(rates) if rates else None
