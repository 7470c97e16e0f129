"""A table for the keyboard: a cursor, sorting by any column, only what is in sight is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text
from textual.message import Message

from llmgw.tui.actions import TABLES, bindings
from llmgw.tui.widgets.drawing import Paper, fit, line
from llmgw.tui.widgets.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events


class Column(NamedTuple):
    """``wide`` columns go first where there is no room, ``grow`` takes what is left; ``least`` cells are kept."""

    title: str
    right: bool = False
    wide: bool = False
    grow: bool = False
    least: int = 0


class Row(NamedTuple):
    """``key`` tells rows apart, ``cells`` are texts or words; ``values`` are what sorting compares, cell by cell."""

    key: str
    cells: tuple[Text | str, ...]
    values: tuple[Any, ...] = ()


class Table(Pane, can_focus=True):
    """Rows in the order they were given until a column is chosen to sort by."""

    BINDINGS = bindings(TABLES)
    DEFAULT_CLASSES = "pane table"

    class Chosen(Message):
        """Enter, or a click, on a row."""

        def __init__(self, table: Table, row: Row) -> None:
            self.table, self.row = table, row
            super().__init__()

        @property
        def control(self) -> Table:
            return self.table

    def __init__(
        self,
        title: str = "",
        *,
        columns: Sequence[Column],
        empty: str = "",
        id: str | None = None,  # noqa: A002 (Textual's own name)
        classes: str | None = None,
    ) -> None:
        """``empty`` is said where there are no rows."""
        super().__init__(title, id=id, classes=classes)
        self.columns = tuple(columns)
        self.empty = empty
        self.rows: list[Row] = []
        self.sorted_by: int | None = None
        self.reversed = False
        self.cursor = 0
        self.top = 0
        self._given: Sequence[Row] = ()

    def on_mount(self) -> None:
        self.show(self._lines)

    def fill(self, rows: Sequence[Row], columns: Sequence[Column] | None = None) -> None:
        """Show these; the cursor stays on the row it is on, wherever that goes."""
        if columns is not None:
            self.columns = tuple(columns)
        self._given = rows
        self.put_in_order()

    @property
    def row(self) -> Row | None:
        """The one under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def action_down(self) -> None:
        self._move(self.cursor + 1)

    def action_up(self) -> None:
        self._move(self.cursor - 1)

    def action_page_down(self) -> None:
        self._move(self.cursor + self._height)

    def action_page_up(self) -> None:
        self._move(self.cursor - self._height)

    def action_first(self) -> None:
        self._move(0)

    def action_last(self) -> None:
        self._move(len(self.rows) - 1)

    def action_left(self) -> None:
        self.screen.focus_previous()

    def action_right(self) -> None:
        self.screen.focus_next()

    def action_drill(self) -> None:
        if self.row is not None:
            self.post_message(self.Chosen(self, self.row))

    def action_sort(self) -> None:
        """By the next column, after the last one in the order given again."""
        following = 0 if self.sorted_by is None else self.sorted_by + 1
        self.sorted_by = following if following < len(self.columns) else None
        self.reversed = self.sorted_by is not None and self.columns[self.sorted_by].right
        self.put_in_order()

    def action_reverse(self) -> None:
        self.reversed = not self.reversed
        self.put_in_order()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "sort" and self.dash.check_action("serve", parameters):
            return False  # the key starts the gateway that is down
        return super().check_action(action, parameters)

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is None or not 1 <= place.y <= self._height:
            return
        at = self.top + place.y - 1
        if at >= len(self.rows):
            return
        again = at == self.cursor
        self._move(at)
        if again or event.chain > 1:
            self.action_drill()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._move(self.cursor + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._move(self.cursor - 3)

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def on_resize(self, _: events.Resize) -> None:
        self._settle()

    @property
    def _height(self) -> int:
        return max(1, self.content_size.height - 1)

    def _move(self, place: int) -> None:
        self.cursor = place
        self._settle()

    def _settle(self) -> None:
        """Keep the cursor on a row and that row in sight."""
        self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
        self.top = max(0, min(self.top, self.cursor, len(self.rows) - self._height))
        self.top = max(self.top, self.cursor - self._height + 1)
        if self.border_title:
            last = min(self.top + self._height, len(self.rows))
            fits = len(self.rows) <= self._height
            self.border_subtitle = "" if fits else f"{self.top + 1:,}-{last:,} of {len(self.rows):,}"
        self.redraw()

    def put_in_order(self) -> None:
        """Put the rows in order; the cursor stays on its row."""
        before = self.row
        if self.sorted_by is not None:
            by = self.sorted_by
            self.rows = sorted(self._given, key=lambda row: self._order(row, by), reverse=self.reversed)
        else:
            self.rows = list(reversed(self._given) if self.reversed else self._given)
        if before is not None:
            key = before.key
            self.cursor = next((at for at, row in enumerate(self.rows) if row.key == key), self.cursor)
        self._settle()

    def _lines(self, paper: Paper) -> list[Text]:
        shown = self.rows[self.top : self.top + paper.height - 1]
        widths = self._widths(shown, paper.width - 2)
        down, up = ("v", "^") if paper.plain else ("▾", "▴")
        headings = [
            column.title + ((down if self.reversed else up) if at == self.sorted_by else "")
            for at, column in enumerate(self.columns)
        ]
        head = self._line([Text(each) for each in headings], widths, " ")
        head.stylize("dim")
        if not self.rows:
            return [head, line((f" {self.empty}", "dim"))]
        pointer = ">" if paper.plain else "▸"
        lines = [head]
        for at, row in enumerate(shown, self.top):
            here = at == self.cursor and self.has_focus
            cells = [cell if isinstance(cell, Text) else Text(cell) for cell in row.cells]
            drawn = self._line(cells, widths, pointer if here else " ")
            if here:
                drawn = fit(Text(drawn.plain) if self.dash.current_theme.ansi else drawn, paper.width)
                drawn.stylize("cursor")
            lines.append(drawn)
        return lines

    def _order(self, row: Row, column: int) -> tuple[bool, Any]:
        """Unknown values lie below all others."""
        value = row.values[column] if row.values else str(row.cells[column])
        return (value is not None, value if value is not None else 0)

    def _line(self, cells: Sequence[Text], widths: Sequence[int], pointer: str) -> Text:
        parts = [
            fit(cell, width, right=column.right)
            for cell, width, column in zip(cells, widths, self.columns, strict=True)
            if width
        ]
        return Text.assemble(pointer, Text("  ").join(parts), " ", end="", no_wrap=True)

    def _widths(self, shown: Sequence[Row], room: int) -> list[int]:
        """Cells of each column, 0 of those that do not fit: the wide ones from the right, then the last ones."""
        widths = [
            max(
                len(column.title) + 1 * (at == self.sorted_by),
                column.least,
                *(_width(row.cells[at]) for row in shown),
                0,
            )
            for at, column in enumerate(self.columns)
        ]
        going = [at for at, column in enumerate(self.columns) if column.wide][::-1]
        going += [at for at in range(len(self.columns) - 1, 0, -1) if at not in going]
        growing = [at for at, column in enumerate(self.columns) if column.grow and widths[at]]

        def over() -> int:
            return sum(width + 2 for width in widths if width) - 2 - room

        for at in growing:  # a long name is cut before a column goes
            least = max(len(self.columns[at].title), self.columns[at].least, 8)
            if over() > 0 and widths[at] > least:
                widths[at] = max(least, widths[at] - over())
        for at in going:
            if over() <= 0:
                break
            widths[at] = 0
        for at in growing[:1]:
            widths[at] = max(1, widths[at] - over())
        return widths


def _width(cell: Text | str) -> int:
    return cell.cell_len if isinstance(cell, Text) else len(cell)
