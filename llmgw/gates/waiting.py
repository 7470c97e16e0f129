"""Standing in line for room that calls under way are about to give back, each line by what it waits for."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

WAIT = 2.0
"""Seconds that a call waits at most for room that others hold and may give back."""


class Lines:
    """One line for each name. Whoever is called tries, and calls the next one when that went well.

    Whoever comes while others stand there stands behind them, also where there is room just now: it is theirs.
    """

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def busy(self, name: Hashable) -> bool:
        """Whether somebody stands in a line, or was called and has not tried yet."""
        return name in self._lines

    async def turn(self, name: Hashable, seconds: float, *, again: bool = False) -> bool:
        """Wait to be called, at the front if ``again``; False when the time is over."""
        line = self._lines.setdefault(name, deque())
        place = asyncio.get_running_loop().create_future()
        if again:
            line.appendleft(place)
        else:
            line.append(place)
        try:
            await asyncio.wait({place}, timeout=seconds)
        except asyncio.CancelledError:
            if place.done():
                self.call(name)  # whoever comes next may have the room
            raise
        finally:
            late = not place.done()
            line.remove(place)
            if late:
                self.call(name)  # what was too little for one may do for the next
            if not line and self._lines.get(name) is line:
                del self._lines[name]
        return not late

    def call(self, name: Hashable) -> None:
        """There may be room: call whoever is first."""
        for place in self._lines.get(name, ()):
            if not place.done():
                place.set_result(None)
                return

    def call_all(self) -> None:
        """Everything may have changed: call whoever is first in each line."""
        for name in tuple(self._lines):
            self.call(name)
