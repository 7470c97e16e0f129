"""Tells people what the gateway noticed: one notice and one log line for each thing, however often it is noticed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from llmgw.domain.clock import SYSTEM_CLOCK, Clock
from llmgw.errors import GatewayError
from llmgw.gates.reserve import shown, spent_of
from llmgw.storage.control import Control
from llmgw.storage.notices import Notice, Notices

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.rules.reservations import Event

log = logging.getLogger("llmgw.notices")


class Teller:
    """Keeps notices in the database at ``path``, off the event loop, which must be running."""

    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path = path
        self._clock = clock
        self._telling: set[asyncio.Task[None]] = set()

    def tell(self, event: Event) -> None:
        """A budget has passed a mark."""
        budget = event.budget
        mark = shown(event.amount, budget.unit)
        notice = Notice(
            self._clock.now(),
            "budget",
            f"budget {budget.scope} {budget.window} {budget.unit} {event.bucket} {event.mark} {event.amount}",
            f"{spent_of(budget, event.spent)}; the {event.mark} mark is at {mark}",
        )
        task = asyncio.get_running_loop().create_task(self._keep(notice))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _keep(self, notice: Notice) -> None:
        try:
            if await asyncio.to_thread(self._add, notice):
                log.warning("%s", notice.message)
        except GatewayError as error:
            log.warning("%s (not kept: %s)", notice.message, error.message)

    def _add(self, notice: Notice) -> bool:
        with Control(self._path, self._clock) as control:
            return Notices(control).add(notice)
