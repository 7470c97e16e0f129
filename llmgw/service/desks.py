"""Desks for the admin API: the files of the running gateway, and what it knows of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmgw.desk.asking import Declared, Desk, Offer, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.gates.state import Gateway
    from llmgw.service.launch import Launch
    from llmgw.service.running import Running


def desks(gateway: Gateway, launch: Launch, running: Running) -> Callable[[str], Desk]:
    """What opens a desk in somebody's name."""
    declared = Declared(
        timezone=launch.timezone, limits=launch.limits, keys=launch.key_defaults, cache=launch.cache
    )

    def offer() -> Offer:
        router = gateway.router
        return Offer(dict(router.upstreams), router.plan, gateway.prices, launch.sources, gateway.tiering)

    def process() -> Process:
        return Process(
            state="up" if gateway.ledger.healthy else "failing",
            log_file=running.log_file,
            url=running.url,
            pid=running.pid,
            version=running.version,
            started_at=running.started_at,
            lost=launch.lost,
        )

    def open_desk(by: str) -> Desk:
        return Desk(
            Path(launch.database),
            by,
            declared=lambda: declared,
            offer=offer,
            process=process,
            clock=gateway.clock,
        )

    return open_desk
