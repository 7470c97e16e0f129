"""Tells people what the gateway noticed: one notice, one log line and one alert for each thing, however often noticed."""

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
    from llmgw.service.alerting import Alerter

log = logging.getLogger("llmgw.notices")

REFUSED = {"hard": "calls that do not fit under it", "medium": "premium models"}


class Teller:
    """Keeps notices in the database at ``path``, off the event loop, which must be running, and sends new ones on."""

    def __init__(self, path: Path, alerter: Alerter | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path = path
        self._alerter = alerter
        self._clock = clock
        self._telling: set[asyncio.Task[None]] = set()
        self.told = 0
        """How many notices were kept: it moves with each."""

    def tell(self, event: Event) -> None:
        """A budget has passed a mark, or refuses calls."""
        budget = event.budget
        mark = f"the {event.mark} mark is at {shown(event.amount, budget.unit)}"
        if event.mark in REFUSED:
            mark += f", {REFUSED[event.mark]} are refused"
        self.say(
            "budget",
            f"budget {budget.scope} {budget.window} {budget.unit} {event.bucket} {event.mark} {event.amount}",
            f"{spent_of(budget, event.spent)}; {mark}",
        )

    def say(self, kind: str, name: str, message: str) -> None:
        """Something has happened; ``name`` is unique, and a second notice of the same one is not made."""
        notice = Notice(self._clock.now(), kind, name, message)
        task = asyncio.get_running_loop().create_task(self._keep(notice))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _keep(self, notice: Notice) -> None:
        try:
            if not await asyncio.to_thread(self._add, notice):
                return
            self.told += 1
            log.warning("%s", notice.message)
        except GatewayError as error:
            log.warning("%s (not kept: %s)", notice.message, error.message)
        if self._alerter is not None:
            await self._alerter.send(notice)

    def _add(self, notice: Notice) -> bool:
        with Control(self._path, self._clock) as control:
            return Notices(control).add(notice)
