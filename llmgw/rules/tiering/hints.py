"""What callers do after an answer, and what that says of it; of a conversation only numbers are kept, and no text."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds

FEEDBACK, REGENERATION, ESCALATION, BROKEN = "feedback", "regeneration", "escalation", "broken"

WEIGHTS = {FEEDBACK: 1.0, ESCALATION: 0.3, REGENERATION: 0.2, BROKEN: 0.1}
"""How far each source of outcomes is believed, in outcomes that somebody has told."""

WINDOW = 600 * 1_000_000_000
"""Nanoseconds after an answer in which what its caller does may be about it."""

PATIENCE = 2
"""How often people ask the same again; who does it more often is a program that asks for its own reasons."""

MOST = 10_000
"""Conversations whose last answer is remembered."""


class Hint(Struct, frozen=True):
    """An answer that was not good enough, and how that showed."""

    request_id: int
    source: str


class _Answered(Struct):
    """The last answers to one question; ``told`` are those of which something was said, ``times`` counts asking again."""

    question: int
    rank: int
    request_id: int
    ended: Nanoseconds
    told: list[int]
    times: int = 0


class Hints:
    """The last answer of each conversation whose tier the router chose, for as long as something may be learnt of it."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, _Answered] = OrderedDict()
        self._callers: dict[int, Nanoseconds] = {}

    def expects(self, caller: int, now: Nanoseconds) -> bool:
        """Whether a caller has had such an answer of late."""
        until = self._callers.get(caller)
        if until is not None and until < now:
            del self._callers[caller]
            return False
        return until is not None

    def answered(
        self,
        caller: int,
        conversation: int,
        question: int,
        request_id: int,
        rank: int,
        begun: Nanoseconds,
        now: Nanoseconds,
    ) -> tuple[Hint | None, list[int]]:
        """An answer was given: what it says of the one before, and whose hints do not hold after all.

        ``question`` is the same for the same words after the same ones, ``rank`` that of the tier. Asked while the first
        answer was under way it says nothing, nor does a question that is asked again and again.
        """
        known = self._known.get(conversation)
        hint, void = None, list[int]()
        if known is None or known.question != question or now - known.ended > WINDOW:
            known = self._known[conversation] = _Answered(question, rank, request_id, now, [])
        else:
            known.times += 1
            if known.times > PATIENCE:
                void, known.told = known.told, []
            elif begun >= known.ended and known.request_id not in known.told:
                hint = Hint(known.request_id, REGENERATION)
                known.told.append(known.request_id)
            known.request_id, known.rank, known.ended = request_id, rank, now
        self._known.move_to_end(conversation)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        self._callers[caller] = now + WINDOW
        if len(self._callers) > MOST:
            self._callers.pop(next(iter(self._callers)))
        return hint, void

    def forced(self, conversation: int, rank: int, begun: Nanoseconds) -> Hint | None:
        """The caller has named a model for a conversation: what that says of its last answer, if the model is dearer."""
        known = self._known.get(conversation)
        if known is None or rank <= known.rank or not known.ended <= begun <= known.ended + WINDOW:
            return None
        if known.request_id in known.told or known.times > PATIENCE:
            return None
        known.told.append(known.request_id)
        return Hint(known.request_id, ESCALATION)
