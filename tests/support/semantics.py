"""A gateway whose semantic cache serves whatever no guard forbids, so that what surrounds the judge can be tested."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import numpy as np
import pytest
from support.caches import Cached

from llmgw.config.caching import Cache, ExactCache, SemanticCache
from llmgw.gates import judging, semantics
from llmgw.rules.similarity.decision import NAMES as FIGURES
from llmgw.rules.similarity.features import NAMES
from llmgw.rules.similarity.judge import Judge, Verdict
from llmgw.rules.similarity.verifier import Weights
from llmgw.service import semantics as service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from llmgw.rules.similarity.decision import Neighbour
    from llmgw.rules.similarity.turn import Turn

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "semcache"


def willing() -> Weights:
    """Every candidate that is not vetoed looks right."""
    figures = np.zeros(len(FIGURES))
    figures[0] = 3.0
    return Weights(np.zeros(len(NAMES)), 0.0, figures, np.eye(len(FIGURES)) * 1e-6, (0.0, -1.0))


class Willing(Judge):
    """Serves whatever is not vetoed, from the first request on."""

    def __init__(self, promise: float, embedder: str, state: bytes | None = None, **chosen: Any) -> None:
        super().__init__(promise, willing(), state, **chosen)

    def consider(self, turn: Turn, neighbours: Sequence[Neighbour]) -> Verdict:
        verdict = super().consider(turn, neighbours)
        if verdict.features is None:
            return verdict
        audit, weight = self._sample(verdict.score)
        return replace(verdict, hit=True, reason="hit", audit=audit, weight=weight)


@pytest.fixture
def willing_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "Judge", Willing)


def semantic_options(mode: str = "on", **changes: Any) -> Cache:
    return Cache(
        exact=ExactCache(),
        semantic=SemanticCache(**{"mode": mode, "embedder": "static", "audit": 0.0, **changes}),
    )


class Semantic(Cached):
    """`ask` sends a question and waits until what follows from it is written down."""

    def __enter__(self) -> Self:
        opened: list[semantics.Semantics] = []
        true = service.open_semantics

        def remember(*given: Any) -> semantics.Semantics:
            opened.append(true(*given))
            return opened[0]

        with patch.object(service, "open_semantics", remember):
            super().__enter__()
            self.until(lambda: bool(opened) and opened[0].ready)
        self.semantic = opened[0]
        return self

    def ask(self, text: str, **changes: Any) -> httpx.Response:
        answer = self.chat(text, **changes)
        self.quiet()
        return answer

    def quiet(self) -> None:
        """Wait until every entry has its vectors and the thread has nothing left to do."""

        def written() -> bool:
            self.semantic._thread.submit(lambda: None).result(10)
            with self.store() as store:
                (missing,) = store.connection.execute(
                    "SELECT count(*) FROM entries LEFT JOIN vectors ON entry_id = id WHERE entry_id IS NULL"
                ).fetchone()
                (kept,) = store.connection.execute("SELECT count(*) FROM vectors").fetchone()
            return not missing and kept == len(self.semantic.index)

        time.sleep(0.02)
        self.until(written)
        self.semantic._thread.submit(lambda: None).result(10)

    @staticmethod
    def until(true: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.005)
