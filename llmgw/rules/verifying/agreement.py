"""Whether a model says the same when it is asked again, for requests whose results can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.rules.verifying.checks import Finding
from llmgw.rules.verifying.finals import is_short, result_of, same_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.rules.verifying.wish import Wish

LONGEST = 4000
"""Characters of an answer that is asked for again; a longer one takes too long for what it tells."""


def comparable(wish: Wish, text: str) -> bool:
    """Whether it tells anything to ask again."""
    if len(text) > LONGEST or wish.raw or wish.json or wish.wordy:
        return False
    return is_short(text) or result_of(wish.text, text) is not None


def disagreement(wish: Wish, text: str, others: Sequence[str]) -> Finding | None:
    """The finding where fewer than half of the other answers have the same result."""
    same = sum(same_result(wish.text, text, other) is True for other in others)
    if 2 * same >= len(others):
        return None
    return Finding("unsteady", f"asked again, {len(others) - same} of {len(others)} answers were others")
