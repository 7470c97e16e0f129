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
        self.told: bool | None = None

    def lookup(self, prompt: str) -> dict[str, object] | None:
        """What a hit serves; of a miss the entry to compare, the likelier of the two: only one may be."""
        verdict = self.verdict = self.cache.consider(prompt)
        self.told = None
        asked = verdict.other if verdict.likelier else verdict.neighbour
        return asked and {"hit": verdict.hit, "key": asked.entry_id, "audit": verdict.audit}

    def feedback(self, prompt: str, key: int, ok: bool) -> None:
        assert self.verdict is not None
        self.told = ok
        if self.verdict.hit:
            self.cache.judge.learn(self.verdict, ok, self.verdict.weight)

    def store(self, prompt: str, key: int) -> None:
        verdict = self.verdict
        assert verdict is not None
        right, also = (None, self.told) if verdict.likelier else (self.told, None)
        group = self.cache.judge.learn(verdict, right, also=also, fresh=key)
        self.cache.store(prompt, key, key if group is None else group)


def make() -> Adapter:
    return make_minilm()


def make_minilm() -> Adapter:
    return Adapter("minilm")


def make_static() -> Adapter:
    return Adapter("static")
