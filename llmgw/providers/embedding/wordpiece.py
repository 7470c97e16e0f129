"""BERT's uncased WordPiece in plain Python: the same pieces as the tokenizers library, without it."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_WORD = 100
"""Characters; a longer word is unknown, as its training had it."""
LETTERS = 8
"""Characters a piece that are looked at: twice what a piece has on average."""
REMEMBERED = 20_000
"""Words whose pieces are kept, past which the memory starts again, and characters whose folding is."""
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


class _Folding(dict[int, str]):
    """What becomes of each character, worked out when it is first met: it falls away, parts words, or is folded."""

    def __missing__(self, code: int) -> str:
        folded = _fold(chr(code))
        if len(self) < REMEMBERED:
            self[code] = folded
        return folded


def _fold(char: str) -> str:
    if char in "\t\n\r" or unicodedata.category(char) == "Zs":
        return " "
    if char in "\0\ufffd" or unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs"}:
        return ""
    if any(first <= ord(char) <= last for first, last in _IDEOGRAPHS):
        return f" {char} "
    plain = (each for each in unicodedata.normalize("NFD", char) if unicodedata.category(each) != "Mn")
    return "".join(f" {each} " if _parts(each) else each.lower() for each in plain)


def _parts(char: str) -> bool:
    symbol = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    return symbol or unicodedata.category(char).startswith("P")


class WordPiece:
    """Texts into numbers of the vocabulary."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        self._unknown = self._ids["[UNK]"]
        self._folding = _Folding()
        self._known: dict[str, tuple[int, ...]] = {}

    def pieces(self, text: str, most: int) -> list[int]:
        """The pieces of a text without its marks of begin and end, ``most`` of them at most."""
        words = text[: most * LETTERS].translate(self._folding).split()
        known = self._known
        found: list[int] = []
        for word in words:
            pieces = known.get(word)
            if pieces is None:
                pieces = self._split(word)
                if len(known) >= REMEMBERED:
                    known.clear()
                known[word] = pieces
            found += pieces
            if len(found) >= most:
                break
        return found[:most]

    def _split(self, word: str) -> tuple[int, ...]:
        """The longest pieces from the left."""
        if len(word) > LONGEST_WORD:
            return (self._unknown,)
        found, start = [], 0
        while start < len(word):
            end, mark = len(word), "##" if start else ""
            while (piece := self._ids.get(mark + word[start:end])) is None:
                end -= 1
                if end == start:
                    return (self._unknown,)
            found.append(piece)
            start = end
        return tuple(found)
