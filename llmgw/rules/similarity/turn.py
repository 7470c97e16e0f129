"""One turn of a conversation read once: its words, and everything about them that a pair of turns is compared by."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from llmgw.rules.similarity.lexicon import (
    BOUNDS,
    CONTRACTED,
    DIRECTIONS,
    ENGLISH,
    FILLER,
    FOREIGN,
    GERMAN,
    MEASURES,
    NEGATING,
    NEGATIONS,
    NUMBERS,
    PERSONS,
    QUESTIONS,
    SHIFTS,
    SPANS,
    STRICT,
    TENSES,
)
from llmgw.rules.similarity.numerals import numbers

LONGEST = 8_000
"""Characters of a turn that are compared; a longer turn is never answered by another's answer."""

_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’\-][^\W\d_]+)*|[$€£₹¥%°#+*/=<>^]")  # noqa: RUF001
_LITERAL = re.compile(
    r"""```.*?```|`[^`\n]+`|https?://\S+|www\.\S+|(?<![\w.+-])[\w.+-]+@[\w-]+\.\w+   # code, addresses
    |(?<!\w)"[^"\n]{1,80}"(?!\w)|“[^”\n]{1,80}”|„[^“”\n]{1,80}[“”]|«[^»\n]{1,80}»|(?<!\w)'[^'\n]{1,80}'(?!\w)   # quotations
    |(?<![\w])[~.]{0,2}/[\w.-]+(?:/[\w.-]+)*|\b[A-Za-z]:\\\S+   # paths
    |\b\w+(?:[_.]\w+)+\b(?:\(\))?|\b\w+\(\)|\b[a-z]+[A-Z]\w*\b   # identifiers, files, versions
    |(?<!\w)(?:[A-FO]|AB)[+-](?![\w+-])   # grades, blood groups
    |(?<!\w)--?[A-Za-z][\w-]*|\b[A-Za-z]+\+\+|\b[A-Za-z]\#|\b[A-Za-z]*\d[\w.-]*[A-Za-z][\w.-]*|\b[A-Za-z]+-?\d[\w.-]*   # flags, C++, models
    """,
    re.VERBOSE | re.DOTALL,
)
_CODE = re.compile(
    r"```|[{};]\s*$|^[^\S\n]*(?:def|class|import|return|for|if|while|#include|SELECT|const|let|var)\b.*[:;({]",
    re.MULTILINE,
)
_SIGNS = re.compile(
    r"[-+*/^=<>&|~\\@#!]*(?:[+*^<>|~\\]|={2}|=(?!\s*\??\s*$)|&&|//|(?<![^\W\d])/(?![^\W\d]))[-+*/^=<>&|~\\@#!]*|[×÷±¬♭♯]"  # noqa: RUF001
)
"""Operators; not the equals sign that a sum ends with, nor a stroke between words."""
_PICTURES = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")
_BITS = re.compile(r"\b[KMGT]b(?:ps|it|/s)?\b|\b[kKMGT]bit\b")
_FREE = re.compile(r"(?!kosten|gebühr|porto|versand).{4,}frei(?:e[mnrs]?)?")
_PERIODS = ("unit:", "weekday:", "month:", "season:")
_ASKED_OF = {("you",), ("du",), ("sie",), ("ihr",)}
_ENDS = tuple(".!?:;")


_MEANING = "$€£₹¥%°"
"""Signs that are content."""


class Turn(Struct, frozen=True, array_like=True):
    """A turn and what is compared of it; made by :func:`read`. Sets hold stems where a word's ending says nothing."""

    text: str
    tokens: tuple[str, ...]
    content: tuple[str, ...]
    words: frozenset[str]
    stems: frozenset[str]
    numbers: tuple[str, ...]
    negations: int
    facets: frozenset[str]
    names: frozenset[str]
    literals: frozenset[str]
    parts: dict[str, frozenset[str]]
    question: str
    tense: str
    signs: tuple[str, ...]
    pictures: tuple[str, ...]
    persons: frozenset[str]
    language: str
    code: bool
    grams: frozenset[str]
    bigrams: frozenset[tuple[str, str]]

    @property
    def usable(self) -> bool:
        """Whether this turn can be compared at all."""
        return bool(self.tokens) and len(self.text) <= LONGEST


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A word without the endings that only grammar put there (English; German plurals and cases roughly)."""
    for suffix in ("ingly", "edly", "ing", "ied", "ies", "ed", "es", "s", "ly"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            base = word[: -len(suffix)]
            if suffix in {"ied", "ies"}:
                base += "y"
            if suffix in {"ing", "ed"} and len(base) > 3 and base[-1] == base[-2]:
                base = base[:-1]
            return base.rstrip("e") if len(base) > 3 else base
    return word.rstrip("e") if len(word) > 4 else word


def read(text: str) -> Turn:
    """What a turn says, taken apart; about 0.1 ms for a sentence."""
    raw = _WORD.findall(text[:LONGEST])
    tokens = tuple(token.lower().replace("’", "'") for token in raw)  # noqa: RUF001
    content = tuple(
        stem(token) for token in tokens if token not in FILLER and (token[0].isalnum() or token in _MEANING)
    )
    joined = " ".join(tokens)
    return Turn(
        text=text,
        tokens=tokens,
        content=content,
        words=frozenset(tokens),
        stems=frozenset(map(stem, tokens)),
        numbers=numbers(text[:LONGEST], tokens),
        negations=_negations(tokens),
        facets=_facets(text[:LONGEST], tokens),
        names=_names(text[:LONGEST]),
        literals=frozenset(
            match.lower().strip("`'\"“”„«».,?!)") for match in _LITERAL.findall(text[:LONGEST])
        ),
        parts=_parts(tokens),
        question=_question(tokens),
        tense=_tense(tokens),
        signs=tuple(_SIGNS.findall(text[:LONGEST])),
        pictures=tuple(_PICTURES.findall(text[:LONGEST])),
        persons=frozenset(PERSONS[token] for token in tokens if token in PERSONS),
        language=_language(tokens, text),
        code=_CODE.search(text) is not None,
        grams=frozenset(joined[at : at + 3] for at in range(len(joined) - 2)),
        bigrams=frozenset(pairwise(tokens)),
    )


def _negations(tokens: tuple[str, ...]) -> int:
    """How many words negate, alone, with another one, or by their ending."""
    return sum(
        token in NEGATIONS
        or token in CONTRACTED
        or token.endswith(("n't", "-free"))
        or ("frei" in token and _FREE.fullmatch(token) is not None)
        for token in tokens
    ) + sum(pair in NEGATING for pair in pairwise(tokens))


def _facets(text: str, tokens: tuple[str, ...]) -> frozenset[str]:
    """Values of strict facets, and which spans of time are not the present ones."""
    found = {STRICT[token] for token in tokens if token in STRICT}
    for before, after in pairwise(tokens):
        span = STRICT.get(after, after)
        if before in SHIFTS and (after in SPANS or span.startswith(_PERIODS)) and span != "unit:day":
            found.add(f"{SHIFTS[before]} {span}")
    for at, token in enumerate(tokens):
        if token[0].isdigit() or token in NUMBERS:
            words = tokens[max(0, at - 2) : at]
            found.update(BOUNDS[bound] for bound in (" ".join(words), *words[-1:]) if bound in BOUNDS)
    if _BITS.search(text):
        found.add("unit:bit")
    return frozenset(found)


def _names(text: str) -> frozenset[str]:
    """Stems of words written large within a sentence, and of acronyms; none of a text that is written large throughout."""
    matches = [match for match in _WORD.finditer(text) if match[0][0].isalpha()]
    large = [match for match in matches if match[0][0].isupper()]
    if len(large) > 0.6 * len(matches) and len(matches) > 3:
        return frozenset()
    found = set()
    for match in large:
        word = match[0]
        first = match.start() == 0 or _ends_sentence(text[: match.start()])
        if word.lower() not in FILLER and (not first or (len(word) > 1 and word.isupper())):
            found.add(stem(word.lower().replace("’", "'").removesuffix("'s")))  # noqa: RUF001
    return frozenset(found)


def _ends_sentence(before: str) -> bool:
    """Whether a text ends with a sentence or a line."""
    bare = before.rstrip()
    return bare.endswith(_ENDS) or "\n" in before[len(bare) :]


def _parts(tokens: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Of each word of direction, the first word of content after it: who gives, who takes."""
    parts: dict[str, set[str]] = {}
    for at, token in enumerate(tokens):
        if token in DIRECTIONS:
            after = next((stem(other) for other in tokens[at + 1 : at + 4] if other not in FILLER), None)
            if after:
                parts.setdefault(token, set()).add(after)
    return {word: frozenset(after) for word, after in parts.items()}


def _question(tokens: tuple[str, ...]) -> str:
    """The first word of question in one spelling; ``how`` together with what it measures."""
    for at, token in enumerate(tokens):
        if token in QUESTIONS:
            after = tokens[at + 1] if at + 1 < len(tokens) else ""
            return f"how {after}" if QUESTIONS[token] == "how" and after in MEASURES else QUESTIONS[token]
    return ""


def _tense(tokens: tuple[str, ...]) -> str:
    """The first verb of grammar that is no begging for something, as *can you* is."""
    for at, token in enumerate(tokens):
        tense = TENSES.get(token, "")
        after = tokens[at + 1 : at + 4]
        if tense == "is" and {"need", "have"} & set(after) and "to" in tokens[at + 2 : at + 6]:
            return "must"
        if tense and not (after[:1] in _ASKED_OF and tense in {"can", "will"}):
            return tense
    return ""


def _language(tokens: tuple[str, ...], text: str) -> str:
    """``en``, ``de``, ``other``, or empty where a short text of plain letters gives no clue."""
    letters = sum(character.isalpha() for character in text)
    odd = sum(
        character.isalpha() and not (character.isascii() or character in "äöüßÄÖÜé") for character in text
    )
    if odd > 0.1 * letters:
        return "other"
    counts = {
        language: sum(token in words for token in tokens)
        for language, words in (("en", ENGLISH), ("de", GERMAN), ("other", FOREIGN))
    }
    likeliest = max(counts, key=counts.__getitem__)
    if counts[likeliest] == 0:
        return "" if odd == 0 else "other"
    return likeliest if counts[likeliest] >= 0.1 * len(tokens) else "other"
