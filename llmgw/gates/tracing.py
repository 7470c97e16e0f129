"""Where callers' traces are remembered until their requests are told to OpenTelemetry; not there where nobody is told."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from llmgw.domain.ledger import RequestRow
    from llmgw.gates.state import Call
    from llmgw.storage.ledger import Written

TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
Ended = list[tuple["RequestRow", "Parent | None"]]
MOST = 20_000
"""Requests that wait to be told; the oldest go where nobody takes them."""


class Parent(NamedTuple):
    """The span of a caller, as W3C's ``traceparent`` names it."""

    trace: int
    span: int
    sampled: bool


class Traces:
    """Requests that ended and are to be told."""

    def __init__(self) -> None:
        self._ended: deque[RequestRow] = deque(maxlen=MOST)
        self._parents: dict[int, Parent] = {}

    def note(self, call: Call) -> None:
        """A request ends: keep what its caller calls it."""
        header = call.headers.get(b"traceparent")
        if header is not None and (match := TRACEPARENT.fullmatch(header)):
            trace, span = int(match[1], 16), int(match[2], 16)
            if trace and span:
                self._parents[call.id] = Parent(trace, span, bool(int(match[3], 16) & 1))
                if len(self._parents) > MOST:
                    del self._parents[next(iter(self._parents))]

    def take(self, written: Written) -> None:
        """Rows were committed; on the writer's thread."""
        self._ended.extend(written.rows)

    def drain(self, most: int) -> Ended:
        """Requests that are to be told now, oldest first."""
        rows = [self._ended.popleft() for _ in range(min(most, len(self._ended)))]
        return [(row, self._parents.pop(row.id, None)) for row in rows]
