"""A candidate among its neighbours in figures: what the calibration learns from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmgw.rules.similarity.groups import Groups
    from llmgw.rules.similarity.turn import Turn

NAMES = (
    "bias", "verifier", "cosine", "rival_margin", "other_margin", "vote", "rival_vote", "members", "size", "record", "surplus",
    "cover", "cover_margin",
)  # fmt: skip
SHARPNESS = 14.0
"""How fast a neighbour's vote falls with its distance."""
FLOOR = 0.45
"""Cosine below which nothing counts as a neighbour."""
GROUPS = 2
"""Groups whose best neighbour is looked at closely."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A stored entry near the turn asked: its own turn, the cosine of the two and its answer's group."""

    entry_id: int
    turn: Turn
    cosine: float
    group: int


def choose(neighbours: Sequence[Neighbour], logits: NDArray[np.float64], vetoes: Sequence[str]) -> list[int]:
    """Indices of the neighbours worth a closer look: the best verified one of each group with most votes, none with a veto."""
    votes: dict[int, float] = {}
    best: dict[int, int] = {}
    for at, each in enumerate(neighbours):
        votes[each.group] = votes.get(each.group, 0.0) + math.exp(SHARPNESS * each.cosine)
        if not vetoes[at] and (each.group not in best or logits[at] > logits[best[each.group]]):
            best[each.group] = at
    return [best[group] for group in sorted(best, key=votes.__getitem__, reverse=True)[:GROUPS]]


def describe(
    turn: Turn,
    chosen: int,
    neighbours: Sequence[Neighbour],
    logits: NDArray[np.float64],
    groups: Groups,
) -> NDArray[np.float64]:
    """The figures of :data:`NAMES` for the chosen neighbour of a turn."""
    group = neighbours[chosen].group
    record = groups.get(group)
    own = [each for each in neighbours if each.group == group]
    others = [each for each in neighbours if each.group != group]
    rivals = [each for each in others if each.group in record.rivals]
    cosine = max(each.cosine for each in own)
    rival = max((each.cosine for each in rivals), default=FLOOR)
    other = max((each.cosine for each in others if each.group not in record.rivals), default=FLOOR)
    votes = _votes(neighbours)
    cover = _cover(turn, own)
    return np.array(
        [
            1.0,
            logits[chosen] / 3,
            4 * (cosine - 0.8),
            4 * (cosine - rival),
            4 * (cosine - other),
            2 * _votes(own) / votes - 1,
            _votes(rivals) / votes,
            len(own) / 4 - 1,
            math.log1p(record.right) / 2 - 1,
            math.log((record.right + 1) / (record.wrong + 0.5)) / 2,
            record.surplus / (1 + record.spread),
            2 * cover - 1,
            cover - _cover(turn, others),
        ]
    )


def _votes(neighbours: Sequence[Neighbour]) -> float:
    return sum(math.exp(SHARPNESS * each.cosine) for each in neighbours)


def _cover(turn: Turn, neighbours: Sequence[Neighbour]) -> float:
    """Share of the turn's three-letter sequences that stand in any of the neighbours."""
    there: frozenset[str] = frozenset().union(*(each.turn.grams for each in neighbours))
    return len(turn.grams & there) / max(1, len(turn.grams))
