"""The vectors of a context that has many: in blocks of rows, so that no change ever has to copy much.

They are looked through by their signs first (a bit a dimension), then the best of those by the vectors themselves, in few
calls of numpy: in each of them the interpreter may go to another thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Code = NDArray[np.int8]

SMALL = 256
"""Entries up to which all are looked at."""
RESCORED = 64
"""How many of the best by their signs are looked at by their vectors."""
TRIES = 3
BLOCK = 16_384
"""Entries of a block, at most: one more makes a further block, and nothing that is there moves."""


class Near(NamedTuple):
    entry: int
    cosine: float


def nearest(
    entries: NDArray[np.int64], codes: NDArray[np.int8], query: Vector, most: int, least: float
) -> list[Near]:
    """Of entries with their vectors in rows those nearest to ``query`` (of length one)."""
    exact = codes.astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", exact, exact))
    cosines = (exact @ query) / np.maximum(lengths, 1e-6)
    best = np.argsort(-cosines)[:most]
    return [Near(int(entries[at]), float(cosines[at])) for at in best if cosines[at] >= least]


class _Plane:
    """Vectors in rows, one kind of them, and their signs in columns."""

    __slots__ = ("codes", "signs")

    def __init__(self, width: int, room: int) -> None:
        self.codes = np.zeros((room, width), np.int8)
        self.signs = np.zeros((-(-width // 64), room), np.uint64)

    def grow(self, room: int) -> None:
        self.codes = _longer(self.codes, room)
        before, self.signs = self.signs, np.zeros((len(self.signs), room), np.uint64)
        self.signs[:, : before.shape[1]] = before

    def put(self, slot: int, rows: NDArray[np.int8]) -> None:
        """Put rows in, the first of them there."""
        self.codes[slot : slot + len(rows)] = rows
        self.signs[:, slot : slot + len(rows)] = _signs(rows).T

    def take(self, slot: int, other: _Plane, source: int) -> None:
        """Put a row of another block's plane in."""
        self.codes[slot] = other.codes[source]
        self.signs[:, slot] = other.signs[:, source]

    def apart(self, mine: NDArray[np.uint64], found: NDArray[np.uint16]) -> None:
        """Put into ``found`` in how many signs the first rows differ."""
        unlike = np.bitwise_count(self.signs[:, : len(found)] ^ mine[:, None])
        unlike.sum(axis=0, dtype=np.uint16, out=found)


class _Block:
    """At most ``BLOCK`` entries; the room for them doubles as they come."""

    __slots__ = ("count", "entries", "planes")

    def __init__(self, room: int) -> None:
        self.count = 0
        self.entries = np.zeros(room, np.int64)
        self.planes: dict[str, _Plane] = {}

    def append(self, entry: int) -> int:
        """A row for an entry, all of whose vectors are zero."""
        slot = self.count
        if slot == len(self.entries):
            room = min(2 * slot, BLOCK)
            self.entries = _longer(self.entries, room)
            for plane in self.planes.values():
                plane.grow(room)
        self.entries[slot] = entry
        for plane in self.planes.values():  # a row that was used before
            plane.put(slot, np.zeros((1, plane.codes.shape[1]), np.int8))
        self.count += 1
        return slot

    def put(self, kind: str, slot: int, rows: NDArray[np.int8]) -> None:
        """Put vectors in, unless they are of another width than the others: an endpoint's model was exchanged."""
        plane = self.planes.get(kind)
        if plane is None:
            plane = self.planes[kind] = _Plane(rows.shape[1], len(self.entries))
        if plane.codes.shape[1] == rows.shape[1]:
            plane.put(slot, rows)

    def take(self, slot: int, other: _Block) -> int:
        """Put the last entry of another block, or of this one, into a row; which one it was."""
        other.count -= 1
        last = other.count
        self.entries[slot] = other.entries[last]
        for kind, plane in other.planes.items():
            mine = self.planes.get(kind)
            if mine is None:
                mine = self.planes[kind] = _Plane(plane.codes.shape[1], len(self.entries))
            mine.take(slot, plane, last)
        for kind in self.planes.keys() - other.planes.keys():
            self.planes[kind].put(slot, np.zeros((1, self.planes[kind].codes.shape[1]), np.int8))
        return int(self.entries[slot])


