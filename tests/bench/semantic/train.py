"""Make the weights below ``llmgw/rules/similarity``: the pair verifier, the calibration's prior and the risk's.

    python tests/bench/semantic/train.py                         # what ships: minilm.json and static.json
    python tests/bench/semantic/train.py --without bank --out d  # for an honest figure on bank

Reads the development streams bank, clinc and tmpl of ``../shared/data/semcache``; QQP is never read. Numpy only, no
randomness but seeded: the same inputs give the same weights up to the last bits of the processor's arithmetic.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
from streams import CANDIDATES, EMBEDDERS, NEAR, Cache, Embed, Outcome, run, stream, turn

from llmgw.rules.similarity import decision, features
from llmgw.rules.similarity.guards import veto
from llmgw.rules.similarity.judge import Judge
from llmgw.rules.similarity.verifier import FOLDER, Weights

DOMAINS = ("bank", "clinc", "tmpl")
PAIRED = 4_000
"""Prompts of a domain whose pairs train the verifier."""
LENGTH = 6_000
"""Requests of a domain that train the priors."""
ROUNDS = 2
"""How often the priors are made from what a judge with the last ones saw."""
WORTH = 150.0
"""Labels' worth of a domain in the calibration's prior: what the traffic itself must outweigh."""
TRAINING_PROMISE = 0.02
PROVENANCE = (
    "BANKING77 (CC BY 4.0), CLINC150 (CC BY 3.0) and generated templates, the development halves, by "
    "tests/bench/semantic/train.py; without QQP"
)


def pairs(name: str, embed: Embed) -> tuple[np.ndarray, np.ndarray]:
    """The figures of each prompt's nearest neighbours that no guard forbids, and whether their answer is the same."""
    items = stream(name)[:PAIRED]
    vectors = np.stack([embed(item.prompt) for item in items]).astype(np.float32)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    rows, same = [], []
    for at, item in enumerate(items):
        for other in np.argpartition(-cosines[at], CANDIDATES)[:CANDIDATES]:
            one, two, cosine = turn(item.prompt), turn(items[other].prompt), float(cosines[at, other])
            if cosine >= NEAR and not veto(one, two):
                rows.append(features.pairs(one, [two], [cosine])[0])
                same.append(item.answer == items[other].answer)
    return np.array(rows, np.float64), np.array(same, np.float64)


def logistic(
    rows: np.ndarray, right: np.ndarray, weights: np.ndarray, ridge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the weights by Newton's method; ``ridge`` is the precision of each around nought."""
    mean = np.zeros(rows.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(rows @ mean, -30, 30)))
        precision = (rows * (weights * chance * (1 - chance))[:, None]).T @ rows + np.diag(ridge)
        step = np.linalg.solve(precision, rows.T @ (weights * (right - chance)) - ridge * mean)
        mean += step
        if np.abs(step).max() < 1e-8:
            break
    return mean, np.linalg.inv(precision)


def verifier(domains: list[str], embed: Embed) -> tuple[np.ndarray, float]:
    """Weights and bias over raw figures; each domain counts alike."""
    parts = [pairs(name, embed) for name in domains]
    rows, right = (np.concatenate(each) for each in zip(*parts, strict=True))
    weights = np.concatenate([np.full(len(same), 1e4 / len(same)) for _, same in parts])
    centre, scale = rows.mean(0), rows.std(0) + 1e-6
    standard = np.column_stack([(rows - centre) / scale, np.ones(len(rows))])
    mean, _ = logistic(standard, right, weights, np.array([20.0] * rows.shape[1] + [1e-6]))
    pair = mean[:-1] / scale
    return pair, float(mean[-1] - pair @ centre)


def begin() -> tuple[np.ndarray, np.ndarray]:
    """Where the first round begins: near and verified is good, a close rival bad."""
    given = {
        "verifier": 1.0,
        "cosine": 1.0,
        "rival_margin": 0.7,
        "vote": 1.0,
        "size": 0.5,
    }
    return np.array([given.get(name, 0.0) for name in decision.NAMES]), np.eye(len(decision.NAMES)) * 0.5


def fall(outcomes: list[Outcome]) -> tuple[float, float]:
    """How the log odds of being wrong fall with the score: at nought, and a unit; each domain alike."""
    scored = [[(score, right) for _, right, score in outcome.log if score >= 0] for outcome in outcomes]
    rows = np.array([(1.0, score) for each in scored for score, _ in each])
    wrong = np.array([not right for each in scored for _, right in each], float)
    worth = np.concatenate([np.full(len(each), 1e3 / len(each)) for each in scored])
    (at, change), _ = logistic(rows, wrong, worth, np.full(2, 1e-6))
    return float(at), float(change)


def fit(domains: list[str], embed: Embed) -> Weights:
    pair, bias = verifier(domains, embed)
    mean, covariance = begin()
    curve = (0.0, -1.0)
    for turn_ in range(1, ROUNDS + 1):
        weights = Weights(pair, bias, mean, covariance, curve)
        outcomes = []
        for name in domains:
            judge = Judge(TRAINING_PROMISE, weights, chance=random.Random(turn_))
            outcomes.append(run(stream(name, turn_)[:LENGTH], Cache(embed, judge)))
            print(f"round {turn_} {name}: {outcomes[-1].hits} hits, {outcomes[-1].wrong} wrong", flush=True)
        rows = np.concatenate([[figures for figures, _, _ in each.log] for each in outcomes])
        right = np.concatenate([[label for _, label, _ in each.log] for each in outcomes]).astype(float)
        worth = np.concatenate([np.full(len(each.log), WORTH / len(each.log)) for each in outcomes])
        mean, covariance = logistic(rows, right, worth, np.ones(rows.shape[1]))
        curve = fall(outcomes)
    return Weights(pair, bias, mean, covariance, curve)


def write(path: Path, weights: Weights, embedder: str, domains: list[str]) -> None:
    def plain(values: np.ndarray) -> list[object]:
        return np.vectorize(lambda value: float(f"{value:.6g}"))(values).tolist()

    kept = {
        "provenance": f"{', '.join(domains)}: {PROVENANCE}",
        "embedder": embedder,
        "pair_features": list(features.NAMES),
        "decision_features": list(decision.NAMES),
        "pair": plain(weights.pair),
        "pair_bias": float(f"{weights.pair_bias:.6g}"),
        "mean": plain(weights.mean),
        "covariance": plain(weights.covariance),
        "curve": plain(np.array(weights.curve)),
    }
    path.write_text(json.dumps(kept, indent=None, separators=(",", ":")).replace(',"', ',\n"') + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--embedder", choices=list(EMBEDDERS), action="append")
    parser.add_argument("--without", choices=DOMAINS, action="append", default=[])
    parser.add_argument("--out", type=Path, default=FOLDER)
    asked = parser.parse_args()
    used = [name for name in DOMAINS if name not in asked.without]
    for embedder in asked.embedder or EMBEDDERS:
        write(asked.out / f"{embedder}.json", fit(used, EMBEDDERS[embedder]()), embedder, used)
