"""What dashboards are fed with: beats one after the other, from a gateway, a ledger, a file or a simulation.

async for beat in feed:
    picture.take(beat)
    show(picture, feed.state, feed.words)
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Self

from llmgw.errors import BadRequest
from llmgw.rules.picture import WINDOWS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.pulse import Beat

log = logging.getLogger("llmgw.feed")

STALE_SECONDS = 3.0
"""A feed that has been silent for so long is stale."""


class State(StrEnum):
    """How a feed is: not connected yet, fresh, silent for some seconds, cut off, past, or at its end."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    DOWN = "down"
    REPLAY = "replay"
    ENDED = "ended"


class Feed(ABC):
    """Beats, as an async iterator that never raises for trouble with their source: ``state`` and ``words`` tell of it.

    A window that is set, a seek and a new connection are followed by a new history. Used on one event loop.
    """

    name: str
    """What is looked at, for people: an address, a file, ``demo``."""

    def __init__(self, name: str, window: str = "1h") -> None:
        self.name = name
        self.window = window
        self.words = ""
        """What is wrong and what helps, for people; empty where all is well."""
        self._state = State.CONNECTING
        self._beats: asyncio.Queue[Beat | None] = asyncio.Queue(2)
        self._beat_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = False

    @property
    def state(self) -> State:
        if self._state is State.LIVE and (self.since or 0) > STALE_SECONDS:
            return State.STALE
        return self._state

    @property
    def since(self) -> float | None:
        """Seconds since the last beat came; None before the first one."""
        return None if self._beat_at is None else monotonic() - self._beat_at

    def set_window(self, name: str) -> None:
        """Look at another one of `picture.WINDOWS`; BadRequest for none of them."""
        if name not in WINDOWS:
            raise BadRequest(f"there is no window `{name}`", hint=f"one of {', '.join(WINDOWS)}")
        if name != self.window:
            self.window = name
            self._changed()

    def __aiter__(self) -> AsyncIterator[Beat]:
        return self

    async def __anext__(self) -> Beat:
        """The next beat; StopAsyncIteration once the feed is closed, or at its end."""
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        beat = None if self._over else await self._beats.get()
        if beat is None:
            self._over = True
            raise StopAsyncIteration
        return beat

    async def close(self) -> None:
        """Let go of the source. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while not self._beats.empty():
            self._beats.get_nowait()
        self._beats.put_nowait(None)

    async def _work(self) -> None:
        try:
            await self._run()
        except Exception as error:
            log.exception("the feed has failed")
            self._state, self.words = State.DOWN, f"the feed has failed: {error}"
        await self._beats.put(None)

    async def _give(self, beat: Beat) -> None:
        """Hand a beat over; waits while the reader is behind."""
        self._beat_at = monotonic()
        await self._beats.put(beat)

    @abstractmethod
    async def _run(self) -> None:
        """Give beats, until cancelled or until there are no more."""

    @abstractmethod
    def _changed(self) -> None:
        """The window is another one now: begin with a new history."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Replay(Feed):
    """A feed of what is past: it can be wound, stopped and sped up. At its end it is ``ENDED`` with the last beat, and waits."""

    speed: float = 1.0
    """Seconds that go by in one; 0 stands still."""
    began: Nanoseconds
    ends: Nanoseconds

    @property
    @abstractmethod
    def at(self) -> Nanoseconds:
        """The moment that is shown."""

    @abstractmethod
    def seek(self, at: Nanoseconds) -> None:
        """Go on from a moment, the nearest one that there is."""

    @abstractmethod
    def set_speed(self, speed: float) -> None:
        """Let time go by so much faster; 0 stands still."""
