"""Every answer of a command, as table, json, jsonl, csv or plain; the only writer of stdout.

Whatever a value holds, no control character of it reaches the terminal: `_write` spells them out.

Commands hand over plain dicts; what a value is follows from the end of its name:

    ``*_nanousd``  whole nano-dollars   json, csv: itself and ``*_usd`` as a decimal string; table: ``$0.0123``
    ``*_at``       UTC nanoseconds      json, csv: RFC 3339; table: ``3 m ago`` (``--utc``: the date)
    ``*_us``       microseconds         table: milliseconds

None is unknown or absent: ``null`` in json, empty in csv, a dash in tables. A nested dict is an object in json and
``outer.inner`` elsewhere.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llmgw.cli import notices
from llmgw.cli.options import Format, bold, given, shown
from llmgw.desk import wire
from llmgw.desk.wire import expand
from llmgw.domain import spelling
from llmgw.domain.spelling import DASH
from llmgw.errors import BadRequest

SCHEMA = 1
COMPACT = 100
"""Terminals narrower than this see no ``wide`` columns."""
UNBOUNDED = 10_000
NARROWEST, WIDEST = 8, 40
"""Cells of the elastic column of a list that never ends."""

Record = Mapping[str, Any]


class Column(NamedTuple):
    """A column of a table: a field (``error.code`` reaches inside), its title, whether it needs a wide terminal."""

    field: str
    title: str = ""
    wide: bool = False

    @property
    def heading(self) -> str:
        if self.title:
            return self.title
        stem = self.field.removesuffix("_nanousd").removesuffix("_at").removesuffix("_us")
        return stem.replace("_", " ").replace(".", " ").upper()


def rows(
    records: Iterable[Record],
    columns: Sequence[Column],
    *,
    noun: str,
    ident: str = "name",
    total: int | None = None,
) -> None:
    """A list. ``noun`` names it in json, ``ident`` is the field that ``-q`` prints, ``total`` how many there are."""
    listed = list(records)
    found = [expand(record) for record in listed]
    _check_fields(found, columns)
    if total is not None and total > len(found):
        notices.note(f"{len(found):,} of {total:,} {noun} (use --limit)")
    if given.quiet:
        _lines(str(record[ident]) for record in found)
    elif given.output is Format.JSON:
        _json({"schema": SCHEMA, noun: [_selected(record) for record in found]})
    elif given.output is Format.JSONL:
        _lines(_compact(_selected(record)) for record in found)
    elif given.output is Format.CSV:
        _csv(found, columns)
    elif given.output is Format.PLAIN:
        _lines("\t".join(_exact(reach(record, c.field)) for c in _chosen(columns)) for record in found)
    else:
        _table(listed, _chosen(columns))


def record(fields: Record, *, ident: str = "name", text: str | None = None) -> None:
    """One thing. ``text`` is what people read instead of a list of all fields; ``ident`` is the field ``-q`` prints."""
    whole = expand(fields)
    _check_fields([whole], [])
    if given.quiet:
        _lines([str(whole[ident])])
    elif given.output is Format.JSON:
        _json({"schema": SCHEMA, **_selected(whole)})
    elif given.output is Format.JSONL:
        _lines([_compact(_selected(whole))])
    elif given.output is Format.CSV:
        _csv([whole], [])
    elif given.output is Format.PLAIN:
        _lines(f"{name}\t{_exact(value)}" for name, value in _flat(_selected(whole)).items())
    elif text is not None and not given.fields:
        _lines([text])
    else:
        listed = _selected(whole if given.fields else fields)
        cells = {name: cell(name, value) for name, value in _flat(listed).items()}
        width = max(map(len, cells), default=0)
        _lines(f"{bold(name.ljust(width), sys.stdout)}  {value}" for name, value in cells.items())


class Stream:
    """A list that never ends: each record is written as it comes, one a line (json means jsonl here)."""

    def __init__(
        self, columns: Sequence[Column], widths: Mapping[str, int], *, ident: str = "id", elastic: str = ""
    ) -> None:
        """``widths`` are the least widths of columns, as nothing is known of records to come.

        Where they do not fit the terminal, wide columns go from the right on, the cells of the ``elastic`` one are
        cut, and then columns go from the left on: a wrapped row is no row.
        """
        self.columns = _chosen(columns)
        self.widths = {c.field: max(len(c.heading), widths.get(c.field, 0)) for c in self.columns}
        self.ident = ident
        self.elastic = elastic
        self.begun = False
        if given.output is Format.TABLE and not given.fields:
            self._fit()

    def _fit(self) -> None:
        def room() -> int:
            return width() + 2 - sum(self.widths[column.field] + 2 for column in self.columns)

        for column in [column for column in self.columns if column.wide][::-1]:
            if room() < 0:
                self.columns.remove(column)
        if self.elastic in self.widths:
            most = min(WIDEST, self.widths[self.elastic] + room())
            self.widths[self.elastic] = max(NARROWEST, most)
        while room() < 0 and len(self.columns) > 1:
            self.columns.pop(0)

    def _row(self, texts: Sequence[str]) -> str:
        """A line of cells; what is longer than its column takes from the elastic one."""
        from rich.cells import cell_len, set_cell_size

        cells = [
            set_cell_size(text, max(cell_len(text), self.widths[column.field]))
            for text, column in zip(texts, self.columns, strict=True)
        ]
        for at, column in enumerate(self.columns):
            if column.field == self.elastic:
                left = width() - sum(cell_len(cell) + 2 for cell in cells) + 2
                wide = min(self.widths[self.elastic], cell_len(cells[at]) + left)
                if cell_len(texts[at]) > wide:
                    cells[at] = set_cell_size(texts[at], max(0, wide - 1)) + "…"
                else:
                    cells[at] = set_cell_size(texts[at], wide)
        return "  ".join(cells).rstrip()

    def write(self, fields: Record) -> None:
        whole = expand(fields)
        _check_fields([whole], [])
        if given.quiet:
            line = str(whole[self.ident])
        elif given.output in {Format.JSON, Format.JSONL}:
            line = _compact(_selected(whole))
        elif given.output is Format.CSV:
            line = _csv_text([whole], [], header=not self.begun).rstrip("\n")
        elif given.output is Format.PLAIN:
            line = "\t".join(_exact(reach(whole, c.field)) for c in self.columns)
        else:
            if not self.begun:
                _lines([bold(self._row([column.heading for column in self.columns]), sys.stdout)])
            line = self._row([cell(column.field, reach(fields, column.field)) for column in self.columns])
        self.begun = True
        _lines([line])


def text(content: str) -> None:
    """Words that are the answer themselves: help, a script, the lines of a log."""
    _lines([content])


def reach(fields: Record, name: str) -> Any:
    """The value of a field, ``error.code`` being one of a field; None where an outer one is absent."""
    value: Any = fields
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def cell(name: str, value: Any) -> str:
    """A value as people read it."""
    if value is None and name == "cost_nanousd":
        return "unknown"  # not nothing: there is no price
    if value is None or value in ("", [], ()):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_nanousd"):
        return spelling.usd(value)
    if name.endswith("_at") and isinstance(value, int):
        return f"{wire.rfc3339(value)[:19]}Z" if given.utc else spelling.relative(value, time.time_ns())
    if name.endswith("_us"):
        return spelling.took(value)
    if isinstance(value, int):
        return f"{value:,}"
    words = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return spelling.printable(words)


def width() -> int:
    """Columns of the terminal; a pipe has no limit unless COLUMNS sets one."""
    return shutil.get_terminal_size((UNBOUNDED, 24)).columns


def _check_fields(found: Sequence[Record], columns: Sequence[Column]) -> None:
    """BadRequest for a field that no record has; an empty list has nothing to go by."""
    names = dict.fromkeys(name for record in found for name in (*_flat(record), *record))
    known = names | dict.fromkeys(column.field for column in columns)
    for field in given.fields:
        outer = field.partition(".")[0]  # error.code is a field also where error is null
        if found and field not in known and (outer == field or outer not in names):
            raise BadRequest(f"no field `{field}` here", hint=f"there are {', '.join(names)}")


def _selected(whole: Record) -> dict[str, Any]:
    return {field: reach(whole, field) for field in given.fields} if given.fields else dict(whole)


def _chosen(columns: Sequence[Column]) -> list[Column]:
    if given.fields:
        return [Column(field) for field in given.fields]
    narrow = given.output is Format.TABLE and width() < COMPACT
    return [column for column in columns if not (narrow and column.wide)]


def _flat(fields: Record, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _exact(value: Any) -> str:
    """A value for programs in one field of a line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(_exact, value))
    if isinstance(value, Mapping):
        return _compact(value)
    return str(value).replace("\t", " ").replace("\n", " ")


