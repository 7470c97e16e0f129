"""How the semantic cache fares, in figures: what it serves or would serve, how often that is wrong, what a promise costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from llmgw.rules.proportions import interval
from llmgw.storage.meanings import Meanings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.domain.clock import Nanoseconds
    from llmgw.rules.proportions import Interval
    from llmgw.rules.similarity.judge import Judge
    from llmgw.storage.answers import AnswerStore

PROMISES = (0.005, 0.01, 0.02, 0.05)
NEAR_MISSES = 5


class Offer(Struct, frozen=True, kw_only=True):
    """What one promise would have brought: which share of questions it had served, and how many of those were wrong."""

    max_error: float
    served: Annotated[float | None, Meta(description="null before there were any questions")]
    wrong: Annotated[float | None, Meta(description="null where none was compared with a fresh answer")]


class Learnt(Struct, frozen=True, kw_only=True):
    """What the judge of one tenant and one embedder has learnt."""

    tenant: str
    embedder: str
    serves: bool
    offers: tuple[Offer, ...]


class NearMiss(Struct, frozen=True, kw_only=True):
    """A remembered prompt that other wordings came near to without being served."""

    id: int
    remembered: str
    asked: str
    reason: str
    cosine: float
    times: int
    compared: int
    right: int


class Semantic(Struct, frozen=True, kw_only=True):
    """Figures of the semantic cache.

    ``compared`` counts fresh answers that told whether a hit, served or would-be, was right, ``wrong`` those that said
    no; ``misses_compared`` the same of candidates that were not good enough to serve. Doubtful hits are checked more
    often than others, so in ``wrong_rate`` each counts for as many hits as stand behind it; 19 times out of 20 the true
    one lies between ``wrong_low`` and ``wrong_high``.
    """

    mode: str
    max_error: float
    asked: int
    skipped: int
    hits: int
    would_hit: int
    audits: int
    compared: int
    wrong: int
    wrong_rate: float | None
    wrong_low: float | None
    wrong_high: float | None
    misses_compared: int
    misses_right: int
    verdict: str
    judges: tuple[Learnt, ...]
    near_misses: tuple[NearMiss, ...]


def semantic(
    answers: AnswerStore, mode: str, promise: float, since: Nanoseconds, tenant: str | None
) -> Semantic:
    """The figures from ``since`` on, of everybody or of one tenant."""
    counters, meanings = answers.counters(since, tenant), Meanings(answers)

    def count(*names: str) -> int:
        return sum(counters.get(f"semantic_{name}", 0) for name in names)

    judges = tuple(
        _learnt(name, state, promise, answers)
        for name, state in meanings.judges().items()
        if tenant in {None, name.partition(" ")[2]}
    )
    wrong, right = (count(f"audit_{label}_for", f"would_{label}_for") for label in ("wrong", "right"))
    rate = wrong / (wrong + right) if wrong + right else None
    compared = count("audit_right", "audit_wrong", "would_right", "would_wrong")
    bounds = interval((rate or 0) * compared, compared)
    return Semantic(
        mode=mode,
        max_error=promise,
        asked=count("asked"),
        skipped=count("skipped"),
        hits=count("hit"),
        would_hit=count("would_hit"),
        audits=count("audit_right", "audit_wrong"),
        compared=compared,
        wrong=count("audit_wrong", "would_wrong"),
        wrong_rate=None if rate is None else round(rate, 4),
        wrong_low=None if rate is None else round(bounds.low, 4),
        wrong_high=None if rate is None else round(bounds.high, 4),
        misses_compared=count("miss_right", "miss_wrong"),
        misses_right=count("miss_right"),
        verdict=_verdict(mode, promise, count("asked"), judges, bounds if compared else None),
        judges=judges,
        near_misses=tuple(
            NearMiss(
                id=each.entry,
                remembered=each.other,
                asked=each.prompt,
                reason=each.reason,
                cosine=round(each.cosine, 4),
                times=each.times,
                compared=each.compared,
                right=each.right or 0,
            )
            for each in meanings.near_misses(since, tenant, NEAR_MISSES)
        ),
    )


def _verdict(mode: str, promise: float, asked: int, judges: Sequence[Learnt], bounds: Interval | None) -> str:
    """Whether the promise can be kept on this traffic, in words; ``bounds`` of the wrong rate where it was compared."""
    said = f"{promise:.1%}"
    if mode == "off":
        return "it is off; `llmgw config set cache.semantic.mode shadow` lets it watch"
    if not asked:
        return "it has seen no question yet that it could answer"
    if not judges:
        return "no question has come near a remembered one yet"
    safe = [each for each in judges if each.serves]
    if not safe:
        return f"this traffic does not allow a promise of {said}: it serves nothing"
    of = "" if len(safe) == len(judges) else f" for {len(safe)} of {len(judges)} tenants"
    if bounds is None:
        return (
            f"a promise of {said} can be kept{of}, by what it knew beforehand; nothing has been compared yet"
        )
    if bounds.high <= promise:
        return f"the promise of {said} is kept{of}"
    if bounds.low > promise:
        return f"the promise of {said} is broken{of}: too many were wrong, and it now asks for more likeness"
    return f"a promise of {said} can be kept{of} as far as is known; more comparisons would tell"


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
        return Offer(max_error=promise, served=served, wrong=None)
    lowest = risk.bin(risk.threshold)
    labels = float(risk.labels[lowest:].sum())
    return Offer(
        max_error=promise,
        served=served,
        wrong=float(risk.wrong[lowest:].sum()) / labels if labels else None,
    )
