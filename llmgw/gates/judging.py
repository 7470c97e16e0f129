"""What the semantic cache does in its thread: it reads the file, judges candidates, learns from answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, msgpack

from llmgw.domain.cache import PROMPT_LENGTH, Sighting
from llmgw.domain.chat import Text
from llmgw.domain.clock import Nanoseconds
from llmgw.rules.fingerprint import Asked
from llmgw.rules.rewording import may_reword
from llmgw.rules.similarity.decision import Neighbour
from llmgw.rules.similarity.equivalence import equivalent
from llmgw.rules.similarity.judge import Judge, Verdict
from llmgw.rules.similarity.turn import Turn, read
from llmgw.storage.vectors import VectorIndex, code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from llmgw.domain.cache import Entry
    from llmgw.domain.chat import ChatAnswer
    from llmgw.storage.blocks import Code, Near, Vector
    from llmgw.storage.meanings import Meanings, Remembered

SCREEN = "screen"
"""The kind of the static vectors in the index."""
MOST = 100_000
"""Entries that are known by their wording: memory, and what a lookup costs the event loop, must have a bound."""
NEAR = 0.45
"""Cosine of an embedder's vectors below which an entry is no candidate."""
LOOK_EVERY = 12
"""Rounds of tending after which entries that have gone are looked for in any case."""
ANSWER = 1000
"""Characters of an answer that are embedded to compare it."""
ANSWERS = 256
"""Vectors of answers that are kept: a fresh one is compared with two, a popular one with many."""
TURNS = 1024
"""Turns of entries that are kept read, as bytes: the collector walks their many sets only while one is looked at."""
AT_ONCE = 16
"""Entries that get their vectors in one go."""

_pack = msgpack.Encoder().encode
_unpack = msgpack.Decoder(Turn).decode


class Options(Struct, frozen=True, kw_only=True):
    """What the operator asks for: ``serves`` is False in shadow mode, ``ttl`` nanoseconds, ``audit`` a share of hits."""

    serves: bool
    promise: float
    ttl: Nanoseconds
    audit: float
    candidates: int


@dataclass(slots=True)
class Sight:
    """What one call's prompt looked like, until its answer is there to learn from."""

    tenant: str
    context: bytes
    prompt: str
    at: Nanoseconds
    screen: Code
    vector: Code | None = None
    verdict: Verdict | None = None
    candidate: Remembered | None = None
    other: Remembered | None = None
    seen: Sighting | None = None
    number: int = 0
    audited: bool = False


