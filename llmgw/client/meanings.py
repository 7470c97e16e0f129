"""How the semantic cache fares, in figures: what it serves or would serve, how often that is wrong, what a promise costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.rules.proportions import Interval, interval
from llmgw.storage.meanings import Meanings, Miss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.domain.clock import Nanoseconds
    from llmgw.rules.similarity.judge import Judge
    from llmgw.storage.answers import AnswerStore

PROMISES = (0.005, 0.01, 0.02, 0.05)
NEAR_MISSES = 5


class Offer(Struct, frozen=True, kw_only=True):
    """What one promise would have brought: which share of questions it had served, and how many of those were wrong.

    ``served`` is None before there were any, ``wrong`` where none of them was compared with a fresh answer.
    """

    promise: float
    served: float | None
    wrong: float | None


class Learnt(Struct, frozen=True, kw_only=True):
    """What the judge of one tenant and one embedder has learnt."""

    tenant: str
    embedder: str
    serves: bool
    offers: tuple[Offer, ...]


class Semantic(Struct, frozen=True, kw_only=True):
    """Figures of the semantic cache since a moment.

    ``compared`` counts fresh answers that told whether a hit, served or would-be, was right, ``wrong`` those that said
    no; ``misses`` the same of candidates that were not good enough to serve. Doubtful hits are checked more often than
    others, so in ``wrong_rate`` each counts for as many hits as stand behind it.
    """

    mode: str
    promise: float
    asked: int
    skipped: int
    hits: int
    would_hit: int
    audits: int
    compared: int
    wrong: int
    wrong_rate: float | None
    misses: int
    misses_right: int
    judges: tuple[Learnt, ...]
    near_misses: tuple[Miss, ...]

    @property
    def bounds(self) -> Interval:
        """Where the wrong rate lies, 19 times out of 20."""
        return interval((self.wrong_rate or 0) * self.compared, self.compared)


def semantic(
    answers: AnswerStore, mode: str, promise: float, since: Nanoseconds, tenant: str | None
) -> Semantic:
    """The figures from ``since`` on, of everybody or of one tenant."""
    counters, meanings = answers.counters(since, tenant), Meanings(answers)

    def count(*names: str) -> int:
        return sum(counters.get(f"semantic_{name}", 0) for name in names)

    judges = meanings.judges()
    wrong, right = (count(f"audit_{label}_for", f"would_{label}_for") for label in ("wrong", "right"))
    return Semantic(
        mode=mode,
        promise=promise,
        asked=count("asked"),
        skipped=count("skipped"),
        hits=count("hit"),
        would_hit=count("would_hit"),
        audits=count("audit_right", "audit_wrong"),
        compared=count("audit_right", "audit_wrong", "would_right", "would_wrong"),
        wrong=count("audit_wrong", "would_wrong"),
        wrong_rate=wrong / (wrong + right) if wrong + right else None,
        misses=count("miss_right", "miss_wrong"),
        misses_right=count("miss_right"),
        judges=tuple(
            _learnt(name, state, promise, answers)
            for name, state in judges.items()
            if tenant in {None, name.partition(" ")[2]}
        ),
        near_misses=tuple(meanings.near_misses(since, tenant, NEAR_MISSES)),
    )


def _learnt(name: str, state: bytes, promise: float, answers: AnswerStore) -> Learnt:
    """What a kept judge knows, and what each promise would have brought on the traffic that it saw."""
    from llmgw.rules.similarity.judge import Judge  # noqa: PLC0415 (numpy only where there is something to read)

    embedder, _, tenant = name.partition(" ")
    judge = Judge(promise, embedder, state)
    serves = not math.isinf(judge.risk.threshold)
    scores, counters = Meanings(answers).scores(tenant), answers.counters(tenant=tenant)
    asked = counters.get("semantic_asked", 0)
    judged = min(1.0, counters.get("semantic_judged", 0) / asked) if asked else 0.0
    return Learnt(
        tenant=tenant,
        embedder="static" if embedder == "screen" else embedder,
        serves=serves,
        offers=tuple(_offer(judge, each, scores, judged) for each in PROMISES),
    )


def _offer(judge: Judge, promise: float, scores: Sequence[float], judged: float) -> Offer:
    """The lowest score that keeps a promise, and what lay above it; ``judged`` is the share of questions with a score."""
    risk = judge.risk
    risk.promise = promise
    risk.decide()
    above = [score for score in scores if score >= risk.threshold]
    served = judged * len(above) / len(scores) if scores else None
    if math.isinf(risk.threshold):
        return Offer(promise=promise, served=served, wrong=None)
    lowest = risk.bin(risk.threshold)
    labels = float(risk.labels[lowest:].sum())
    return Offer(
        promise=promise,
        served=served,
        wrong=float(risk.wrong[lowest:].sum()) / labels if labels else None,
    )
