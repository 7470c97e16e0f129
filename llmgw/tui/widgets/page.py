"""A box of lines that may be longer than it is high: the keys of tables move it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.tui.actions import TABLES, bindings
from llmgw.tui.widgets.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text
    from textual import events

    from llmgw.tui.widgets.drawing import Paper
    from llmgw.tui.widgets.pane import Draw

LONG = 10_000
"""Lines that are drawn at most."""


class Page(Pane, can_focus=True):
    """``at_end`` keeps the last line in sight while more are added."""

    BINDINGS = bindings(TABLES)

    def __init__(self, title: str = "", *, id: str | None = None, at_end: bool = False) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(title, id=id)
        self.top = 0
        self.at_end = at_end
        self._count = 0

    def show(self, draw: Draw) -> None:
        super().show(lambda paper: self._window(draw(paper._replace(height=LONG)), paper))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in {"drill", "sort", "reverse"}:
            return False
        return super().check_action(action, parameters)

    def action_down(self) -> None:
        self._move(self.top + 1)

    def action_up(self) -> None:
        self._move(self.top - 1)

    def action_page_down(self) -> None:
        self._move(self.top + self.content_size.height)

    def action_page_up(self) -> None:
        self._move(self.top - self.content_size.height)

    def action_first(self) -> None:
        self._move(0)

    def action_last(self) -> None:
        self._move(LONG)

    def action_left(self) -> None:
        self.screen.focus_previous()

    def action_right(self) -> None:
        self.screen.focus_next()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._move(self.top + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._move(self.top - 3)

    def _move(self, top: int) -> None:
        last = max(0, self._count - self.content_size.height)
        self.top = max(0, min(top, last))
        self.at_end = self.at_end and self.top == last
        self.redraw()

    def _window(self, lines: Sequence[Text], paper: Paper) -> Sequence[Text]:
        self._count = len(lines)
        last = max(0, self._count - paper.height)
        self.top = last if self.at_end else min(self.top, last)
        if self.border_title:
            below = self._count - self.top - paper.height
            self.border_subtitle = f"{below} more" if below > 0 else ""
        return lines[self.top : self.top + paper.height]