def _json(value: Any) -> None:
    _lines([json.dumps(value, ensure_ascii=False, indent=2)])


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _csv(found: Sequence[Record], columns: Sequence[Column]) -> None:
    _write(_csv_text(found, columns, header=True))


def _csv_text(found: Sequence[Record], columns: Sequence[Column], *, header: bool) -> str:
    """All fields of the records; the columns only name them where there is no record."""
    flat = [_flat(_selected(record)) for record in found]
    names = list(dict.fromkeys(name for record in flat for name in record))
    names = names or list(given.fields) or [column.field for column in columns]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if header:
        writer.writerow(names)
    writer.writerows([_exact(record.get(name)) for name in names] for record in flat)
    return buffer.getvalue()


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        _write(line + "\n")
    sys.stdout.flush()


def _write(text: str) -> None:
    sys.stdout.write(shown(text))


def _fitting(found: Sequence[Record], columns: Sequence[Column]) -> Sequence[Column]:
    """All columns where they fit the terminal, else those that matter most: a wrapped row is no row."""

    def needs(column: Column) -> int:
        return max(
            [len(column.heading), *(len(cell(column.field, reach(each, column.field))) for each in found)]
        )

    if sum(needs(column) + 2 for column in columns) - 2 <= width():
        return columns
    return [column for column in columns if not column.wide]


