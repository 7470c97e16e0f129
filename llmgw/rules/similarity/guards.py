"""Differences that forbid a hit whatever any score says: two turns that differ so are different questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.rules.similarity.lexicon import (
    FILLER,
    FRAMES,
    KIN,
    LINKS,
    OWNERS,
    PERSONS,
    TENSES,
    TOWARDS,
    TURNS_OF_TIME,
    VERBATIM,
)
from llmgw.rules.similarity.opposites import OPPOSED, PREFIXES
from llmgw.rules.similarity.turn import stem

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.rules.similarity.turn import Turn

_OPPOSITES: dict[str, list[tuple[int, int]]] = {}
for _row, _pair in enumerate(OPPOSED):
    for _side, _words in enumerate(_pair):
        for _word in _words:
            _OPPOSITES.setdefault(_word, []).append((_row, _side))


def veto(one: Turn, other: Turn) -> str:
    """Why the answer to one turn must not be served for the other; empty when nothing forbids it. Symmetric."""
    if one.text == other.text:
        return ""
    if not (one.usable and other.usable):
        return "length"
    if one.code or other.code:
        return "code"
    if one.pictures and other.pictures and one.pictures != other.pictures:
        return "picture"  # answers are strewn with them, questions are about them
    return next((reason for reason, differ in _RULES if differ(one, other)), "")


def contradicts(one: Turn, other: Turn) -> bool:
    """Whether two answers differ in anything that two turns may not differ in. Symmetric."""
    return any(differ(one, other) for _, differ in _RULES)


def _numbers(one: Turn, other: Turn) -> bool:
    return one.numbers != other.numbers


def _facets(one: Turn, other: Turn) -> bool:
    return one.facets != other.facets


def _literals(one: Turn, other: Turn) -> bool:
    """Whether code, an address, a quotation or an identifier of one turn stands nowhere in the other."""
    lower, lowered = one.text.lower(), other.text.lower()
    return any(literal not in lowered for literal in one.literals) or any(
        literal not in lower for literal in other.literals
    )


def _negations(one: Turn, other: Turn) -> bool:
    return one.negations != other.negations


def _foreign(one: Turn, other: Turn) -> bool:
    """Whether the languages differ, or none is evident whose words are known here: then only the same words will do."""
    known = {one.language, other.language} - {""}
    return one.tokens != other.tokens and (len(known) != 1 or "other" in known)


def _opposed(one: Turn, other: Turn) -> bool:
    """Whether they name other sides of two opposites, or a word and the same with a prefix that turns it round."""
    left, right = _sides(one.words), _sides(other.words)
    if any(right.get(row, sides) != sides for row, sides in left.items()):
        return True
    if any(left[row] == 3 and _first(one, row) != _first(other, row) for row in left.keys() & right.keys()):
        return True
    mine, theirs = one.words - other.words, other.words - one.words
    return any(
        long in (prefix + short, f"{prefix}-{short}")
        for these, those in ((mine, theirs), (theirs, mine))
        for long in these
        for short in those
        if 2 < len(short) < len(long) and long.endswith(short)
        for prefix in PREFIXES
    )


def _sides(words: frozenset[str]) -> dict[int, int]:
    """Row of opposites to the sides named: 1, 2, or 3 for both."""
    sides: dict[int, int] = {}
    for word in words:
        for row, side in _OPPOSITES.get(word, ()):
            sides[row] = sides.get(row, 0) | 1 << side
    return sides


def _first(turn: Turn, row: int) -> int:
    """Which side of two opposites a turn that names both names first."""
    return next(side for word in turn.tokens for at, side in _OPPOSITES.get(word, ()) if at == row)


def _names(one: Turn, other: Turn) -> bool:
    return not (one.names <= other.stems and other.names <= one.stems)


def _order(one: Turn, other: Turn) -> bool:
    """Whether the same words play other parts: from A to B against from B to A, A before B against B before A."""
    for mine, theirs in ((one.content, other.content), (one.tokens, other.tokens)):
        if mine != theirs and sorted(mine) == sorted(theirs):
            return True
    if len(one.tokens) == len(other.tokens):
        mine, theirs = _cast(one), _cast(other)
        if mine != theirs and sorted(mine) == sorted(theirs):
            return True
    for word in one.parts.keys() & other.parts.keys():
        mine_, theirs_ = one.parts[word], other.parts[word]
        if not (mine_ & theirs_) and (mine_ <= other.stems or theirs_ <= one.stems):
            return True
    names = one.names | other.names
    return len(names) > 1 and (
        [each for each in one.content if each in names] != [each for each in other.content if each in names]
    )


def _cast(turn: Turn) -> tuple[str, ...]:
    """The turn's words in order, each person in one spelling: *I* and *me* are one, who acts is told by the place."""
    return tuple(
        PERSONS.get(token) or TENSES.get(token) or stem(token.removesuffix("'s")) for token in turn.tokens
    )