class Many:
    """The entries of one context; ``moves`` is odd while a row is being moved, and another number afterwards."""

    __slots__ = ("_blocks", "_moves", "_places")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._places: dict[int, int] = {}
        """By entry: the number of its row, counted through all blocks."""
        self._moves = 0

    @classmethod
    def of(cls, entries: NDArray[np.int64], vectors: Mapping[str, NDArray[np.int8]]) -> Self:
        """Made of no more than a block's entries, with their vectors in rows by kind."""
        many, block = cls(), _Block(min(2 * len(entries), BLOCK))
        block.count = len(entries)
        block.entries[: len(entries)] = entries
        for kind, rows in vectors.items():
            block.put(kind, 0, rows)
        many._blocks.append(block)
        many._places = {entry: slot for slot, entry in enumerate(entries.tolist())}
        return many

    def __len__(self) -> int:
        return len(self._places)

    def add(self, entry: int, vectors: Mapping[str, Code]) -> None:
        """Put an entry in that is not there."""
        if self._blocks[-1].count == BLOCK:
            self._blocks.append(_Block(BLOCK))
        slot = self._blocks[-1].append(entry)
        self._places[entry] = (len(self._blocks) - 1) * BLOCK + slot
        self.attach(entry, vectors)

    def attach(self, entry: int, vectors: Mapping[str, Code]) -> None:
        """Give an entry further vectors."""
        block, slot = self._row(entry)
        for kind, row in vectors.items():
            block.put(kind, slot, row[None])

    def has(self, entry: int, kind: str) -> bool:
        block, slot = self._row(entry)
        plane = block.planes.get(kind)
        return plane is not None and bool(plane.codes[slot].any())

    def _row(self, entry: int) -> tuple[_Block, int]:
        at, slot = divmod(self._places[entry], BLOCK)
        return self._blocks[at], slot

    def remove(self, entry: int) -> None:
        """The very last row takes the place of the one that goes."""
        block, slot = self._row(entry)
        place, last = self._places.pop(entry), self._blocks[-1]
        self._moves += 1
        moved = block.take(slot, last)
        if moved != entry:
            self._places[moved] = place
        if not last.count:
            self._blocks.pop()
        self._moves += 1

    def search(self, kind: str, query: Vector, most: int, least: float) -> list[Near]:
        """See VectorIndex; nothing where rows move all the time."""
        for _ in range(TRIES):
            moves = self._moves
            found = self._search(kind, query, most, least)
            if moves == self._moves and not moves % 2:
                return found
        return []

    def _search(self, kind: str, query: Vector, most: int, least: float) -> list[Near]:
        blocks = [
            (block, plane, count)
            for block in self._blocks
            if (plane := block.planes.get(kind)) is not None
            and plane.codes.shape[1] == len(query)
            and (count := min(block.count, len(plane.codes), plane.signs.shape[1], len(block.entries)))
        ]
        ends = np.cumsum([0, *(count for _, _, count in blocks)])
        rows = np.arange(ends[-1])
        if len(rows) > SMALL:
            mine = _signs(query[None])[0]
            apart = np.empty(len(rows), np.uint16)
            for (_, plane, _), start, end in zip(blocks, ends, ends[1:], strict=False):
                plane.apart(mine, apart[start:end])
            spread = np.bincount(apart, minlength=len(query) + 1)
            rows = np.flatnonzero(apart <= np.searchsorted(np.cumsum(spread), max(RESCORED, 4 * most)))
        if not len(rows):
            return []
        cuts = np.searchsorted(rows, ends)
        parts = [
            (block, plane, rows[first:last] - start)
            for (block, plane, _), start, first, last in zip(blocks, ends, cuts, cuts[1:], strict=False)
        ]
        entries = np.concatenate([block.entries[at] for block, _, at in parts])
        codes = np.concatenate([plane.codes[at] for _, plane, at in parts])
        return nearest(entries, codes, query, most, least)


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