def table(found: Sequence[Record], columns: Sequence[Column]) -> list[str]:
    """The lines of a table, for whoever draws it himself: the heading, then one for each record."""
    return _aligned(*_cells(found, _fitting(found, _chosen(columns))))


def _table(found: Sequence[Record], columns: Sequence[Column]) -> None:
    headings, numbers, texts = _cells(found, _fitting(found, columns))
    lines = _aligned(headings, numbers, texts)
    if max(map(len, lines)) > width() or any("\n" in text for row in texts for text in row):
        _folded(headings, numbers, texts)
    else:
        _lines([bold(lines[0], sys.stdout), *lines[1:]])


def _cells(
    found: Sequence[Record], columns: Sequence[Column]
) -> tuple[list[str], list[bool], list[list[str]]]:
    """Headings, which columns hold numbers, and every record's texts."""
    texts = [[cell(column.field, reach(record, column.field)) for column in columns] for record in found]
    numbers = [
        column.field.endswith(("_nanousd", "_us"))
        or any(isinstance(reach(record, column.field), int) for record in found)
        for column in columns
    ]
    return [column.heading for column in columns], numbers, texts


def _aligned(headings: list[str], numbers: list[bool], texts: list[list[str]]) -> list[str]:
    from rich.cells import cell_len

    widths = [max(map(cell_len, cells)) for cells in zip(headings, *texts, strict=True)]

    def line(row: Sequence[str]) -> str:
        gaps = [" " * (wide - cell_len(text)) for text, wide in zip(row, widths, strict=True)]
        parts = [
            gap + text if right else text + gap for text, gap, right in zip(row, gaps, numbers, strict=True)
        ]
        return "  ".join(parts).rstrip()

    return [line(headings), *map(line, texts)]


def _folded(headings: Sequence[str], numbers: Sequence[bool], texts: Sequence[Sequence[str]]) -> None:
    """A table with cells of several lines, which takes ten times as long."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, number in zip(headings, numbers, strict=True):
        table.add_column(heading, justify="right" if number else "left", overflow="fold")
    for row in texts:
        table.add_row(*map(Text, row))
    buffer = io.StringIO()
    Console(file=buffer, width=width(), color_system=None, legacy_windows=False).print(table)
    head, *rest = (line.rstrip() for line in buffer.getvalue().splitlines())
    _lines([bold(head, sys.stdout), *rest])
