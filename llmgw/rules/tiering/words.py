"""The tokens of a prompt that say how hard it is: those of its beginning and its end."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = TAIL = 32
"""Tokens looked at; what is asked stands at the beginning or at the end, and reading everything would cost more."""

HEAD_CHARACTERS = TAIL_CHARACTERS = 200

NUMBER = "0"
"""The token that stands for any number."""

_TOKEN = re.compile(r"\w+|[!-~]|[^\w\s!-~]+")

_CODE_WORDS = """
def python javascript typescript sql regex refactor debug traceback kubernetes dockerfile golang bash json html css
refaktoriere debugge
"""
_MAKE_WORDS = (
    "write implement create develop code schreibe schreib implementiere erstelle entwickle programmiere"
)
_MADE_WORDS = """
function program script class method algorithm tests query
funktion programm skript klasse methode algorithmus abfrage
"""
_CODE, _MAKE, _MADE = (frozenset(words.split()) for words in (_CODE_WORDS, _MAKE_WORDS, _MADE_WORDS))


def tokens(text: str) -> list[str]:
    """Lower-case words, single ASCII marks and runs of other marks, at most ``HEAD`` and ``TAIL`` of them, in order."""
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        found = _TOKEN.findall(text.lower())
        return found if len(found) <= HEAD + TAIL else found[:HEAD] + found[-TAIL:]
    # cut again, as some characters grow when they become lower case
    first = _TOKEN.findall(text[:HEAD_CHARACTERS].lower()[:HEAD_CHARACTERS])
    last = _TOKEN.findall(text[-TAIL_CHARACTERS:].lower()[-TAIL_CHARACTERS:])
    return first[:HEAD] + last[-TAIL:]


def english(found: list[str], glossary: Mapping[str, str]) -> list[str]:
    """The same tokens with any number as ``0`` and words of another language as the glossary has them."""
    return [NUMBER if token.isdecimal() else glossary.get(token, token) for token in found]


def pairs(found: list[str]) -> list[str]:
    """Neighbours, joined by a space."""
    return list(map(" ".join, pairwise(found)))


def size(text: str) -> float:
    """How much a prompt says, in characters of a Latin script; one of a Chinese script says as much as three."""
    if text.isascii():
        return len(text)
    head = text[:HEAD_CHARACTERS]
    bytes_each = len(head.encode("utf-8", "surrogatepass")) / len(head)
    return len(text) * min(3.0, 1.0 + 2.0 * max(0.0, bytes_each - 2.0))


def asks_for_code(found: list[str]) -> bool:
    """Whether the tokens ask for a program or show one."""
    words = set(found)
    return not _CODE.isdisjoint(words) or not (_MAKE.isdisjoint(words) or _MADE.isdisjoint(words))
