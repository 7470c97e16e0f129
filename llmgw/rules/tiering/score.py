"""How much better a premium model would answer a prompt than a modest one: a sum of terms that can be shown.

The gain is the rise in the chance of a good answer, -1 to 1. It is linear in the prompt's length, in whether it asks for
code, and in its words (idf of one and two tokens over their norm, ridge regression), so that the terms add up to the
score. Trained by ``tests/bench/router/train.py``; the weights name their data. Words of a language that neither the
weights nor the glossary know weigh nothing and thin out the others: what remains is length and structure.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from math import log1p, sqrt
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.rules.tiering.words import NUMBER, asks_for_code, size, tokens

if TYPE_CHECKING:
    from typing import Any

SHOWN = 6
"""Words that a score names; the others are one term."""

Term = tuple[str, float]

Features = tuple[float, float, float, float]
"""What learning looks at: the parts of the gain that length, code and words make, and the premium model's chance."""


class Score(Struct, frozen=True):
    """``gain`` is the sum of ``terms``; ``premium`` the chance that a premium model answers well.

    The first three terms are ``usual``, ``length`` and ``code``; the others are words.
    """

    gain: float
    premium: float
    terms: tuple[Term, ...]

    @property
    def features(self) -> Features:
        (_, length), (_, code) = self.terms[1:3]
        return length, code, sum(value for _, value in self.terms[3:]), self.premium

    @property
    def modest(self) -> float:
        """The chance that a modest model answers well."""
        return min(1.0, max(0.0, self.premium - self.gain))


class Weights(Struct, frozen=True, kw_only=True):
    """What training writes. A pair of numbers is the weight for the gain and for the premium model's chance.

    ``words`` maps a token, or two with a space between, to its idf and the two weights. ``mean`` and ``deviation``
    standardise the log of the length; ``stranger`` is what a word that nobody knows adds to the norm, as an idf.
    ``usual`` are gains evenly through those of the training prompts, for a dial that has seen no requests yet.
    """

    provenance: str
    bias: tuple[float, float]
    length: tuple[float, float]
    code: tuple[float, float]
    mean: float
    deviation: float
    stranger: float
    usual: tuple[float, ...]
    words: dict[str, tuple[float, float, float]]


class Model:
    """Weights laid out for reading: immutable, shared by every request."""

    def __init__(self, weights: Weights, glossary: dict[str, str]) -> None:
        self.weights = weights
        grams = sorted(weights.words, key=lambda gram: -abs(weights.words[gram][0] * weights.words[gram][1]))
        numbers = {gram: at for at, gram in enumerate(grams)}  # in the order in which a score names them
        following: dict[str, dict[int, int]] = {word: {} for word in numbers if " " not in word}
        for gram, at in numbers.items():
            left, _, right = gram.partition(" ")
            if right:
                following[left][numbers[right]] = at
        self._tokens = {word: (numbers[word], pairs) for word, pairs in following.items()}
        for foreign, word in glossary.items():
            if word in self._tokens:
                self._tokens.setdefault(foreign, self._tokens[word])
        self._names = [f"words `{gram}`" if " " in gram else f"word `{gram}`" for gram in grams]
        rows = [weights.words[gram] for gram in grams]
        self._squares = [idf * idf for idf, _, _ in rows]
        self._gains = [idf * gain for idf, gain, _ in rows]
        self._premiums = [idf * premium for idf, _, premium in rows]
        self._stranger = weights.stranger**2

    def read(self, found: list[str]) -> tuple[set[int], float]:
        """The numbers of the known grams among tokens, the weightiest lowest, and the norm that divides their idf."""
        known = self._tokens.get
        seen: set[int] = set()
        add = seen.add
        strangers = 0
        following: dict[int, int] = {}
        for token in found:
            entry = known(token)
            if entry is None:
                entry = known(NUMBER) if token.isdecimal() else None
                if entry is None:
                    strangers += 1
                    following = {}
                    continue
            at, pairs = entry
            add(at)
            if at in following:
                add(following[at])
            following = pairs
        square = sum(map(self._squares.__getitem__, seen)) + strangers * self._stranger
        return seen, sqrt(square) or 1.0

    def length(self, text: str) -> float:
        """The standardised log of the length, -3 to 3."""
        return min(3.0, max(-3.0, (log1p(size(text)) - self.weights.mean) / self.weights.deviation))

    def score(self, text: str) -> Score:
        """The score of a prompt's last user turn; some 30 µs, whatever its length."""
        weights, gains = self.weights, self._gains
        found = tokens(text)
        seen, norm = self.read(found)
        length = self.length(text)
        code = 1.0 if asks_for_code(found) else 0.0
        ranked = sorted(seen)
        terms = [
            ("usual", weights.bias[0]),
            ("length", weights.length[0] * length),
            ("code", weights.code[0] * code),
        ]
        terms += [(self._names[at], gains[at] / norm) for at in ranked[:SHOWN]]
        if len(ranked) > SHOWN:
            terms.append(("other words", sum(map(gains.__getitem__, ranked[SHOWN:])) / norm))
        premium = sum(map(self._premiums.__getitem__, seen)) / norm
        premium += weights.bias[1] + weights.length[1] * length + weights.code[1] * code
        return Score(sum(value for _, value in terms), min(1.0, max(0.0, premium)), tuple(terms))


@cache
def shipped() -> Model:
    """The model that comes with the package; read once, in some 30 ms."""
    room = files("llmgw.rules.tiering")
    raw: dict[str, Any] = json.loads((room / "weights.json").read_bytes())
    for name in ("bias", "length", "code", "usual"):
        raw[name] = tuple(raw[name])
    raw["words"] = {gram: tuple(numbers) for gram, numbers in raw["words"].items()}
    return Model(Weights(**raw), glossary())


@cache
def glossary() -> dict[str, str]:
    """Words of other languages and the English words that weigh for them."""
    entries: dict[str, str] = json.loads((files("llmgw.rules.tiering") / "glossary.json").read_bytes())
    return entries
