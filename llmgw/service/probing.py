"""Looks at servers whose targets are left alone, so that one that is well again is used at once, and no call finds out."""

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
    """Ask each upstream that is left alone for its models, until cancelled; ``which`` is ``local``, ``all`` or ``off``.

    No look costs anything while every target works.
    """
    breakers = gateway.resilience.breakers
    while which != "off":
        await asyncio.sleep(PAUSE)
        for name in breakers.shut():
            upstream = gateway.router.upstreams.get(name)
            if upstream is None or (which == "local" and upstream.tier is not Tier.LOCAL):
                continue
            breakers.looked(name, well=await _answers(gateway, upstream))


async def _answers(gateway: Gateway, upstream: Upstream) -> bool:
    url = upstream.base_url.rstrip("/") + upstream.provider.models_path
    try:
        answer = await gateway.transport.send(
            "GET", url, upstream_headers(upstream), connect_timeout=PATIENCE, timeout=PATIENCE
        )
        await answer.close()
    except GatewayError as error:
        log.debug("%s is not well: %s", upstream.name, error.message)
        return False
    return answer.status < 500
