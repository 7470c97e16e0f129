"""What is happening now? Calls under way, and below them the requests as they end, filtered and searched."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Vertical

from llmgw.client.feed import State
from llmgw.domain import spelling
from llmgw.errors import BadRequest
from llmgw.tui.filter import Filter, read_filter
from llmgw.tui.frame import Frame
from llmgw.tui.recalling import listed, seen_again
from llmgw.tui.widgets.drawing import line
from llmgw.tui.widgets.table import Column, Row, Table
from llmgw.tui.widgets.tail import Tail

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget
    from textual.widgets import Input

    from llmgw.desk.requests import Requests as Listed
    from llmgw.domain.pulse import Under
    from llmgw.rules.picture import Picture

PLACE = 2
RUNNING = (
    Column("FOR", right=True, least=5),
    Column("KEY", least=4),
    Column("MODEL → TARGET", grow=True, least=14),
    Column("TIER", wide=True, least=7),
    Column("OUT", right=True, least=6),
    Column("TOK/S", right=True, wide=True, least=5),
    Column("HELD", right=True, least=9),
    Column("WHERE", wide=True, least=9),
)
MOST_RUNNING = 6
EXAMPLE = "model:gpt status:error cost>0.01 key:ci tier:cheap cache:exact ttft>500ms !tag:batch words"


class Requests(Frame):
    AUTO_FOCUS = "Tail"

    def __init__(self) -> None:
        super().__init__()
        self._wanted: tuple[str | None, ...] = ()
        """What was to be looked for before there was a screen."""
        self._total: int | None = None
        """How many the ledger has of what is looked for; None where it was not asked."""

    def on_mount(self) -> None:
        for terms in self._wanted:
            self.call_after_refresh(self.look_for, terms)

    @property
    def aside(self) -> str:
        if not self.is_mounted:
            return ""
        there = len(self.tail.rows)
        whole = (
            f"   {there:,} of {self._total:,}"
            if self._total and self.tail.filter.whole and self._total > there
            else ""
        )
        return f"/ {self.tail.filter.text or 'all'}{whole}"

    @property
    def tail(self) -> Tail:
        return self.query_one(Tail)

    @property
    def command(self) -> str:
        return shlex.join(["llmgw", "request", "list", *self.tail.filter.options])

    @property
    def copied(self) -> str:
        """What shows the request under the cursor."""
        row = self._row()
        return self.command if row is None else f"llmgw request show {row.key}"

    def body(self) -> ComposeResult:
        yield Table("Under way", columns=RUNNING, id="running")
        with Vertical(id="ended"):
            yield Tail(id="tail")

    def draw(self, picture: Picture) -> None:
        running = self.table("running")
        running.display = bool(picture.under_way)
        running.styles.height = min(len(picture.under_way), MOST_RUNNING) + 3
        running.fill([_row(each, picture.now, plain=self.dash.plain) for each in picture.under_way])
        if not self.dash.paused:
            self.tail.look(picture)

    def look_for(self, terms: str | None) -> None:
        """Show only what fits these terms; None has them typed."""
        if not self.is_mounted:
            self._wanted = (terms,)
        elif terms is None:
            self.action_filter()
        else:
            self._apply(read_filter(terms))
            self._recall()

    def action_filter(self) -> None:
        from textual.widgets import Input  # noqa: PLC0415  only those who type need it

        if not self.query(Input):
            field = Input(self.tail.filter.text, placeholder=EXAMPLE, id="filter", select_on_focus=False)
            field.border_title = "Filter"
            self.mount(field, before="#body")
            field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed; say what makes no sense."""
        try:
            self._apply(read_filter(event.value))
        except BadRequest as error:
            event.input.border_subtitle = Text(
                f"{error.message}; {error.hint}" if error.hint else error.message
            ).markup
            event.input.add_class("wrong")
        else:
            event.input.border_subtitle = f"{len(self.tail.rows):,} shown"
            event.input.remove_class("wrong")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if not event.input.has_class("wrong"):
            self._close(event.input)
            self._recall()

    def action_close_filter(self) -> None:
        self._apply(Filter())
        for field in self.query("#filter"):
            self._close(field)

    def action_next_match(self) -> None:
        self._jump(1)

    def action_previous_match(self) -> None:
        self._jump(-1)

    def action_follow(self) -> None:
        """The newest stays in sight, in the order of arrival."""
        tail = self.tail
        tail.sorted_by, tail.reversed, tail.following = None, False, True
        tail.look(self.dash.picture)
        tail.focus()

    def action_doctor(self) -> None:
        from llmgw.tui.screens.doctor import Doctor  # noqa: PLC0415

        self.app.push_screen(Doctor())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "close_filter":
            return bool(self.query("#filter") or (self.query(Tail) and self.tail.filter.text))
        return super().check_action(action, parameters)

    def action_raise_budget(self) -> None:
        """Raise the budget that caps the key of the request under the cursor."""
        row = self._row()
        key = None if row is None else str(row.values[1])
        if key:
            self.raise_budget(key)

    def action_end_call(self) -> None:
        """End the call under the cursor, one of those under way."""
        focused = self.focused
        row = self.table("running").row if focused is not None and focused.id == "running" else None
        if row is None:
            self.tell("choose one of the calls under way: tab goes to them")
        else:
            self.end_call(row.key)

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        self.dash.show_request(chosen.row.key)

    def _apply(self, wanted: Filter) -> None:
        self.tail.filter, self.tail.older, self._total = wanted, (), None
        self.tail.following = True
        self.tail.look(self.dash.picture)
        self.repaint_bars()

    def _recall(self) -> None:
        """Ask the ledger for what the feed did not tell, where it can be asked for the same."""
        asked = listed(self.tail.filter)
        if asked is not None and self.dash.feed.state in {State.LIVE, State.STALE, State.DOWN}:
            self.asking(asked, self._recalled, lambda _: None)

    def _recalled(self, found: Listed) -> None:
        self.tail.older = tuple(map(seen_again, found.requests))
        self._total = found.total
        self.repaint()

    def _close(self, field: Widget) -> None:
        field.remove()
        self.tail.focus()

    def _jump(self, step: int) -> None:
        if not self.tail.filter.words:
            self.notify("there is nothing to look for: type / and a word", severity="warning")
        elif not self.tail.go_to_match(step):
            self.notify(f"no request holds {' '.join(self.tail.filter.words)}", severity="warning")

    def _row(self) -> Row | None:
        focused = self.focused
        return focused.row if isinstance(focused, Table) else self.tail.row


def _row(under: Under, now: int, *, plain: bool) -> Row:
    span = max(0, now - under.started_at)
    target = f"{under.provider}/{under.model}" if under.model else ""
    then = "->" if plain else "→"
    asked = under.model_asked in {target, under.model}
    rate = under.output_tokens * 10**9 / span if span and under.output_tokens else None
    where = f"in line: {under.place}" if under.place is not None else "streams" if under.stream else "waits"
    return Row(
        under.id,
        (
            spelling.took(span // 1000) if span < 10**9 else f"{span / 1e9:.0f} s",
            line((under.key or spelling.DASH, "id")),
            line(under.model_asked)
            if asked or not target
            else line((f"{under.model_asked.removeprefix('gateway-')} {then} ", "dim"), target),
            line((under.tier or spelling.DASH, under.tier or "dim")),
            spelling.tokens(under.output_tokens) if under.output_tokens else spelling.DASH,
            spelling.DASH if rate is None else f"{rate:.0f}",
            spelling.usd(under.held),
            line((where, "warn" if under.place is not None else "dim")),
        ),
        (span, under.key, under.model_asked, under.tier, under.output_tokens, rate, under.held, where),
    )
