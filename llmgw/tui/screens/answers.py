"""Remembered answers, one by one: what was asked, by whom, how often it was given again, and how to be rid of it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from llmgw.desk.caches import ClearCache, ListEntries
from llmgw.domain import spelling
from llmgw.domain.cache import Order
from llmgw.tui.frame import Frame
from llmgw.tui.widgets.drawing import line
from llmgw.tui.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmgw.desk.cache_shapes import Entries, EntryView
    from llmgw.rules.picture import Picture

MOST = 500
COLUMNS = (
    Column("ID", right=True),
    Column("AGE", right=True),
    Column("KEY", wide=True),
    Column("MODEL", wide=True),
    Column("HITS", right=True),
    Column("SAVED", right=True),
    Column("SIZE", right=True, wide=True),
    Column("PROMPT", grow=True, least=16),
)


class Answers(Frame):
    """Those whose prompt holds a text, all without; asked for when it opens, and again after a change."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.text = text.removesuffix("…").strip()
        self._found: Entries | None = None

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("Cache", "Answers")

    @property
    def command(self) -> str:
        chosen = f" --text {shlex.quote(self.text)}" if self.text else ""
        return f"llmgw cache list{chosen} --sort hits --limit {MOST}"

    def body(self) -> ComposeResult:
        yield Table("Remembered answers", columns=COLUMNS, empty="nothing is remembered that fits", id="list")

    def on_mount(self) -> None:
        self._ask()

    def draw(self, picture: Picture) -> None:
        table = self.table("list")
        if self._found is None:
            return
        table.border_title = f"{spelling.count(self._found.total)} remembered answers"
        table.fill([_row(each, picture.now or each.created_at) for each in self._found.entries])

    def on_table_chosen(self, chosen: Table.Chosen) -> None:
        """Its prompt, as far as it is told."""
        self.notify(chosen.row.values[-1], title=f"llmgw cache show {chosen.row.key}", markup=False)

    def action_clear_cache(self) -> None:
        """Forget the one under the cursor."""
        row = self.table("list").row
        if row is not None:
            ask = ClearCache(ids=(int(row.key),))
            self.change(ask, f"llmgw cache clear --id {row.key} -y", lambda _: self._ask())

    def _ask(self) -> None:
        self.asking(ListEntries(text=self.text or None, sort=Order.HITS, limit=MOST), self._told)

    def _told(self, found: Entries) -> None:
        self._found = found
        self.draw(self.dash.picture)


def _row(view: EntryView, now: int) -> Row:
    age = spelling.relative(view.created_at, now).removesuffix(" ago")
    return Row(
        str(view.id),
        (
            line((str(view.id), "id")),
            f"{age} !" if view.pinned else age,
            view.key,
            view.model,
            spelling.count(view.hits),
            line((spelling.usd(view.saved_nanousd), "good")),
            spelling.size(view.bytes),
            view.prompt,
        ),
        (
            view.id,
            view.created_at,
            view.key,
            view.model,
            view.hits,
            view.saved_nanousd,
            view.bytes,
            view.prompt,
        ),
    )
