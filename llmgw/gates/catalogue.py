"""Keeps routing in step with what upstreams list: a model pulled a minute ago is found without a restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from llmgw.errors import UpstreamFailed
from llmgw.gates.route import Router, upstream_headers
from llmgw.providers.listing import listed_names

if TYPE_CHECKING:
    from llmgw.gates.state import Gateway
    from llmgw.providers.base import Upstream

PATIENCE = 3.0
"""Seconds an upstream has to list its models."""


class Catalogue:
    """Asks each upstream whose models nobody declared; callers at one time share one round of questions."""

    def __init__(self) -> None:
        self._asked_at: int | None = None
        self._asking: asyncio.Task[None] | None = None

    async def refresh(self, gateway: Gateway, older_than: float) -> bool:
        """Ask again if the last answers are older than so many seconds; whether anybody was asked."""
        now = gateway.clock.tick()
        if self._asking is None:
            if self._asked_at is not None and now - self._asked_at < older_than * 1e9:
                return False
            self._asked_at = now
            self._asking = asyncio.create_task(_ask_all(gateway))
            self._asking.add_done_callback(self._answered)
        await asyncio.shield(self._asking)
        return True

    def _answered(self, _: asyncio.Task[None]) -> None:
        self._asking = None


async def _ask_all(gateway: Gateway) -> None:
    """Replace the router by one that knows what the upstreams list now; who does not answer keeps what was known."""
    router = gateway.router
    upstreams = [each for each in router.upstreams.values() if _may_be_asked(each)]
    answers = await asyncio.gather(*(_ask(gateway, each) for each in upstreams))
    learnt = {each.name: names for each, names in zip(upstreams, answers, strict=True) if names}
    if learnt:
        offers = tuple(
            replace(offer, models=learnt[offer.upstream]) if offer.upstream in learnt else offer
            for offer in router.plan.offers
        )
        plan = replace(router.plan, offers=offers)
        gateway.router = Router(plan, router.upstreams.values(), router.dialect)


def _may_be_asked(upstream: Upstream) -> bool:
    return (
        not upstream.closed and bool(upstream.provider.models_path) and upstream.base_url.startswith("http")
    )


async def _ask(gateway: Gateway, upstream: Upstream) -> tuple[str, ...]:
    """The chat models one upstream lists; empty when it does not say so in time."""
    url = upstream.base_url.rstrip("/") + upstream.provider.models_path
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await gateway.transport.send(
                "GET", url, upstream_headers(upstream), connect_timeout=PATIENCE, timeout=PATIENCE
            )
            try:
                listed = await answer.read() if answer.status == 200 else b"null"
            finally:
                await answer.close()
        return listed_names(msgspec.json.decode(listed)) or ()
    except (UpstreamFailed, TimeoutError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
