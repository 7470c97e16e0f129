"""Which remembered prompts lie near a new one: an index in memory, parted by all that must match exactly.

Each part holds the vectors of the entries of one context digest, in blocks, so that no change ever has to copy much. A
small part is searched whole; a large one by the signs of its vectors first (a bit a dimension), then the best of those by
the vectors themselves. Entries can be removed, and are then gone. Changes come from one thread; searches may run in
another meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Code = NDArray[np.int8]

SMALL = 256
"""Entries up to which a part is searched whole."""
RESCORED = 64
"""How many of the best by their signs are looked at by their vectors."""
TRIES = 3
BLOCK = 4096
"""Entries of a block, at most: one more makes a further block, and nothing that is there moves."""


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
        if room > SMALL:
            self.signs = np.zeros((-(-width // 64), room), np.uint64)

    def grow(self, room: int) -> None:
        before, self.codes = self.codes, _longer(self.codes, room)
        if room > SMALL:
            self.signs = np.ascontiguousarray(_longer(_signs(before), room).T)

    def put(self, slot: int, row: Code) -> None:
        self.codes[slot] = row
        if self.signs is not None:
            self.signs[:, slot] = _signs(row[None])[0]

    def take(self, slot: int, other: _Plane, source: int) -> None:
        """Put a row of another block's plane in."""
        self.codes[slot] = other.codes[source]
        if self.signs is not None and other.signs is not None:
            self.signs[:, slot] = other.signs[:, source]
        elif self.signs is not None:
            self.signs[:, slot] = _signs(self.codes[slot][None])[0]

    def apart(self, mine: NDArray[np.uint64], count: int) -> NDArray[np.uint16]:
        """In how many signs the first ``count`` rows differ."""
        apart = np.zeros(count, np.uint16)
        signs = self.signs if self.signs is not None else np.ascontiguousarray(_signs(self.codes[:count]).T)
        for column, word in zip(signs, mine, strict=True):
            apart += np.bitwise_count(column[:count] ^ word)
        return apart


class _Block:
    """At most ``BLOCK`` entries; the room for them doubles as they come, until they are no longer few."""

    __slots__ = ("count", "entries", "planes")

    def __init__(self, room: int) -> None:
        self.count = 0
        self.entries = np.zeros(room, np.int64)
        self.planes: dict[str, _Plane] = {}

    def append(self, entry: int) -> int:
        """A row for an entry, all of whose vectors are zero."""
        slot = self.count
        if slot == len(self.entries):
            room = 2 * slot if slot < SMALL else BLOCK
            self.entries = _longer(self.entries, room)
            for plane in self.planes.values():
                plane.grow(room)
        self.entries[slot] = entry
        for plane in self.planes.values():  # a row that was used before
            plane.put(slot, np.zeros(plane.codes.shape[1], np.int8))
        self.count += 1
        return slot

    def put(self, kind: str, slot: int, row: Code) -> None:
        """Put a vector in, unless it is of another width than the others: an endpoint's model was exchanged."""
        plane = self.planes.get(kind)
        if plane is None:
            plane = self.planes[kind] = _Plane(len(row), len(self.entries))
        if plane.codes.shape[1] == len(row):
            plane.put(slot, row)

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
            self.planes[kind].put(slot, np.zeros(self.planes[kind].codes.shape[1], np.int8))
        return int(self.entries[slot])


