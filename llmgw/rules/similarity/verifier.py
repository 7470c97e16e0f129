"""How likely two turns ask for the same answer, by their wording alone: a logistic model over the figures of a pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent
SHIPPED = {"minilm": "minilm", "screen": "static", "static": "static"}
"""Whose cosines the shipped weights were trained on, by the name of the vectors."""
STRANGE = 2.0
"""How many times further than usual an embedder's curve may lie from the shipped one where none was trained on it."""


@dataclass(frozen=True, slots=True)
class Weights:
    """All that is shipped for one embedder: the verifier, the calibration's prior, and how its scores fall out.

    ``curve`` and ``doubt`` are what :class:`Risk` begins with.
    """

    pair: NDArray[np.float64]
    pair_bias: float
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    curve: tuple[float, float]
    doubt: float = 1.0

    def logits(self, pairs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log odds of each pair, shape (pairs,)."""
        return np.asarray(pairs @ self.pair + self.pair_bias, np.float64)


@cache
def shipped(embedder: str) -> Weights:
    """The weights for an embedder's cosines; of one that none were trained on, MiniLM's with little trust in their curve."""
    weights = load(FOLDER / f"{SHIPPED.get(embedder, 'minilm')}.json")
    return weights if embedder in SHIPPED else replace(weights, doubt=STRANGE)


def load(path: Path) -> Weights:
    """Read what ``tests/bench/semantic/train.py`` wrote."""
    kept = msgspec.json.decode(path.read_bytes())
    return Weights(
        np.array(kept["pair"]),
        kept["pair_bias"],
        np.array(kept["mean"]),
        np.array(kept["covariance"]),
        (kept["curve"][0], kept["curve"][1]),
    )
