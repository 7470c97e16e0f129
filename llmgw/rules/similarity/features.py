"""A pair of turns in figures: what the verifier sees beside the cosine. All are symmetric in the two turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmgw.rules.similarity.turn import Turn

NAMES = (
    "cosine",
    "content_jaccard",
    "content_overlap",
    "gram_dice",
    "bigram_jaccard",
    "common_order",
    "content_order",
    "prefix",
    "suffix",
    "unmatched_fewer",
    "unmatched_more",
    "unmatched_letters",
    "unmatched_alike",
    "question_same",
    "question_how_what",
    "length_ratio",
    "length",
    "content_length",
)


def pairs(one: Turn, others: Sequence[Turn], cosines: Sequence[float]) -> NDArray[np.float32]:
    """One row of :data:`NAMES` for each of ``others``, shape (len(others), len(NAMES))."""
    return np.array(
        [_pair(one, other, cosine) for other, cosine in zip(others, cosines, strict=True)], np.float32
    )


def _pair(one: Turn, other: Turn, cosine: float) -> tuple[float, ...]:
    mine, theirs = frozenset(one.content), frozenset(other.content)
    left, right = mine - theirs, theirs - mine
    common = len(mine) - len(left)
    fewer, more = sorted((len(left), len(right)))
    letters = sum(map(len, left)) + sum(map(len, right))
    shorter, longer = sorted((len(one.tokens), len(other.tokens)))
    return (
        cosine,
        common / max(1, common + len(left) + len(right)),
        common / max(1, min(len(mine), len(theirs))),
        2 * len(one.grams & other.grams) / max(1, len(one.grams) + len(other.grams)),
        len(one.bigrams & other.bigrams) / max(1, len(one.bigrams | other.bigrams)),
        common_subsequence(one.tokens, other.tokens) / max(1, longer),
        common_subsequence(one.content, other.content) / max(1, min(len(one.content), len(other.content))),
        _same_start(one.tokens, other.tokens) / max(1, longer),
        _same_start(one.tokens[::-1], other.tokens[::-1]) / max(1, longer),
        fewer,
        more,
        letters / max(1, letters + 2 * sum(map(len, mine & theirs))),
        _alike(left, right),
        float(one.question == other.question),
        float({one.question, other.question} == {"how", "what"}),
        shorter / max(1, longer),
        shorter,
        min(len(mine), len(theirs)),
    )


def common_subsequence(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Length of the longest common subsequence, in bits of one integer (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for at, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << at
    full = row = (1 << len(one)) - 1
    for token in other:
        taken = row & places.get(token, 0)
        row = ((row + taken) | (row - taken)) & full
    return len(one) - row.bit_count()


def _same_start(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    same = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        same += 1
    return same


def _alike(left: frozenset[str], right: frozenset[str]) -> float:
    """Share of the fewer unmatched words that begin like one of the other turn's: inflections and slips."""
    if not left or not right:
        return 0.0
    fewer, more = sorted((left, right), key=len)
    heads = {word[:4] for word in more}
    return sum(word[:4] in heads for word in fewer) / len(fewer)
