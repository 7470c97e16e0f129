"""The product's semantic cache behind the interface of ``evaluate.py``.

    PROMISE=0.01 python evaluate.py --part dev --adapter adapter:make --orders 6 --nearmiss 4000

``make`` uses MiniLM, ``make_static`` the shipped table alone; ``WEIGHTS`` names another file of weights, such as one
that was trained without the domain it is measured on.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from streams import EMBEDDERS, Cache

from llmgw.rules.similarity.judge import Judge, Verdict
from llmgw.rules.similarity.verifier import load


class Adapter:
    """One cache; keys are the numbers of its entries."""

    def __init__(self, embedder: str) -> None:
        weights = os.environ.get("WEIGHTS")
        promise = float(os.environ.get("PROMISE", "0.01"))
        chance = random.Random(int(os.environ.get("SEED", "0")))
        judge = Judge(promise, load(Path(weights)) if weights else embedder, chance=chance)
        self.cache = Cache(EMBEDDERS[embedder](), judge)
        self.verdict: Verdict | None = None
        self.group: int | None = None

    def lookup(self, prompt: str) -> dict[str, object] | None:
        """What a hit serves; of a miss the entry to compare, the likelier of the two: only one may be."""
        verdict = self.verdict = self.cache.consider(prompt)
        self.group = None
        asked = verdict.other if verdict.likelier else verdict.neighbour
        return asked and {"hit": verdict.hit, "key": asked.entry_id, "audit": verdict.audit}

    def feedback(self, prompt: str, key: int, ok: bool) -> None:
        verdict = self.verdict
        assert verdict is not None
        if verdict.likelier:
            self.group = self.cache.judge.learn(verdict, None, also=ok)
        else:
            self.group = self.cache.judge.learn(verdict, ok, verdict.weight)

    def store(self, prompt: str, key: int) -> None:
        self.cache.store(prompt, key, key if self.group is None else self.group)


def make() -> Adapter:
    return make_minilm()


def make_minilm() -> Adapter:
    return Adapter("minilm")


def make_static() -> Adapter:
    return Adapter("static")
