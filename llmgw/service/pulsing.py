"""The pulse of a running gateway: once a second, while somebody watches, what was written and how things stand.

Nothing here asks the database each second. What only files tell is read in a thread where it may have changed, and at
most every few seconds; all who watch share it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from llmgw.client.past import LedgerPast
from llmgw.client.standing import Kept, read_kept
from llmgw.domain.pulse import History, Process, Pulse, Seconds, Standing
from llmgw.errors import GatewayError
from llmgw.gates.watching import gate_us, kills, under_way, upstreams
from llmgw.rules.windows import HOUR
from llmgw.storage.database import Database
from llmgw.storage.histories import Histories, newest

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.pulse import BudgetNow, KeyNow
    from llmgw.gates.state import Gateway
    from llmgw.service.launch import Launch
    from llmgw.service.running import Running
    from llmgw.service.telling import Teller
    from llmgw.storage.histories import Past

log = logging.getLogger("llmgw.pulse")

SECOND = 1.0
JUMP = 2 * 10**9
"""Nanoseconds by which a clock may be off from the time that went by before everybody begins anew."""
SOON_SECONDS, LATER_SECONDS = 1.0, 10.0
"""What only files tell is read again so much later at the soonest: after a change of settings, after requests."""


class Pulsing:
    """Makes the pulses of one gateway, and the histories that go before them."""

    def __init__(
        self,
        gateway: Gateway,
        launch: Launch,
        running: Running,
        teller: Teller,
        version: Callable[[], int],
    ) -> None:
        """``version`` moves with each change of settings."""
        self._gateway = gateway
        self._launch = launch
        self._running = running
        self._teller = teller
        self._version = version
        self._zone = ZoneInfo(launch.timezone)
        self._database = Database(Path(launch.database), readonly=True)
        self._histories = Histories(self._database, gateway.meter.callers)
        self._ledger = LedgerPast(self._database, self._zone, gateway.clock)
        self._one_at_a_time = asyncio.Lock()
        self._following: dict[str, asyncio.Task[History]] = {}
        self._kept = Kept()
        self._kept_as = (-1, -1, -1)
        self._kept_at = 0.0
        self._reading: asyncio.Task[None] | None = None
        self._told: dict[str, Any] = {}

    async def history(self, window: str) -> History:
        """What was before the pulses to come; Unavailable where the database cannot be read.

        Who asks while another one is being read shares the next one with all who do.
        """
        following = self._following.get(window)
        if following is None:
            following = self._following[window] = asyncio.create_task(self._read_history(window))
        return await asyncio.shield(following)

    async def _read_history(self, window: str) -> History:
        async with self._one_at_a_time:
            del self._following[window]
            if not self._kept_at:
                await self._read()
            now = self._gateway.clock.now()
            past: Past = await asyncio.to_thread(self._histories.past, window, self._zone, now)
        return History(at=now, window=window, standing=Standing(**self._standing()), **past._asdict())

    async def past(self, window: str, at: Nanoseconds | None) -> History:
        """How all stood at a moment, as far as the ledger tells; Unavailable where it cannot be read."""
        history = await asyncio.to_thread(self._ledger.history, window, at)
        return replace(history, standing=Standing(process=self._process()))

    async def seconds(self, after: int, since: Nanoseconds, until: Nanoseconds) -> Seconds:
        """What ended between two moments, as pulses."""
        return await asyncio.to_thread(self._ledger.seconds, after, since, until)

    async def run(self) -> None:
        """Tell a pulse each second while somebody watches, until cancelled."""
        clock, meter = self._gateway.clock, self._gateway.meter
        with suppress(GatewayError):  # who watches first reads it again
            meter.seq = meter.seq or newest(self._database)
        moment, tick = clock.now(), clock.tick()
        while True:
            await asyncio.sleep(SECOND)
            before, began = moment, tick
            moment, tick = clock.now(), clock.tick()
            if not meter.watchers:
                self._told.clear()
                continue
            if abs((moment - before) - (tick - began)) > JUMP:
                meter.lose()
            try:
                self._beat(moment, (tick - began) // 1000)
            except Exception:
                log.exception("a pulse has failed")
                meter.lose()

    def _beat(self, at: Nanoseconds, span_us: int) -> None:
        gateway, meter = self._gateway, self._gateway.meter
        rows = meter.drain()
        self._read_again()
        pulse = Pulse(
            at=at,
            seq=meter.seq,
            span_us=span_us,
            under_way=under_way(gateway),
            in_flight=len(gateway.killswitch.running),
            gate_us=gate_us(gateway),
            standing=Standing(**self._changes()),
        )
        meter.tell(meter.fill(pulse, rows), rows)

    async def close(self) -> None:
        """Let go of all who watch, and of the database."""
        self._gateway.meter.end()
        async with self._one_at_a_time:
            if self._reading is not None:
                await self._reading
            self._database.close()

    def _read_again(self) -> None:
        """Have read what may have changed, in the background."""
        now, state = time.monotonic(), self._state()
        wait = SOON_SECONDS if state[:2] != self._kept_as[:2] else LATER_SECONDS
        if state != self._kept_as and now >= self._kept_at + wait:
            self._kept_at = now
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        self._kept_at, state = time.monotonic(), self._state()
        launch = self._launch
        with suppress(GatewayError):  # what was read before still stands
            self._kept = await asyncio.to_thread(
                read_kept, Path(launch.database), self._zone, self._gateway.clock, launch.limits, launch.cache
            )
            self._kept_as = state

    def _state(self) -> tuple[int, int, int]:
        """Moves where files may tell something else."""
        return self._version(), self._teller.told, self._gateway.meter.seq

    def _changes(self) -> dict[str, Any]:
        """The parts of how things stand that are not as they were told last."""
        found = {name: part for name, part in self._standing().items() if part != self._told.get(name)}
        self._told |= found
        return found

    def _standing(self) -> dict[str, Any]:
        gateway, kept = self._gateway, self._kept
        return {
            "process": self._process(),
            "budgets": self._budgets(),
            "keys": tuple(map(self._key, kept.keys)),
            "upstreams": upstreams(gateway, self._launch.sources),
            "kills": kills(gateway),
            "notices": kept.notices,
            "cache": kept.cache,
        }

    def _process(self) -> Process:
        running = self._running
        return Process(
            version=running.version,
            url=running.url,
            pid=running.pid,
            boot=running.boot,
            started_at=running.started_at,
            timezone=self._launch.timezone,
            healthy=self._gateway.ledger.healthy,
            rss_bytes=_resident(),
            simulated=self._launch.simulated,
        )

    def _budgets(self) -> tuple[BudgetNow, ...]:
        """The budgets as the gates count them now."""
        now = self._gateway.clock.now()
        states = {
            (str(budget.scope), budget.window.value, budget.unit.value): (spent, held)
            for budget, spent, held in self._gateway.purse.reservations.states(now)
        }
        return tuple(
            _as_counted(each, *states[name], now)
            if (name := (each.scope, each.window, each.unit)) in states
            else each
            for each in self._kept.budgets
        )

    def _key(self, key: KeyNow) -> KeyNow:
        used = self._gateway.keys.used.get(key.id)
        return key if used is None else replace(key, last_used_at=used)


def _as_counted(budget: BudgetNow, spent: int, held: int, now: int) -> BudgetNow:
    hard, out = budget.hard, None
    left = None if hard is None else max(0, hard - spent - held)
    if left is not None and budget.burn:
        end = now + left * HOUR // budget.burn
        out = end if budget.ends_at is None or end < budget.ends_at else None
    used = None if hard is None else (spent + held) / hard if hard else 1.0
    return replace(budget, spent=spent, held=held, left=left, used=used, runs_out_at=out)


def _resident() -> int:
    """Bytes of memory that the process takes, in whole megabytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20 << 20
