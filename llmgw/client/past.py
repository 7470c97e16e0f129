"""What a ledger tells of the past, with its gateway up or down: histories of any moment, and seconds as pulses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from llmgw.domain.clock import SYSTEM_CLOCK, Clock, Nanoseconds
from llmgw.domain.pulse import History, Process, Seconds, Standing
from llmgw.rules.tallying import Callers, seconds_of
from llmgw.storage.histories import Histories, last_by, rows_after

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from llmgw.storage.database import Database

MOST = 5000
"""Requests that are read at a time."""


class Past(Protocol):
    """A past, here or elsewhere; its methods may block, and raise GatewayError."""

    def history(self, window: str, at: Nanoseconds | None = None) -> History:
        """How all stood at a moment; now without one."""

    def seconds(self, after: int, since: Nanoseconds, until: Nanoseconds) -> Seconds:
        """What ended between two moments behind a row, or the beginning of it where that is much."""

    def close(self) -> None:
        """Let go of whatever it is read from."""


class LedgerPast:
    """The past in a database; usable from any thread."""

    def __init__(self, database: Database, zone: ZoneInfo, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database = database
        self._histories = Histories(database, Callers())
        self._zone = zone
        self._clock = clock

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def history(self, window: str, at: Nanoseconds | None = None) -> History:
        moment = self._clock.now() if at is None else at
        seq = None if at is None else last_by(self._database, at)
        past = self._histories.past(window, self._zone, moment, seq)
        return History(
            at=moment, window=window, standing=Standing(process=_nobody(self._zone)), **past._asdict()
        )

    def seconds(self, after: int, since: Nanoseconds, until: Nanoseconds) -> Seconds:
        rows = rows_after(self._database, after, MOST)
        pulses, reached = seconds_of(rows, since, until)
        return Seconds(
            pulses=tuple(pulses),
            seq=pulses[-1].seq if pulses else after,
            until=until if reached or len(rows) < MOST else pulses[-1].at,
        )


def _nobody(zone: ZoneInfo) -> Process:
    """The process of a time of which only the ledger tells."""
    return Process(version="", url="", pid=0, boot="", started_at=0, timezone=zone.key, healthy=False)
