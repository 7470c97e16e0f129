"""A box of styled lines. It repaints the cells that changed and no others, however often it is told what to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, cast

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from llmgw.domain import spelling
from llmgw.tui.widgets.drawing import Paper

if TYPE_CHECKING:
    from rich.style import Style
    from rich.text import Text
    from textual import events
    from textual.geometry import Size

    from llmgw.tui.app import Dash

SHOWN = dict.fromkeys(spelling.OBEYED, "\N{REPLACEMENT CHARACTER}") | dict.fromkeys(map(ord, "\t\n"), " ")
"""What stands for a character that a terminal would obey: no name and no answer says anything to it."""
PLAIN = dict.fromkeys(SHOWN, "?") | str.maketrans(
    "\N{EN DASH}…\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}·→▸▾▴\N{MULTIPLICATION SIGN}↻●■▶",
    "-~>.>>v^xo*x>",
)
"""Signs of ours that stand in words, where only ASCII may be drawn."""
Draw = Callable[[Paper], Sequence["Text"]]


class Pane(Widget):
    """Shows what a function of its size draws; without a title it has no border."""

    DEFAULT_CLASSES = "pane"

    def __init__(self, title: str = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id, classes=classes)
        self.border_title = title
        self.set_class(bool(title), "boxed")
        self._draw: Draw | None = None
        self._strips: list[Strip] = []

    @property
    def dash(self) -> Dash:
        return cast("Dash", self.app)

    @property
    def paper(self) -> Paper:
        return Paper(self.content_size.width, self.content_size.height, self.dash.plain)

    def show(self, draw: Draw) -> None:
        """Draw this from now on."""
        self._draw = draw
        if self.styles.height is not None and self.styles.height.is_auto:
            self.refresh(layout=True)
        self.redraw()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """As many lines as are drawn, where the height is not given."""
        return 0 if self._draw is None else len(self._draw(Paper(width, viewport.height, self.dash.plain)))

    def redraw(self) -> None:
        """Draw again; cells that look as before are left alone."""
        if not self.is_mounted or not self.content_size or self._draw is None:
            return
        width, ink = self.content_size.width, self.dash.ink
        lines = list(self._draw(self.paper))[: self.content_size.height]
        signs = PLAIN if self.dash.plain else SHOWN
        strips = [
            Strip(
                Segment(each.text.translate(signs), each.style) for each in line.render(ink)
            ).adjust_cell_length(width)
            for line in lines
        ]
        blank = Strip.blank(width)
        pairs = enumerate(zip_longest(self._strips, strips, fillvalue=blank))
        changed = [_changed(y, old, new) for y, (old, new) in pairs if old != new]
        self._strips = strips
        if any(changed):
            self.refresh(*filter(None, changed))

    def render_line(self, y: int) -> Strip:
        style = self.rich_style
        if y >= len(self._strips):
            return Strip.blank(self.content_size.width, style)
        return self._strips[y].apply_style(style)

    def on_resize(self, _: events.Resize) -> None:
        self.redraw()


def _changed(y: int, old: Strip, new: Strip) -> Region | None:
    """Where two lines of one width differ; None where they only consist of other parts."""
    before, after = _cells(old), _cells(new)
    if len(before) != new.cell_length or len(after) != new.cell_length:  # characters of two cells
        return Region(0, y, new.cell_length, 1)
    same = [one == other for one, other in zip(before, after, strict=True)]
    if all(same):
        return None
    start, end = same.index(False), len(same) - same[::-1].index(False)
    return Region(start, y, end - start, 1)


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    return [(character, segment.style or None) for segment in strip for character in segment.text]
