"""Columns that are parts of a whole, side by side in time: what was answered by which tier."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from llmgw.tui.widgets.drawing import Paper, line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text


class Part(NamedTuple):
    """How one part is drawn: its style, its cell, and its cell where only ASCII may be."""

    style: str
    cell: str
    plain: str


def stacks(
    steps: Sequence[Sequence[int]], parts: Sequence[Part], paper: Paper, *, ends: tuple[str, ...] = ()
) -> list[Text]:
    """A column for each step, filled from below by its parts as they stand to each other; empty where there is none."""
    height, room = max(1, paper.height - (1 if ends else 0)), max(1, paper.width - 6)
    columns = [_filled(counts, height) for counts in _fitted(steps, room)]
    wall = "|" if paper.plain else "│"
    scale = {0: "100 %", height // 2: " 50 %", height - 1: "    0"} if height > 3 else {0: "100 %"}
    lines = []
    for row in range(height):
        level = height - 1 - row
        cells: list[Text | str] = [line((f"{scale.get(row, ''):>5}{wall}", "dim"))]
        for place, run in groupby(column[level] for column in columns):
            part, count = None if place is None else parts[place], len(list(run))
            cells.append(
                " " * count
                if part is None
                else line(((part.plain if paper.plain else part.cell) * count, part.style))
            )
        lines.append(line(*cells))
    return [*lines, line((_axis(ends, paper.width), "dim"))] if ends else lines


def _fitted(steps: Sequence[Sequence[int]], columns: int) -> list[list[int]]:
    """So many columns: steps are added up where there are more, repeated where there are fewer."""
    if not steps:
        return []
    found = []
    for column in range(columns):
        start = column * len(steps) // columns
        end = max(start + 1, (column + 1) * len(steps) // columns)
        found.append([sum(part) for part in zip(*steps[start:end], strict=True)])
    return found


def _filled(counts: Sequence[int], height: int) -> list[int | None]:
    """Which part each cell shows, from the lowest up; what is there at all shows wherever there is room for it."""
    whole = sum(counts)
    if not whole:
        return [None] * height
    shown = [place for place, count in enumerate(counts) if count]
    cells = {place: counts[place] * height / whole for place in shown}
    sizes = {place: max(1, int(cells[place])) for place in shown}
    while sum(sizes.values()) < height:
        sizes[max(shown, key=lambda place: cells[place] - sizes[place])] += 1
    while sum(sizes.values()) > height:
        sizes[max(shown, key=lambda place: sizes[place] - cells[place])] -= 1
    return [place for place in shown for _ in range(sizes[place])]


def _axis(ends: tuple[str, ...], width: int) -> str:
    words = [" "] * width
    room = width - 6
    for index, word in enumerate(ends):
        middle = 6 + round(index * (room - 1) / max(1, len(ends) - 1))
        start = min(max(6, middle - len(word) // 2), width - len(word))
        if start >= 0:
            words[start : start + len(word)] = word
    return "".join(words)
