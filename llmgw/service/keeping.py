"""Looking after a gateway's home while it serves: what others change in its files, and what is written down for them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from llmgw.config.private import write_private
from llmgw.errors import GatewayError
from llmgw.storage.control import Control
from llmgw.storage.headroom import write_failing, write_headroom

if TYPE_CHECKING:
    from llmgw.gates.state import Gateway
    from llmgw.service.launch import Launch
    from llmgw.service.running import Running

log = logging.getLogger("llmgw")

SECRET_KEY_ID = 0
"""The id of keys that are in no database; issued keys count from 1."""

TOUCH_SECONDS = 30


async def look_after(gateway: Gateway, control: Control, launch: Launch, running: Running) -> None:
    """Notice what others did to the files of this home, and write down which keys were used."""
    seen = control.version()
    database, heard, failed = Path(launch.database), 0, 0
    breakers = gateway.resilience.breakers
    while True:
        for _ in range(TOUCH_SECONDS):
            await asyncio.sleep(1)
            gateway.ledger.check()
            await gateway.counted.keep_up()
            if gateway.caches is not None:
                await gateway.caches.follow()
            with contextlib.suppress(GatewayError, OSError):  # locked or gone: the next second tells
                if not os.path.exists(launch.run_file):  # noqa: PTH110, ASYNC240 (without it no command finds this process)
                    write_private(Path(launch.run_file), msgspec.json.encode(running))
                control.stamp.renew()
                if seen != (seen := control.version()):
                    gateway.keys.forget()
                    gateway.limits.forget()
                    gateway.purse.forget()
                    gateway.killswitch.forget()
                    _forget_outcomes(gateway)
                if heard != (heard := gateway.headroom.changes):
                    write_headroom(database, gateway.headroom.shown(gateway))
                if failed != (failed := breakers.changes):
                    write_failing(database, breakers.shown())
        if gateway.ledger.healthy and (used := taken(gateway.keys.used)):
            try:
                await asyncio.to_thread(_touch, Path(launch.database), used)
            except GatewayError as error:
                log.warning("last use of keys not written: %s", error.message)


def _forget_outcomes(gateway: Gateway) -> None:
    """Let go of what was learnt once somebody has removed the outcomes that it was learnt from."""
    tiering = gateway.tiering
    if tiering is not None and len(tiering.learning) and not gateway.ledger.decisions.outcomes(1):
        tiering.learning.reset()


def _touch(database: Path, used: dict[int, int]) -> None:
    with Control(database) as control:
        control.touch(used)


def taken(used: dict[int, int]) -> dict[int, int]:
    """The keys of the database that were used since the last time, by id, and when."""
    taken = dict(used)
    used.clear()
    taken.pop(SECRET_KEY_ID, None)
    return taken
