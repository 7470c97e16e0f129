"""The static embedding: a shipped table of one vector a word piece, distilled from MiniLM, read in tens of microseconds.

The vector of a text is the sum of its pieces' vectors, of length one. It knows no word order and is only there to tell
quickly that nothing near is remembered, and to stand in where MiniLM is not installed. The table keeps each vector as
one byte a group of dimensions, the number of the nearest of 256 typical ones, times a length of its own.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from llmgw.providers.embedding.wordpiece import WordPiece

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

TABLE = Path(__file__).with_name("static.npz")
MOST_PIECES = 512
"""Pieces of a text that count; what is said beyond them is not looked at."""


class StaticTable:
    """One vector a piece of ``vocabulary``; made once, in about 60 ms, and read from any thread."""

    name = "static"

    def __init__(self, vectors: NDArray[np.float16], shift: Vector, vocabulary: list[str], mark: str) -> None:
        """``vectors`` is (pieces, width), ``shift`` (width,) what every text's sum begins with.

        ``mark`` tells its vectors from those of another table.
        """
        self.mark = mark
        self._vectors = vectors
        self._shift = shift
        self.pieces = WordPiece(vocabulary)

    @classmethod
    def load(cls, path: Path = TABLE) -> Self:
        """Read a table as ``tests/bench/semantic/distil.py`` writes it."""
        with np.load(path) as file:
            codes, books, lengths, shift = (file[name] for name in ("codes", "books", "lengths", "shift"))
            vocabulary = file["vocabulary"].tobytes().decode().split("\n")
        mark = blake2b(codes.tobytes() + books.tobytes(), digest_size=8).hexdigest()
        groups = [book[codes[:, at]] for at, book in enumerate(books)]
        vectors = np.concatenate(groups, axis=1)[:, : len(shift)] * lengths[:, None]
        return cls(vectors.astype(np.float16), shift.astype(np.float32), vocabulary, mark)

    @property
    def width(self) -> int:
        return len(self._shift)

    def embed(self, text: str) -> Vector:
        """A vector of length one, shape (width,); also for a text without a single known piece."""
        pieces = self.pieces.pieces(text, MOST_PIECES)
        total = self._vectors[pieces].sum(axis=0, dtype=np.float32) + self._shift
        return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)
