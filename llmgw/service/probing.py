"""Looks at servers that nobody could connect to, so that one that is started again is used again at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from llmgw.domain.route import Tier
from llmgw.errors import GatewayError
from llmgw.gates.route import upstream_headers

if TYPE_CHECKING:
    from llmgw.gates.state import Gateway
    from llmgw.providers.base import Upstream

log = logging.getLogger("llmgw.breaker")

PAUSE = 2.0
"""Seconds between two looks."""
PATIENCE = 2.0


async def probe(gateway: Gateway, which: str) -> None:
    """Ask each upstream that is away for its models, until cancelled; ``which`` is ``local``, ``all`` or ``off``.

    No look costs anything while every upstream can be reached.
    """
    breakers = gateway.resilience.breakers
    while which != "off":
        await asyncio.sleep(PAUSE)
        for name in breakers.away():
            upstream = gateway.router.upstreams.get(name)
            if upstream is None or (which == "local" and upstream.tier is not Tier.LOCAL):
                continue
            if await _answers(gateway, upstream):
                breakers.heal(name)


async def _answers(gateway: Gateway, upstream: Upstream) -> bool:
    url = upstream.base_url.rstrip("/") + upstream.provider.models_path
    try:
        answer = await gateway.transport.send(
            "GET", url, upstream_headers(upstream), connect_timeout=PATIENCE, timeout=PATIENCE
        )
        await answer.close()
    except GatewayError as error:
        log.debug("%s is still away: %s", upstream.name, error.message)
        return False
    return answer.status < 500
