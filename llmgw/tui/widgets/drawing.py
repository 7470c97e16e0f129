"""Pictures of figures as styled text: bars, sparklines, line charts, shares. Pure: data in, lines out.

Each has a form in plain ASCII. Styles are names (`themes.NAMES`), so a picture is the same in every theme.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from llmgw.domain import spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Lines = Sequence[Text]

DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Bits of a Braille cell: left and right column, from the lowest dot up."""
BRAILLE = 0x2800


class Paper(NamedTuple):
    """What there is to draw on, in cells; ``plain`` allows only ASCII."""

    width: int
    height: int
    plain: bool = False


def line(*parts: str | tuple[str, str] | Text) -> Text:
    """A line of parts, each with a style or without."""
    return Text.assemble(*parts, no_wrap=True, end="")


def spread(paper: Paper, left: Text, right: Text) -> Text:
    """Both on one line, the right one at its end; the left one is cut where they would meet."""
    room = max(0, paper.width - right.cell_len)
    return line(fit(left, room), right)


def fit(text: Text, width: int, *, right: bool = False) -> Text:
    """Exactly so wide."""
    text = text.copy()
    if text.cell_len > width:
        text.truncate(max(0, width), overflow="ellipsis" if width > 1 else "crop")
    gap = " " * (width - text.cell_len)
    return Text.assemble(gap, text, end="") if right else Text.assemble(text, gap, end="")


def packed(parts: Iterable[Text], paper: Paper) -> list[Text]:
    """Parts beside each other, as many to a line as fit."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + 2 + part.cell_len <= paper.width:
            lines[-1] = line(lines[-1], "  ", part)
        else:
            lines.append(line(" ", part) if lines else part)
    return lines


def fold(words: str, width: int, style: str = "") -> list[Text]:
    """Words in lines of a width, broken between words."""
    lines: list[str] = []
    for paragraph in words.split("\n"):
        lines.append("")
        for word in paragraph.split(" "):
            if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return [
        Text(set_cell_size(each, min(cell_len(each), max(1, width))), style=style, end="") for each in lines
    ]


def level(part: float | None) -> str:
    """The style of a part that is spent: green, amber from `spelling.HIGH` on, red from the whole on."""
    if part is None:
        return "dim"
    return "bad" if part >= 1 else "warn" if part >= spelling.HIGH else "good"


def hits(part: float | None) -> str:
    """The style of a rate of cache hits: good from 70 %, fair from 40 %."""
    if part is None:
        return "dim"
    return "good" if part >= 0.7 else "warn" if part >= 0.4 else "bad"


def bar(
    part: float | None, paper: Paper, style: str = "bar", *, rest: bool = True, mark: bool = False
) -> Text:
    """``▓▓▓░░`` over the whole width."""
    drawn = spelling.bar(part, paper.width, plain=paper.plain, rest=rest, mark=mark)
    full = len(drawn.rstrip("░-! "))
    return line((drawn[:full], style), (drawn[full:], "warn" if drawn.endswith("!") else "dim"))


def spark(values: Sequence[float], paper: Paper, style: str = "bar") -> Text:
    """One line of steps, the newest at the end."""
    return line((spelling.sparkline(values, paper.width, plain=paper.plain), style))


def shares(parts: Iterable[tuple[str, float, str, str]], paper: Paper, *, name: int, note: int) -> list[Text]:
    """A bar for each: name, part of the whole, what stands behind it, its style. ``name``, ``note``: cells for those."""
    room = max(1, paper.width - name - note - 9)
    return [
        line(
            fit(line((label, style)), name),
            " ",
            fit(bar(part, Paper(room, 1, paper.plain), style, rest=False), room),
            f" {spelling.percent(part):>6} ",
            fit(line(after), note, right=True),
        )
        for label, part, after, style in parts
    ]


def chart(
    values: Sequence[float],
    paper: Paper,
    *,
    label: Callable[[float], str],
    ends: tuple[str, ...] = (),
    style: str = "bar",
) -> list[Text]:
    """A curve with its scale at the left and the moments of ``ends`` spread below it."""
    height = max(1, paper.height - (2 if ends else 0))
    top = max(values, default=0) or 0.0
    scale = {height - 1: label(0.0)} | ({0: label(top)} if top else {})
    if top and height >= 5:
        scale[height // 2] = label(top * (height - 1 - height // 2) / (height - 1))
    margin = max(len(each) for each in scale.values())
    room = max(1, paper.width - margin - 1)
    tick, wall, floor, cross = ("+", "|", "-", "+") if paper.plain else ("┤", "│", "─", "┬")
    drawn = _plain_curve(values, room, height) if paper.plain else _curve(values, room, height)
    lines = [
        line((f"{scale.get(row, ''):>{margin}}{tick if row in scale else wall}", "dim"), (cells, style))
        for row, cells in enumerate(drawn)
    ]
    if not ends:
        return lines
    places = [round(index * (room - 1) / max(1, len(ends) - 1)) for index in range(len(ends))]
    axis = "".join(cross if column in places[1:-1] else floor for column in range(room))
    words = [" "] * (room + margin + 1)
    for place, word in zip(places, ends, strict=True):
        start = min(max(0, place + margin + 1 - len(word) // 2), len(words) - len(word))
        words[start : start + len(word)] = word
    corner = "+" if paper.plain else "└"
    return [*lines, line((" " * margin + corner + axis, "dim")), line(("".join(words), "dim"))]


def _heights(values: Sequence[float], columns: int, steps: int) -> list[int | None]:
    """How high each column is, 0 to ``steps - 1``; one value is drawn over several columns where there are few."""
    if not values:
        return [None] * columns
    most = max(values)
    if most <= 0:
        return [0] * columns
    found: list[int | None] = []
    for column in range(columns):
        start = column * len(values) // columns
        end = max(start + 1, (column + 1) * len(values) // columns)
        mean = sum(values[start:end]) / (end - start)
        found.append(max(round(mean / most * (steps - 1)), 1 if mean > 0 else 0))
    return found


def _curve(values: Sequence[float], width: int, height: int) -> list[str]:
    """A line of Braille dots, two by four in a cell; neighbours are joined."""
    cells = [[0] * width for _ in range(height)]
    before: int | None = None
    for column, level_ in enumerate(_heights(values, 2 * width, 4 * height)):
        if level_ is None:
            continue
        low, high = sorted((level_, level_ if before is None else before))
        # the dot of the neighbour is its own
        span = range(low + (low != level_), high + (high == level_)) if low != high else (level_,)
        for dot in span:
            cells[height - 1 - dot // 4][column // 2] |= DOTS[column % 2][dot % 4]
        before = level_
    return ["".join(chr(BRAILLE + cell) if cell else " " for cell in row) for row in cells]


def _plain_curve(values: Sequence[float], width: int, height: int) -> list[str]:
    rows = [[" "] * width for _ in range(height)]
    for column, level_ in enumerate(_heights(values, width, height)):
        if level_ is not None:
            rows[height - 1 - level_][column] = "*"
    return ["".join(row) for row in rows]
