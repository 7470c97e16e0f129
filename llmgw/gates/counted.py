"""The counters of a running gateway: rows as the ledger commits them, handed over by its writer, summed now and then."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from llmgw.rules.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from llmgw.domain.clock import Clock
    from llmgw.storage.ledger import Written


PIECE = 1_000_000
"""Nanoseconds of summing at a time."""
PAUSE = 0.002
"""Seconds between two pieces: an event loop that only comes round keeps the interpreter from the writer's thread."""


class Counted:
    """Counters since ``began``; to be read at least every few seconds, as rows wait until then."""

    def __init__(self, clock: Clock, models: Collection[tuple[str, str]] = ()) -> None:
        """``models`` are those of the configuration, as provider and model."""
        self._clock = clock
        self._written: deque[Written] = deque()
        self._counters = Counters(clock.now(), models)

    def take(self, written: Written) -> None:
        """Rows were committed; on the writer's thread."""
        self._written.append(written)

    def read(self) -> Counters:
        """The counters with all that was committed until now; on the event loop."""
        while self._written:
            self._add()
        return self._counters

    async def keep_up(self) -> None:
        """Sum what waits, a piece at a time: calls go on in between, however many a second there were."""
        while self._written:
            end = self._clock.tick() + PIECE
            while self._written and self._clock.tick() < end:
                self._add()
            await asyncio.sleep(PAUSE)

    def _add(self) -> None:
        self._counters.take(self._written.popleft().rows, self._clock.now())


def each_of(*hear: Callable[[Written], None]) -> Callable[[Written], None]:
    """What hands rows to all of these."""

    def take(written: Written) -> None:
        for one in hear:
            one(written)

    return take
