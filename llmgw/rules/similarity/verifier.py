"""How likely two turns ask for the same answer, by their wording alone: a logistic model over the figures of a pair."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Weights:
    """All that is shipped for one embedder: the verifier, the calibration's prior, and the risk's prior counts."""

    pair: NDArray[np.float64]
    pair_bias: float
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    prior: NDArray[np.float64]

    def logits(self, pairs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log odds of each pair, shape (pairs,)."""
        return np.asarray(pairs @ self.pair + self.pair_bias, np.float64)


@cache
def shipped(embedder: str) -> Weights:
    """The weights for an embedder's cosines; of one that none were trained on, MiniLM's without any trust in their record."""
    weights = load(FOLDER / f"{SHIPPED.get(embedder, 'minilm')}.json")
    if embedder in SHIPPED:
        return weights
    return Weights(
        weights.pair, weights.pair_bias, weights.mean, weights.covariance, np.zeros_like(weights.prior)
    )


def load(path: Path) -> Weights:
    """Read what ``tests/bench/semantic/train.py`` wrote."""
    kept = msgspec.json.decode(path.read_bytes())
    return Weights(
        np.array(kept["pair"]),
        kept["pair_bias"],
        np.array(kept["mean"]),
        np.array(kept["covariance"]),
        np.array(kept["prior"]),
    )
