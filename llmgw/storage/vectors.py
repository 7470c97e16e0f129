"""Which remembered prompts lie near a new one: an index in memory, parted by all that must match exactly.

Each part holds the vectors of the entries of one context digest. A small part is searched whole; a large one by the
signs of its vectors first (a bit a dimension), then the best of those by the vectors themselves. Entries can be
removed, and are then gone. Changes come from one thread; searches may run in another meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Code = NDArray[np.int8]

SMALL = 256
"""Entries up to which a part is searched whole."""
RESCORED = 64
"""How many of the best by their signs are looked at by their vectors."""
TRIES = 3


class Near(NamedTuple):
    entry: int
    cosine: float


def code(vector: Vector) -> Code:
    """A vector's direction in a byte a dimension; its length is not kept."""
    largest = float(np.abs(vector).max(initial=0.0))
    return np.asarray(np.rint(vector * (127 / largest if largest else 0.0)), np.int8)


class _Plane:
    """Vectors in rows, one kind of them, and their signs once there are many."""

    __slots__ = ("codes", "signs")

    def __init__(self, width: int, room: int) -> None:
        self.codes = np.zeros((room, width), np.int8)
        self.signs: NDArray[np.uint64] | None = None

    def grow(self, room: int) -> None:
        self.codes = _longer(self.codes, room)
        if self.signs is None and room > SMALL:
            self.signs = np.ascontiguousarray(_signs(self.codes).T)
        elif self.signs is not None:
            self.signs = np.ascontiguousarray(_longer(self.signs.T, room).T)

    def put(self, slot: int, row: Code) -> None:
        self.codes[slot] = row
        if self.signs is not None:
            self.signs[:, slot] = _signs(row[None])[0]

    def move(self, source: int, target: int) -> None:
        self.codes[target] = self.codes[source]
        if self.signs is not None:
            self.signs[:, target] = self.signs[:, source]

    def search(self, query: Vector, count: int, most: int) -> tuple[NDArray[np.intp], Vector]:
        """Rows and their cosines with ``query`` (of length one), the best first, among the first ``count`` rows."""
        if count > SMALL and self.signs is not None:
            rows = self._alike(query, count, max(RESCORED, 4 * most))
            codes = self.codes[rows].astype(np.float32)
        else:
            rows = np.arange(count)
            codes = self.codes[:count].astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", codes, codes))
        cosines = (codes @ query) / np.maximum(lengths, 1e-6)
        best = np.argsort(-cosines)[:most]
        return rows[best], cosines[best]

    def _alike(self, query: Vector, count: int, most: int) -> NDArray[np.intp]:
        """At least ``most`` rows whose signs differ least from the query's."""
        assert self.signs is not None  # noqa: S101 (asked before)
        apart = np.zeros(count, np.uint16)
        for column, mine in zip(self.signs, _signs(query[None])[0], strict=True):
            apart += np.bitwise_count(column[:count] ^ mine)
        within = np.searchsorted(np.bincount(apart).cumsum(), min(most, count))
        return np.flatnonzero(apart <= within)


class _Part:
    """The entries of one context; ``moves`` changes whenever a row is not any more what it was."""

    __slots__ = ("count", "entries", "moves", "planes")

    def __init__(self) -> None:
        self.count = 0
        self.entries = np.zeros(1, np.int64)
        self.planes: dict[str, _Plane] = {}
        self.moves = 0

    def slot(self, entry: int) -> int:
        return int(np.flatnonzero(self.entries[: self.count] == entry)[0])


class VectorIndex:
    """Vectors by context and entry, of as many kinds as there are embedders at work (``screen`` and another one)."""

    def __init__(self) -> None:
        self._parts: dict[bytes, _Part] = {}
        self._contexts: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._contexts)

    def __contains__(self, entry: int) -> bool:
        return entry in self._contexts

    def entries(self) -> set[int]:
        return set(self._contexts)

    def add(self, context: bytes, entry: int, **vectors: Code) -> None:
        """Put an entry in, or in place of what was there under its number; ``vectors`` by kind, as `code` makes them."""
        if entry in self._contexts:
            self.remove(entry)
        part = self._parts.get(context)
        if part is None:
            part = self._parts[context] = _Part()
        slot = part.count
        if slot == len(part.entries):
            part.entries = _longer(part.entries, 2 * slot)
            for plane in part.planes.values():
                plane.grow(2 * slot)
        part.entries[slot] = entry
        for plane in part.planes.values():  # a row that was used before
            plane.put(slot, np.zeros(plane.codes.shape[1], np.int8))
        for kind, row in vectors.items():
            _put(part, kind, slot, row)
        part.count += 1
        self._contexts[entry] = context

    def attach(self, entry: int, kind: str, row: Code) -> None:
        """Give an entry a further vector; nothing where it has gone meanwhile."""
        context = self._contexts.get(entry)
        if context is not None:
            part = self._parts[context]
            _put(part, kind, part.slot(entry), row)

    def remove(self, entry: int) -> None:
        """Forget an entry; nothing where there is none."""
        context = self._contexts.pop(entry, None)
        if context is None:
            return
        part = self._parts[context]
        slot, last = part.slot(entry), part.count - 1
        part.moves += 1
        if last == 0:
            del self._parts[context]
        part.entries[slot] = part.entries[last]
        for plane in part.planes.values():
            plane.move(last, slot)
        part.count = last
        part.moves += 1

    def keep(self, entries: Iterable[int]) -> int:
        """Forget all but these; how many went."""
        gone = self._contexts.keys() - set(entries)
        for entry in gone:
            self.remove(entry)
        return len(gone)

    def search(self, context: bytes, kind: str, query: Vector, most: int, least: float) -> list[Near]:
        """The entries of a context nearest to ``query`` (of length one) with a cosine of ``least`` or more."""
        for _ in range(TRIES):  # again where rows moved meanwhile
            part = self._parts.get(context)
            plane = None if part is None else part.planes.get(kind)
            if part is None or plane is None or not part.count or plane.codes.shape[1] != len(query):
                return []
            moves = part.moves
            entries = part.entries
            rows, cosines = plane.search(query, part.count, most)
            found = [
                Near(int(entry), float(cosine))
                for entry, cosine in zip(entries[rows], cosines, strict=True)
                if cosine >= least
            ]
            if moves == part.moves and not moves % 2:
                return found
        return []

    def has(self, entry: int, kind: str) -> bool:
        """Whether an entry has a vector of that kind."""
        context = self._contexts.get(entry)
        if context is None:
            return False
        part = self._parts[context]
        plane = part.planes.get(kind)
        return plane is not None and bool(plane.codes[part.slot(entry)].any())


def _put(part: _Part, kind: str, slot: int, row: Code) -> None:
    """Put a vector in, unless it is of another width than the others of its kind: an endpoint's model was exchanged."""
    plane = part.planes.get(kind)
    if plane is None:
        room = len(part.entries)
        plane = part.planes[kind] = _Plane(len(row), room)
        if room > SMALL:
            plane.grow(room)
    if plane.codes.shape[1] == len(row):
        plane.put(slot, row)


def _longer(rows: NDArray[Any], room: int) -> NDArray[Any]:
    longer = np.zeros((room, *rows.shape[1:]), rows.dtype)
    longer[: len(rows)] = rows
    return longer


def _signs(rows: NDArray[np.int8] | Vector) -> NDArray[np.uint64]:
    """A bit a dimension, 64 to a word, the last word filled up with zeros."""
    bits = np.packbits(rows > 0, axis=1)
    padded = np.zeros((len(rows), -(-bits.shape[1] // 8) * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return padded.view(np.uint64)