def _signs(one: Turn, other: Turn) -> bool:
    """Whether both hold operators, and not the same: ``==`` against ``=``."""
    return bool(one.signs and other.signs and one.signs != other.signs)


def _tense(one: Turn, other: Turn) -> bool:
    """Whether the same is asked of another time, or what may be is asked where the other asks what must be."""
    mine, theirs = (
        [word for word in each.content if word not in TENSES and word != "ago"] for each in (one, other)
    )
    questions = {one.question, other.question} - {"", "what"}  # *was* is a question in German only
    if mine != theirs or len(questions) > 1 or any(each.startswith("how") for each in questions):
        return False
    pair = sorted((one.tense, other.tense))
    return " ".join(pair) in TURNS_OF_TIME or ("ago" in one.words) != ("ago" in other.words)


def _people(one: Turn, other: Turn) -> bool:
    """Whether the same is asked about other people, or about somebody else and oneself."""
    if one.words & KIN == other.words & KIN:
        return False
    kin = {stem(word) for word in KIN & (one.words | other.words)}
    return set(one.content) - kin == set(other.content) - kin


def _verbatim(one: Turn, other: Turn) -> bool:
    """Whether words are to be worked on, as for a translation, and not the same: there an ending counts, too."""
    if not (one.words | other.words) & VERBATIM or one.literals:  # what is quoted is compared as it is
        return False
    return _wording(one) != _wording(other)


def _wording(turn: Turn) -> frozenset[str]:
    return frozenset(word for word in turn.words - FILLER - VERBATIM if word[0].isalnum())


def _grammar(one: Turn, other: Turn) -> bool:
    """Whether words of grammar turn the question: whose, how much, which letter; of the same content also who and whither."""
    mine, theirs = one.words - other.words, other.words - one.words
    if any(len(word) == 1 and word.isalpha() and word not in {"a", "i", "s", "t"} for word in mine | theirs):
        return True
    owners, others = ({PERSONS.get(word) for word in each.words & OWNERS} for each in (one, other))
    if owners and others and owners != others:
        return True
    questions = {one.question, other.question}
    if len(questions) == 2 and all(" " in each for each in questions):  # how much, how long
        return True
    if set(one.content) != set(other.content):
        return False
    return (
        (len(questions) == 2 and not questions <= {"", "how", "what"})
        or bool(one.persons and other.persons and not one.persons & other.persons)
        or bool(mine & TOWARDS and theirs & TOWARDS)
        or any(
            (mine & these and theirs & those) or (mine & those and theirs & these) for these, those in LINKS
        )
    )


def _exchange(one: Turn, other: Turn) -> bool:
    """Whether the turns read alike but for one word of content in the same place: another thing is asked about."""
    return any(
        len(places) == 1 and not _respelt(*places[0])
        for left_out in (frozenset(), FRAMES)
        if (places := _places(one, other, left_out)) is not None
    )


def _places(one: Turn, other: Turn, left_out: frozenset[str]) -> list[tuple[str, str]] | None:
    """The words of content that differ place by place; None where there are more in one turn than in the other."""
    ours, theirs = ([word for word in turn.content if word not in left_out] for turn in (one, other))
    if len(ours) != len(theirs):
        return None
    return [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]


def _respelt(one: str, other: str) -> bool:
    """Whether two words of five letters or more are one word, one slip apart: a letter wrong, too many, missing or exchanged."""
    if min(len(one), len(other)) < 5 or one[0] != other[0]:
        return False
    at = next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )
    return (
        one[at + 1 :] == other[at + 1 :]
        or one[at:] == other[at + 1 :]
        or one[at + 1 :] == other[at:]
        or (one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :])
    )


_RULES: tuple[tuple[str, Callable[[Turn, Turn], bool]], ...] = (
    ("number", _numbers),
    ("unit or date", _facets),
    ("literal", _literals),
    ("negation", _negations),
    ("language", _foreign),
    ("opposite", _opposed),
    ("name", _names),
    ("order", _order),
    ("grammar", _grammar),
    ("exchange", _exchange),
    ("sign", _signs),
    ("tense", _tense),
    ("person", _people),
    ("wording", _verbatim),
)
"""The cheapest first; the first that differs gives the reason."""