class _Part:
    """The entries of one context; ``moves`` is odd while a row is being moved, and another number afterwards."""

    __slots__ = ("blocks", "moves", "places")

    def __init__(self) -> None:
        self.blocks = [_Block(1)]
        self.places: dict[int, int] = {}
        """By entry: the number of its row, counted through all blocks."""
        self.moves = 0

    def add(self, entry: int, vectors: dict[str, Code]) -> None:
        block = self.blocks[-1]
        if block.count == BLOCK:
            block = _Block(BLOCK)
            self.blocks.append(block)
        slot = block.append(entry)
        for kind, row in vectors.items():
            block.put(kind, slot, row)
        self.places[entry] = (len(self.blocks) - 1) * BLOCK + slot

    def row(self, entry: int) -> tuple[_Block, int]:
        at, slot = divmod(self.places[entry], BLOCK)
        return self.blocks[at], slot

    def remove(self, entry: int) -> None:
        """The very last row takes the place of the one that goes."""
        block, slot = self.row(entry)
        place, last = self.places.pop(entry), self.blocks[-1]
        self.moves += 1
        moved = block.take(slot, last)
        if moved != entry:
            self.places[moved] = place
        if not last.count:
            self.blocks.pop()
        self.moves += 1

    def search(self, kind: str, query: Vector, most: int, least: float) -> list[Near]:
        blocks = [
            (block, plane, count)
            for block in self.blocks
            if (plane := block.planes.get(kind)) is not None
            and plane.codes.shape[1] == len(query)
            and (count := min(block.count, len(plane.codes)))
        ]
        if sum(count for _, _, count in blocks) > SMALL:
            mine = _signs(query[None])[0]
            apart = [plane.apart(mine, count) for _, plane, count in blocks]
            spread = sum(np.bincount(each, minlength=len(query) + 1) for each in apart)
            within = np.searchsorted(np.cumsum(spread), max(RESCORED, 4 * most))
            rows = [np.flatnonzero(each <= within) for each in apart]
        else:
            rows = [np.arange(count) for _, _, count in blocks]
        if not rows:
            return []
        codes = np.concatenate([plane.codes[at] for (_, plane, _), at in zip(blocks, rows, strict=True)])
        entries = np.concatenate([block.entries[at] for (block, _, _), at in zip(blocks, rows, strict=True)])
        codes = codes.astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", codes, codes))
        cosines = (codes @ query) / np.maximum(lengths, 1e-6)
        best = np.argsort(-cosines)[:most]
        return [Near(int(entries[at]), float(cosines[at])) for at in best if cosines[at] >= least]


class VectorIndex:
    """Vectors by context and entry, of as many kinds as there are embedders at work (``screen`` and another one)."""

    def __init__(self) -> None:
        self._parts: dict[bytes, _Part] = {}
        self._contexts: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._contexts)

    def __contains__(self, entry: int) -> bool:
        return entry in self._contexts

    def entries(self) -> NDArray[np.int64]:
        """The numbers of all entries, in any order."""
        blocks = [block for part in self._parts.values() for block in part.blocks]
        return np.concatenate([np.zeros(0, np.int64), *(block.entries[: block.count] for block in blocks)])

    def add(self, context: bytes, entry: int, **vectors: Code) -> None:
        """Put an entry in, or in place of what was there under its number; ``vectors`` by kind, as `code` makes them."""
        if entry in self._contexts:
            self.remove(entry)
        part = self._parts.get(context)
        if part is None:
            part = self._parts[context] = _Part()
        part.add(entry, vectors)
        self._contexts[entry] = context

    def attach(self, entry: int, kind: str, row: Code) -> None:
        """Give an entry a further vector; nothing where it has gone meanwhile."""
        context = self._contexts.get(entry)
        if context is not None:
            block, slot = self._parts[context].row(entry)
            block.put(kind, slot, row)

    def remove(self, entry: int) -> None:
        """Forget an entry; nothing where there is none."""
        context = self._contexts.pop(entry, None)
        if context is not None:
            part = self._parts[context]
            part.remove(entry)
            if not part.blocks:
                del self._parts[context]

    def search(self, context: bytes, kind: str, query: Vector, most: int, least: float) -> list[Near]:
        """The entries of a context nearest to ``query`` (of length one) with a cosine of ``least`` or more."""
        for _ in range(TRIES):  # again where rows moved meanwhile
            part = self._parts.get(context)
            if part is None:
                return []
            moves = part.moves
            found = part.search(kind, query, most, least)
            if moves == part.moves and not moves % 2:
                return found
        return []

    def has(self, entry: int, kind: str) -> bool:
        """Whether an entry has a vector of that kind."""
        context = self._contexts.get(entry)
        if context is None:
            return False
        block, slot = self._parts[context].row(entry)
        plane = block.planes.get(kind)
        return plane is not None and bool(plane.codes[slot].any())


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