class Judging:
    """Made and used in one thread; ``index`` is changed on the event loop alone, and only searched here."""

    def __init__(
        self,
        meanings: Meanings,
        options: Options,
        mark: str,
        kind: str,
        embed: Callable[[Sequence[str]], NDArray[np.float32]] | None,
    ) -> None:
        """``mark`` names the static table, ``kind`` the vectors that decide; ``embed`` makes such where that is free."""
        self.meanings = meanings
        self.index = VectorIndex()
        self.judges: dict[str, Judge] = {}
        self._options = options
        self._mark = mark
        self._kind = kind
        self._read = lru_cache(TURNS)(_read)
        self._meaning = lru_cache(ANSWERS)(lambda text: embed([text])[0]) if embed else None
        self._counts: Counter[tuple[str, str]] = Counter()
        self._learnt: set[str] = set()
        self._rounds = 0
        self._read_up_to = meanings.before(MOST)
        self._dropped = 0
        self._stamp = meanings.store.stamp.read()
        self._load()

    def _load(self) -> None:
        context = b""
        for row in self.meanings.rows(self._read_up_to):
            if row.screener != self._mark:
                continue  # by the table of another release
            if row.context != context:
                context = row.context  # one and the same for all that have it
            vectors = {SCREEN: np.frombuffer(row.screen, np.int8)}
            if row.embedder == self._kind and row.vector is not None:
                vectors[self._kind] = np.frombuffer(row.vector, np.int8)
            self.index.add(context, row.entry, **vectors)

    def unread(
        self, now: Nanoseconds, embed: Callable[[str], Vector]
    ) -> list[tuple[int, bytes, Code]] | None:
        """The next few entries without vectors, with their context and what ``embed`` makes of their prompts.

        They were stored while nobody looked, by another table, or lost theirs to damage. None when there are no more.
        """
        meanings = self.meanings
        if self._dropped != meanings.dropped:
            self._dropped, self._read_up_to = meanings.dropped, meanings.before(MOST)
        found = meanings.unread(self._read_up_to, self._mark, AT_ONCE)
        made = []
        for entry, fingerprint in found:
            self._read_up_to = entry
            stored = meanings.store.find(fingerprint, now)
            if stored is not None and may_reword(asked := asked_of(stored.entry)):
                row = code(embed(asked.prompt))
                meanings.keep(entry, self._mark, row.tobytes(), self._kind, None)
                made.append((entry, asked.context, row))
        return made if found else None

    def prompts(self, entries: list[int]) -> list[str]:
        """The wording of entries' prompts."""
        return [self.meanings.prompt(entry) for entry in entries]

    def judge(
        self, sight: Sight, query: Vector | None, near: list[Near]
    ) -> tuple[list[int], Remembered | None]:
        """Entries that have gone meanwhile, and the one whose answer serves."""
        options = self._options
        found = near
        if query is not None:
            found = self.index.search(sight.context, self._kind, query, options.candidates, NEAR)
        there = self.meanings.remembered(sight.context, [each.entry for each in found], sight.at)
        neighbours = [
            Neighbour(each.entry, _unpack(self._read(kept.prompt)), each.cosine, kept.group or each.entry)
            for each in found
            if (kept := there.get(each.entry)) and kept.created_at > sight.at - options.ttl
        ]
        gone = [each.entry for each in found if each.entry not in there]
        if not neighbours:
            return gone, None
        verdict = self._judge_of(sight.tenant).consider(read(sight.prompt), neighbours)
        if verdict.neighbour is None:
            return gone, None
        chosen = there[verdict.neighbour.entry_id]
        sight.verdict, sight.candidate = verdict, chosen
        sight.other = None if verdict.other is None else there[verdict.other.entry_id]
        self._counts["semantic_judged", sight.tenant] += 1
        outcome = verdict.reason
        if verdict.hit:
            outcome = "hit" if options.serves else "would_hit"
            self._counts[f"semantic_{outcome}", sight.tenant] += 1
        sight.seen = Sighting(
            at=sight.at,
            tenant=sight.tenant,
            prompt=sight.prompt,
            entry=chosen.entry,
            other=chosen.prompt,
            cosine=verdict.neighbour.cosine,
            score=verdict.score,
            outcome=outcome,
        )
        return gone, chosen if verdict.hit else None

    def note(self, sight: Sight) -> None:
        """Write down what was judged, once nobody waits for the verdict."""
        if sight.seen is not None:
            sight.number = self.meanings.saw(sight.seen)

    def remember(self, sight: Sight, entry: int, answer: ChatAnswer) -> None:
        """Keep a new entry's vectors; where a candidate was judged, tell the judge whether its answer was right."""
        vector = None if sight.vector is None else sight.vector.tobytes()
        self.meanings.keep(entry, self._mark, sight.screen.tobytes(), self._kind, vector)
        candidate, verdict = sight.candidate, sight.verdict
        if candidate is None or verdict is None or candidate.entry == entry:
            return
        right = self._agrees(candidate, answer, sight.at)
        if right is None:
            return
        also = None if right or sight.other is None else self._agrees(sight.other, answer, sight.at)
        weight = verdict.weight if sight.audited else 1.0
        group = self._judge_of(sight.tenant).learn(verdict, right, weight, also=also, fresh=entry)
        self._learnt.add(sight.tenant)
        self.meanings.told(sight.number, right=right)
        label = "right" if right else "wrong"
        when = "audit" if sight.audited else "would" if verdict.hit else "miss"
        self._counts[f"semantic_{when}_{label}", sight.tenant] += 1
        self._counts[f"semantic_{when}_{label}_for", sight.tenant] += round(weight)
        if also is not None:
            self._counts[f"semantic_other_{'right' if also else 'wrong'}", sight.tenant] += 1
        alike = candidate if right else sight.other if also else None
        if alike is not None and group is not None:
            self.meanings.group([alike.entry, entry], group)

    def _agrees(self, known: Remembered, answer: ChatAnswer, now: Nanoseconds) -> bool | None:
        """Whether a remembered answer says the same as a fresh one; None where it has gone or another took its place."""
        stored = self.meanings.store.find(known.fingerprint, now)
        if stored is None or stored.entry.created_at != known.created_at:
            return None
        return self.same(text_of(stored.answer), text_of(answer))

    def same(self, one: str, other: str) -> bool:
        """Whether two answers say the same; MiniLM is asked only where their words do not settle it."""
        if equivalent(one, other):
            return True
        if self._meaning is None or not equivalent(one, other, 1.0):
            return False
        return equivalent(one, other, float(self._meaning(one[:ANSWER]) @ self._meaning(other[:ANSWER])))

    def _judge_of(self, tenant: str) -> Judge:
        judge = self.judges.get(tenant)
        if judge is None:
            options = self._options
            kept = self.meanings.judge(self._name(tenant))
            judge = Judge(options.promise, self._kind, kept, audit=options.audit)
            self.judges[tenant] = judge
        return judge

    def _name(self, tenant: str) -> str:
        """A judge's name in the file: what one embedder's cosines taught says nothing about another's."""
        return f"{self._kind} {tenant}"

    def settle(self, counts: Counter[tuple[str, str]]) -> bool:
        """Write down counts and what was learnt; whether entries may have gone from the file since it said so last."""
        meanings = self.meanings
        counts, self._counts = counts + self._counts, Counter()
        meanings.count(counts)
        if self._learnt:
            states = {self._name(tenant): self.judges[tenant].snapshot() for tenant in self._learnt}
            self._learnt.clear()
            meanings.keep_judges(states)
        stamp, self._rounds = meanings.store.stamp.read(), self._rounds + 1
        if stamp == self._stamp and self._rounds % LOOK_EVERY:
            return False
        self._stamp = stamp
        return True

    def gone(self, there: Sequence[int]) -> list[int]:
        """Those of the entries that were there which are no longer in the file."""
        kept = np.fromiter(self.meanings.entries(), np.int64)
        return [int(entry) for entry in np.setdiff1d(np.array(there, np.int64), kept)]

    def end(self, counts: Counter[tuple[str, str]]) -> None:
        """The last word."""
        self.settle(counts)
        self.meanings.store.close()


def _read(prompt: str) -> bytes:
    return _pack(read(prompt))


def asked_of(entry: Entry) -> Asked:
    """What an entry was asked as: it has a wording of its own where its context is less than all of it."""
    reworded = entry.context != entry.fingerprint and len(entry.prompt) < PROMPT_LENGTH
    return Asked(entry.fingerprint, entry.context, entry.prompt, reworded)


def text_of(answer: ChatAnswer) -> str:
    """What an answer says, its reasoning left out."""
    return "".join(part.text for part in answer.choices[0].parts if isinstance(part, Text))
