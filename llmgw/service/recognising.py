"""The semantic cache without a gateway: the same tables, index, guards and judge, one question after the other."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

import numpy as np

from llmgw.gates.judging import NEAR, SCREEN
from llmgw.gates.semantics import LATE_READ, SCREENED
from llmgw.rules.rewording import may_reword
from llmgw.rules.similarity.decision import Neighbour
from llmgw.rules.similarity.judge import Judge, Verdict
from llmgw.rules.similarity.turn import Turn, read
from llmgw.service.replaying import Found
from llmgw.storage.vectors import VectorIndex, code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmgw.providers.embedding.static import StaticTable
    from llmgw.service.workloads import Question


class Embedder(Protocol):
    """What decides behind the static table."""

    name: str

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length one a text."""


class Recogniser:
    """A policy that serves what its judge lets it; the same ``seed`` checks the same hits again."""

    def __init__(
        self,
        promise: float,
        table: StaticTable,
        embedder: Embedder | None,
        *,
        audit: float = 0.03,
        candidates: int = 12,
        seed: int = 0,
    ) -> None:
        """Without an ``embedder`` the table decides alone."""
        self._kind = SCREEN if embedder is None else embedder.name
        self.name = f"semantic {promise:g}"
        self._judge = Judge(promise, self._kind, audit=audit, chance=random.Random(seed))  # noqa: S311 (samples)
        self._table = table
        self._embedder = embedder
        self._candidates = candidates
        self._index = VectorIndex()
        self._turns: dict[int, Turn] = {}
        self._groups: dict[int, int] = {}
        self._verdict: Verdict | None = None
        self._group: int | None = None
        self._vectors: dict[str, NDArray[np.int8]] = {}

    def lookup(self, number: int, question: Question) -> Found | None:
        asked = question.asked
        self._verdict, self._group, self._vectors = None, None, {}
        if not may_reword(asked):
            return None
        vector = self._table.embed(asked.prompt)
        self._vectors[SCREEN] = code(vector)
        near = self._index.search(asked.context, SCREEN, vector, self._candidates, SCREENED)
        if not near:
            return None
        if self._embedder is not None:
            unread = [each.entry for each in near if not self._index.has(each.entry, self._kind)][:LATE_READ]
            query, *late = self._embedder.embed(
                [asked.prompt, *(self._turns[entry].text for entry in unread)]
            )
            for entry, each in zip(unread, late, strict=True):
                self._index.attach(entry, self._kind, code(each))
            self._vectors[self._kind] = code(query)
            near = self._index.search(asked.context, self._kind, np.asarray(query), self._candidates, NEAR)
        turn = self._turns[number] = read(asked.prompt)
        neighbours = [
            Neighbour(each.entry, self._turns[each.entry], each.cosine, self._groups[each.entry])
            for each in near
        ]
        self._verdict = verdict = self._judge.consider(turn, neighbours)
        if verdict.neighbour is None:
            return None
        other = None if verdict.other is None else verdict.other.entry_id
        return Found(verdict.neighbour.entry_id, verdict.hit, verdict.audit, other)

    def learn(self, number: int, right: bool, also: bool | None) -> None:
        if self._verdict is not None:
            weight = self._verdict.weight
            self._group = self._judge.learn(self._verdict, right, weight, also=also, fresh=number)

    def store(self, number: int, question: Question) -> None:
        if not self._vectors:
            return
        self._turns.setdefault(number, read(question.asked.prompt))
        self._groups[number] = number if self._group is None else self._group
        self._index.add(question.asked.context, number, **self._vectors)
