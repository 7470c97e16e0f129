"""Which remembered prompts lie near a new one: an index in memory, parted by all that must match exactly.

Each part holds the vectors of the entries of one context digest. Most contexts have few, and all of those together are as
good as nothing to the collector. Entries can be removed, and are then gone. Changes come from one thread; searches may run
in another meanwhile.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Self

import numpy as np
from msgspec import Struct

from llmgw.storage.blocks import SMALL, Many, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from llmgw.storage.blocks import Code, Near, Vector

Layout = tuple[tuple[str, int], ...]
"""Which kinds of vectors stand behind one another in a row, and how wide each of them is."""


def code(vector: Vector) -> Code:
    """A vector's direction in a byte a dimension; its length is not kept."""
    largest = float(np.abs(vector).max(initial=0.0))
    return np.asarray(np.rint(vector * (127 / largest if largest else 0.0)), np.int8)


class _Few(Struct, frozen=True, gc=False):
    """The entries of a context that has few. It is never changed: a further one takes its place.

    There may be very many, so that all they have is in bytes, and the collector need not look at any.
    """

    numbers: bytes = b""
    layout: Layout = ()
    codes: bytes = b""

    def __len__(self) -> int:
        return len(self.numbers) // 8

    @property
    def entries(self) -> NDArray[np.int64]:
        return np.frombuffer(self.numbers, np.int64)

    @property
    def vectors(self) -> dict[str, NDArray[np.int8]]:
        """In rows, by kind."""
        rows, start, found = self._rows(), 0, {}
        for kind, width in self.layout:
            found[kind] = rows[:, start : start + width]
            start += width
        return found

    def attach(self, entry: int, vectors: Mapping[str, Code]) -> Self:
        """The same with an entry's vectors, except where others of their kind are of another width."""
        few = self._widened(vectors)
        at, width, numbers, codes = few.place(entry), few.width, few.numbers, bytearray(few.codes)
        if at == len(few):
            numbers += entry.to_bytes(8, sys.byteorder)
            codes += bytes(width)
        start = at * width
        for kind, wide in few.layout:
            row = vectors.get(kind)
            if row is not None and len(row) == wide:
                codes[start : start + wide] = row.tobytes()
            start += wide
        return type(self)(numbers, few.layout, bytes(codes))

    def without(self, entry: int) -> Self:
        at, width = self.place(entry), self.width
        numbers = self.numbers[: 8 * at] + self.numbers[8 * (at + 1) :]
        return type(self)(numbers, self.layout, self.codes[: width * at] + self.codes[width * (at + 1) :])

    def has(self, entry: int, kind: str) -> bool:
        rows = self.vectors.get(kind)
        return rows is not None and bool(rows[self.place(entry)].any())

    def search(self, kind: str, query: Vector, most: int, least: float) -> list[Near]:
        rows = self.vectors.get(kind)
        if rows is None or rows.shape[1] != len(query):
            return []
        return nearest(self.entries, rows, query, most, least)

    @property
    def width(self) -> int:
        return sum(width for _, width in self.layout)

    def place(self, entry: int) -> int:
        """Which row is an entry's; the one after the last for an entry that is not there."""
        found = np.flatnonzero(self.entries == entry)
        return int(found[0]) if len(found) else len(self)

    def _rows(self) -> NDArray[np.int8]:
        return np.frombuffer(self.codes, np.int8).reshape(len(self), self.width)

    def _widened(self, vectors: Mapping[str, Code]) -> Self:
        """The same with room for kinds of vectors that none has yet."""
        kinds = dict(self.layout)
        more = tuple((kind, len(row)) for kind, row in vectors.items() if kind not in kinds)
        if not more:
            return self
        rows = np.zeros((len(self), self.width + sum(width for _, width in more)), np.int8)
        rows[:, : self.width] = self._rows()
        return type(self)(self.numbers, _same((*self.layout, *more)), rows.tobytes())


@cache
def _same(layout: Layout) -> Layout:
    """One and the same for all that are equal."""
    return layout


class VectorIndex:
    """Vectors by context and entry, of as many kinds as there are embedders at work (``screen`` and another one)."""

    def __init__(self) -> None:
        self._contexts: dict[int, bytes] = {}
        self._few: dict[bytes, _Few] = {}
        self._many: dict[bytes, Many] = {}

    def __len__(self) -> int:
        return len(self._contexts)

    def __contains__(self, entry: int) -> bool:
        return entry in self._contexts

    def entries(self) -> list[int]:
        """The numbers of all entries, those first that were put in first; in a millisecond for a hundred thousand."""
        return list(self._contexts)

    def add(self, context: bytes, entry: int, **vectors: Code) -> None:
        """Put an entry in, or in place of what was there under its number; ``vectors`` by kind, as `code` makes them."""
        self.remove(entry)
        many, few = self._many.get(context), self._few.get(context, _Few())
        if many is None and len(few) == SMALL:  # whoever searches meanwhile finds one of the two
            many = self._many[context] = Many.of(few.entries, few.vectors)
            del self._few[context]
        if many is not None:
            many.add(entry, vectors)
        else:
            self._few[context] = few.attach(entry, vectors)
        self._contexts[entry] = context

    def attach(self, entry: int, kind: str, row: Code) -> None:
        """Give an entry a further vector; nothing where it has gone meanwhile."""
        context = self._contexts.get(entry)
        if context is None:
            return
        few = self._few.get(context)
        if few is not None:
            self._few[context] = few.attach(entry, {kind: row})
        else:
            self._many[context].attach(entry, {kind: row})

    def remove(self, entry: int) -> None:
        """Forget an entry; nothing where there is none."""
        context = self._contexts.pop(entry, None)
        if context is None:
            return
        few = self._few.get(context)
        if few is None:
            many = self._many[context]
            many.remove(entry)
            if not len(many):
                del self._many[context]
        elif len(few) > 1:
            self._few[context] = few.without(entry)
        else:
            del self._few[context]

    def search(self, context: bytes, kind: str, query: Vector, most: int, least: float) -> list[Near]:
        """The entries of a context nearest to ``query`` (of length one) with a cosine of ``least`` or more."""
        part = self._few.get(context) or self._many.get(context)
        return [] if part is None else part.search(kind, query, most, least)

    def has(self, entry: int, kind: str) -> bool:
        """Whether an entry has a vector of that kind."""
        context = self._contexts.get(entry)
        if context is None:
            return False
        few = self._few.get(context)
        return self._many[context].has(entry, kind) if few is None else few.has(entry, kind)
