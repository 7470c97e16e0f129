"""Whether two answers say the same: what a hit would have been right or wrong by.

Strict on purpose. Calling equal answers different only costs hits; calling different answers equal would teach the judge
that errors are right, so numbers, negations, names and code must agree whatever the rest says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmgw.rules.similarity.features import common_subsequence
from llmgw.rules.similarity.guards import contradicts
from llmgw.rules.similarity.turn import LONGEST, read

if TYPE_CHECKING:
    from llmgw.rules.similarity.turn import Turn

NEAR = 0.9
"""Cosine of two answers' embeddings from which they may say the same."""
SHARED = 0.5
"""Share of the shorter answer's content that the longer must have, where an embedding vouches for the rest."""
ALIKE = 0.8
"""The same share where there is no embedding, each way."""
_SPACE = re.compile(r"\s+")
_MARKS = re.compile(
    r"(?<!\w)[*_]{1,3}(?=\w)|(?<=\w)[*_]{1,3}(?!\w)|^[^\S\n]*(?:#{1,6}|>|[*•-])\s+|`", re.MULTILINE
)
"""What Markdown adds to words; never a sign between two of them."""


def equivalent(one: str, other: str, cosine: float | None = None) -> bool:
    """Whether two answers may stand in for one another; ``cosine`` of their embeddings where there are any. Symmetric."""
    if _plain(one) == _plain(other):
        return True
    bare = [_MARKS.sub(" ", answer) for answer in (one, other)]
    if max(map(len, bare)) > LONGEST:
        return False
    first, second = map(read, bare)
    if not (first.usable and second.usable) or "```" in one or "```" in other or contradicts(first, second):
        return False
    shared = _shared(first, second)
    if cosine is not None:
        return cosine >= NEAR and shared >= SHARED
    return shared >= ALIKE and _shared(second, first) >= ALIKE and _ordered(first, second) >= SHARED


def _plain(answer: str) -> str:
    return _SPACE.sub(" ", _MARKS.sub(" ", answer)).strip().casefold().rstrip(".!")


def _shared(one: Turn, other: Turn) -> float:
    """Share of one answer's content that stands in the other."""
    mine = set(one.content)
    return len(mine & set(other.content)) / max(1, len(mine))


def _ordered(one: Turn, other: Turn) -> float:
    return common_subsequence(one.content, other.content) / max(1, len(one.content), len(other.content))
