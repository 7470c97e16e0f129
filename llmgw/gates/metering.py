"""What is told to whoever watches: rows as the ledger commits them, once a second as a pulse, encoded once for all.

The writer's thread hands rows over with one append. While nobody watches no pulse is made of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from llmgw.rules.tallying import SEEN, Callers, lines_of, seen_of, spreads_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmgw.domain.ledger import RequestRow
    from llmgw.domain.pulse import History, Pulse
    from llmgw.storage.ledger import Written

WAITING = 5
"""Beats that wait for a slow watcher; one that is further behind begins anew."""
SPANS = 4096

Row = tuple[int, "RequestRow"]
ENCODER = msgspec.json.Encoder()


class Watcher:
    """One who watches. It is ``lost`` at first and when it has fallen behind: it begins anew then, with a history."""

    def __init__(self) -> None:
        self.lost = True
        self.over = False
        self._seq = 0
        self._beginning = False
        self._kept: list[Row] = []
        self._beats: deque[bytes] = deque()
        self._moved = asyncio.Event()

    def begin(self) -> None:
        """A history is read from now on: what is written meanwhile is kept for it."""
        self._beginning, self.lost = True, False
        self._kept, self._seq = [], 0
        self._beats.clear()

    def began(self, history: History, meter: Meter) -> None:
        """The history was read: what was written since follows it."""
        self._beginning, self._seq = False, history.seq
        kept, self._kept = self._kept, []
        if not self.lost:
            self._put(ENCODER.encode(history))
            if meter.last is not None and any(seq > history.seq for seq, _ in kept):
                self._tell_own(meter, meter.last, kept)

    def tell(self, meter: Meter, pulse: Pulse, rows: Sequence[Row], encoded: Callable[[], bytes]) -> None:
        """A second has gone by; ``encoded`` is the pulse as all get it who have seen none of its rows."""
        if self._beginning:
            self._kept += rows
        elif self.lost:
            return
        elif rows and rows[0][0] <= self._seq:
            self._tell_own(meter, pulse, rows)
        elif pulse.seq < self._seq:
            self._put(ENCODER.encode(replace(pulse, seq=self._seq)))
        else:
            self._put(encoded())
            self._seq = pulse.seq

    def _tell_own(self, meter: Meter, pulse: Pulse, rows: Sequence[Row]) -> None:
        """Tell a pulse but for those of its rows that are known already."""
        own = meter.fill(pulse, [each for each in rows if each[0] > self._seq])
        self._seq = max(self._seq, own.seq)
        self._put(ENCODER.encode(replace(own, seq=self._seq)))

    def _put(self, beat: bytes) -> None:
        if len(self._beats) >= WAITING:
            self.lose()
        else:
            self._beats.append(beat)
        self._moved.set()

    def lose(self) -> None:
        """What it knows does not hold any more."""
        self.lost = True
        self._beats.clear()
        self._moved.set()

    def end(self) -> None:
        """Nothing more comes."""
        self.over = True
        self._moved.set()

    async def next(self, seconds: float) -> bytes | None:
        """The next beat as JSON; None where none comes in time, or it is lost or over."""
        if not (self._beats or self.lost or self.over):
            self._moved.clear()
            try:
                await asyncio.wait_for(self._moved.wait(), seconds)
            except TimeoutError:
                return None
        return self._beats.popleft() if self._beats else None


class Meter:
    """Rows since the last second and those who watch. For one event loop, but for ``take``."""

    def __init__(self, seq: int = 0) -> None:
        """``seq`` is the number of the last row in the ledger."""
        self.callers = Callers()
        self.watchers: set[Watcher] = set()
        self.spans: deque[int] = deque(maxlen=SPANS)
        """Microseconds that the gateway itself added to each call, while somebody watches."""
        self.last: Pulse | None = None
        self.seq = seq
        self.over = False
        self._written: deque[Written] = deque()

    def take(self, written: Written) -> None:
        """Rows were committed; called on the writer's thread. A history that is read later holds them anyway."""
        if self.watchers:
            self._written.append(written)
        else:
            self.seq = written.first + len(written.rows) - 1

    def watch(self) -> Watcher:
        """One more who watches, to be given back to ``leave``."""
        watcher = Watcher()
        watcher.over = self.over
        self.watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        self.watchers.discard(watcher)

    def drain(self) -> list[Row]:
        """The rows since the last time, with their numbers. Where these went back all who watch begin anew."""
        written = [self._written.popleft() for _ in range(len(self._written))]
        rows = [(seq, row) for first, batch in written for seq, row in enumerate(batch, first)]
        if rows:
            if rows[0][0] <= self.seq:  # another database was put in place
                self.lose()
            self.seq = rows[-1][0]
        return rows

    def fill(self, pulse: Pulse, rows: Sequence[Row]) -> Pulse:
        """The pulse with these rows in it."""
        told = [row for _, row in rows]
        return replace(
            pulse,
            seq=rows[-1][0] if rows else pulse.seq,
            lines=self.callers.fold(lines_of(told)),
            spreads=spreads_of(told),
            seen=tuple(map(seen_of, told[-SEEN:])),
            unseen=max(0, len(told) - SEEN),
        )

    def tell(self, pulse: Pulse, rows: Sequence[Row]) -> None:
        """Tell a pulse, which holds these rows, to all who watch."""
        self.last = pulse
        encoded: list[bytes] = []

        def encode() -> bytes:
            if not encoded:
                encoded.append(ENCODER.encode(pulse))
            return encoded[0]

        for watcher in self.watchers:
            watcher.tell(self, pulse, rows, encode)

    def lose(self) -> None:
        """Let all who watch begin anew."""
        for watcher in self.watchers:
            watcher.lose()

    def end(self) -> None:
        """The gateway stops."""
        self.over = True
        for watcher in self.watchers:
            watcher.end()
