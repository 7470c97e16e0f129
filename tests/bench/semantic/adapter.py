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
        self.right: bool | None = None

    def lookup(self, prompt: str) -> dict[str, object] | None:
        self.verdict, self.right = self.cache.consider(prompt), None
        if self.verdict.neighbour is None:
            return None
        return {"hit": self.verdict.hit, "key": self.verdict.neighbour.entry_id, "audit": self.verdict.audit}

    def feedback(self, prompt: str, key: int, ok: bool) -> None:
        assert self.verdict is not None
        self.right = ok
        if self.verdict.hit:
            self.cache.learn(self.verdict, -1, right=ok)

    def store(self, prompt: str, key: int) -> None:
        group = key
        if self.verdict is not None and self.right is not None:
            group = self.cache.learn(self.verdict, key, right=self.right)
        self.cache.store(prompt, key, group)


def make() -> Adapter:
    return make_minilm()


def make_minilm() -> Adapter:
    return Adapter("minilm")


def make_static() -> Adapter:
    return Adapter("static")
