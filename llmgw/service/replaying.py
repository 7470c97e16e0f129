"""A workload asked of a caching policy, question by question, without a gateway and without a call upstream.

An answer given for a question of another label is wrong. The exact cache stands before every policy, so what differs
between two of them is what they make of questions that nobody has asked in these words before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from llmgw.domain.money import NanoUSD
from llmgw.rules.proportions import Interval, interval
from llmgw.rules.similarity.equivalence import equivalent
from llmgw.storage.vectors import VectorIndex, code

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmgw.service.workloads import Question

FIXED = (0.92, 0.95, 0.98)
"""Thresholds that others serve by, for comparison."""


class Found(Struct, frozen=True):
    """What a policy found: the number of a question that was stored, whether its answer is served, and checked.

    Where it is not, ``other`` may be another stored question whose answer is worth comparing.
    """

    entry: int
    hit: bool
    audit: bool = False
    other: int | None = None


class Policy(Protocol):
    """Decides on one question after the other; numbers of questions stand for their answers."""

    name: str

    def lookup(self, number: int, question: Question) -> Found | None:
        """The stored question whose answer may serve, if any is near."""

    def learn(self, number: int, right: bool, also: bool | None) -> None:
        """Whether what the last lookup found would have been right: told of every miss and of checked hits.

        ``also`` says the same of the other one where it was not; None where there is none.
        """

    def store(self, number: int, question: Question) -> None:
        """A question was answered upstream."""


class Result(Struct, kw_only=True):
    """How a policy fared; ``wrong`` and ``right`` count semantic hits, of questions with labels.

    ``repeated`` counts questions whose answer was stored already, under whatever wording.
    """

    policy: str
    requests: int
    bypass: int = 0
    exact: int = 0
    semantic: int = 0
    right: int = 0
    wrong: int = 0
    repeated: int = 0
    audits: int = 0
    saved: NanoUSD | None = 0
    p50_us: int = 0
    p99_us: int = 0

    def count(self, found: Found | None, right: bool | None, cost: NanoUSD | None) -> None:
        """A hit; an exact one where a policy found nothing."""
        self.saved = None if cost is None or self.saved is None else self.saved + cost
        if found is None:
            self.exact += 1
            return
        self.semantic += 1
        self.audits += found.audit
        self.right += right is True
        self.wrong += right is False

    @property
    def hit_rate(self) -> float:
        return (self.exact + self.semantic) / self.requests

    @property
    def recall(self) -> float | None:
        """Share of the questions whose answer was there that got it; None where nobody has labelled any."""
        return (self.exact + self.right) / self.repeated if self.repeated else None

    @property
    def wrong_rate(self) -> float | None:
        judged = self.right + self.wrong
        return self.wrong / judged if judged else None

    @property
    def bounds(self) -> Interval | None:
        """Where the wrong rate lies, 19 times out of 20."""
        judged = self.right + self.wrong
        return interval(self.wrong, judged) if judged else None


Same = Callable[["Question", "Question"], bool | None]
"""Whether the answer to one question is right for another; None where nobody knows."""


def same_label(one: Question, other: Question) -> bool | None:
    """By what somebody has said of both."""
    return None if one.label is None or other.label is None else one.label == other.label


def same_answer(one: Question, other: Question) -> bool | None:
    """By the answers that both were given, as the gateway itself compares them."""
    return None if one.answer is None or other.answer is None else equivalent(one.answer, other.answer)


def replay(
    questions: Sequence[Question],
    policy: Policy,
    same: Same = same_label,
    costs: Sequence[NanoUSD | None] = (),
) -> Result:
    """Ask every question in order. ``costs`` are what each would have cost, where that is known."""
    result = Result(policy=policy.name, requests=len(questions))
    exact: set[bytes] = set()
    labels: set[str | None] = set()
    spans: list[int] = []
    for number, question in enumerate(questions):
        if question.passes_by:
            result.bypass += 1
            continue
        began = time.perf_counter_ns()
        hit = question.asked.fingerprint in exact
        asks = question.asked.reworded and not hit
        found = policy.lookup(number, question) if asks else None
        spans.append(time.perf_counter_ns() - began)
        result.repeated += question.label is not None and (hit or question.label in labels)
        right = None if found is None else same(questions[found.entry], question)
        if found is not None and right is not None and (found.audit or not found.hit):
            other = None if right or found.other is None else questions[found.other]
            policy.learn(number, right, None if other is None else same(other, question))
        if hit or (found is not None and found.hit):
            result.count(found, right, costs[number] if costs else None)
            continue
        if asks:
            policy.store(number, question)
        exact.add(question.asked.fingerprint)
        labels.add(question.label)
    spans.sort()
    if spans:
        result.p50_us, result.p99_us = spans[len(spans) // 2] // 1000, spans[len(spans) * 99 // 100] // 1000
    return result


class ExactOnly:
    """Serves nothing but the very same question."""

    name = "exact"

    def lookup(self, number: int, question: Question) -> Found | None:  # noqa: ARG002
        return None

    def learn(self, number: int, right: bool, also: bool | None) -> None:
        pass

    def store(self, number: int, question: Question) -> None:
        pass


class FixedThreshold:
    """Serves whatever lies nearer than one cosine, as most semantic caches do."""

    def __init__(self, vectors: NDArray, threshold: float) -> None:  # type: ignore[type-arg]
        """``vectors`` holds one of length one for each question, shape (questions, width)."""
        self.name = f"cosine {threshold}"
        self._vectors = vectors
        self._threshold = threshold
        self._index = VectorIndex()

    def lookup(self, number: int, question: Question) -> Found | None:
        near = self._index.search(question.asked.context, "it", self._vectors[number], 1, self._threshold)
        return Found(near[0].entry, hit=True) if near else None

    def learn(self, number: int, right: bool, also: bool | None) -> None:
        pass

    def store(self, number: int, question: Question) -> None:
        self._index.add(question.asked.context, number, it=code(self._vectors[number]))
