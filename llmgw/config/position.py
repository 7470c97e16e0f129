"""The line on which an option stands in a TOML file, which the parser itself does not tell."""

from __future__ import annotations

import re
import tomllib
from collections import Counter

HEADER = re.compile(r"^\s*\[\[?(?P<key>[^\[\]]*(?:\"[^\"]*\"[^\[\]]*)*)\]\]?\s*(#.*)?$")
ASSIGNMENT = re.compile(r"^\s*(?P<key>(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_\-\s.])+?)\s*=")


def find_line(text: str, option: tuple[str, ...]) -> int | None:
    """The 1-based line of an option, or of the nearest table around it; None when not even that is there."""
    best: tuple[int, int] | None = None
    table: tuple[str, ...] = ()
    entries: Counter[tuple[str, ...]] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if match := HEADER.match(line):
            here = table = _key(match["key"])
            if line.lstrip().startswith("[["):  # entries of a list are counted from 1
                entries[here] += 1
                table = (*here, str(entries[here]))
                here = table if option[: len(table)] == table else here
        elif match := ASSIGNMENT.match(line):
            here = (*table, *_key(match["key"]))
        else:
            continue
        if here == option[: len(here)] and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None


def _key(text: str) -> tuple[str, ...]:
    try:
        level = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return ("",)
    parts: list[str] = []
    while isinstance(level, dict):
        part, level = next(iter(level.items()))
        parts.append(part)
    return tuple(parts)
