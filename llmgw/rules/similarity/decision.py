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
    "bias", "verifier", "cosine", "second_best", "rival_margin", "other_margin", "vote", "members", "size", "record", "vetoed",
    "groups", "verifier_mean", "singleton",
)  # fmt: skip
SHARPNESS = 14.0
"""How fast a neighbour's vote falls with its distance."""
FLOOR = 0.45
"""Cosine below which nothing counts as a neighbour."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A stored entry near the turn asked: its own turn, the cosine of the two and its answer's group."""

    entry_id: int
    turn: Turn
    cosine: float
    group: int


def choose(neighbours: Sequence[Neighbour], logits: NDArray[np.float64], vetoes: Sequence[str]) -> int | None:
    """Index of the likeliest neighbour: of the group with most votes that has one without a veto, the best verified."""
    votes: dict[int, float] = {}
    for each in neighbours:
        votes[each.group] = votes.get(each.group, 0.0) + math.exp(SHARPNESS * each.cosine)
    open_ = [at for at, reason in enumerate(vetoes) if not reason]
    if not open_:
        return None
    return max(open_, key=lambda at: (votes[neighbours[at].group], logits[at]))


def describe(
    chosen: int,
    neighbours: Sequence[Neighbour],
    logits: NDArray[np.float64],
    vetoes: Sequence[str],
    groups: Groups,
) -> NDArray[np.float64]:
    """The figures of :data:`NAMES` for the chosen neighbour."""
    group = neighbours[chosen].group
    record = groups.get(group)
    cosines = np.array([each.cosine for each in neighbours])
    mine = np.array([each.group == group for each in neighbours])
    own = np.sort(cosines[mine])[::-1]
    rival = max((each.cosine for each in neighbours if each.group in record.rivals), default=FLOOR)
    other = max(
        (each.cosine for each in neighbours if each.group != group and each.group not in record.rivals),
        default=FLOOR,
    )
    votes = np.exp(SHARPNESS * (cosines - cosines.max()))
    count = int(mine.sum())
    return np.array(
        [
            1.0,
            logits[chosen] / 3,
            4 * (own[0] - 0.8),
            4 * ((own[1] if count > 1 else FLOOR) - 0.7),
            4 * (own[0] - rival),
            4 * (own[0] - other),
            2 * float(votes[mine].sum() / votes.sum()) - 1,
            count / 4 - 1,
            math.log1p(record.right) / 2 - 1,
            math.log((record.right + 1) / (record.wrong + 0.5)) / 2,
            sum(bool(vetoes[at]) for at in range(len(neighbours)) if mine[at]) / count,
            len({each.group for each in neighbours}) / 4 - 1,
            float(np.mean(logits[mine])) / 3,
            float(record.right == 0),
        ]
    )
