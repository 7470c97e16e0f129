"""``GET /metrics`` (D-27): the gateway's figures for Prometheus, in its text format or in OpenMetrics."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

from llmgw.api.operations import Access, Operation
from llmgw.domain.budget import Window
from llmgw.domain.money import NANO
from llmgw.errors import GatewayError, Unavailable
from llmgw.gates.authenticate import token_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric
    from starlette.requests import Request

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway


class Door(NamedTuple):
    """Who may scrape besides keys with admin rights: anybody, or whoever sends the token."""

    open: bool = False
    token: str = ""

    def admits(self, request: Request) -> bool:
        """Whether a caller needs no key of the gateway."""
        if self.open:
            return True
        sent = token_of(dict(request.scope["headers"])) or b""
        return bool(self.token) and compare_digest(sent, self.token.encode())


CLOSED = Door()


class _Made:
    """Families that were made already, as a collector."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def operations(gateway: Gateway, door: Door) -> list[Operation]:
    """The operations of this surface."""

    async def metrics(request: Request, _key: Key | None) -> Response:
        try:
            from llmgw.api.series import families  # noqa: PLC0415  it takes the extra
        except ImportError:
            raise Unavailable(
                "this gateway has no `prometheus-client`",
                code="extra_missing",
                status=501,
                hint="pip install 'llmgw[metrics]'",
            ) from None
        today = await asyncio.to_thread(_today_usd, gateway)
        made = families(gateway, today, _cache_bytes(gateway))
        return await asyncio.to_thread(_encode, made, request.headers.get("accept", ""))

    return [
        Operation(
            "GET",
            "/metrics",
            "Tell Prometheus what the gateway does",
            Access.ADMIN,
            metrics,
            name="Prometheus",
            media="text/plain",
            text="`[metrics]` in llmgw.toml opens it to a token of its own, or to anybody.",
            admits=door.admits,
        )
    ]


def _encode(made: list[Metric], accept: str) -> Response:
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415  it takes the extra
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Made(made))
    encode, media = choose_encoder(accept)
    return Response(encode(registry), headers={"content-type": media})


def _today_usd(gateway: Gateway) -> float:
    """What today has cost; 0 where the ledger cannot be read just now."""
    with suppress(GatewayError):
        return gateway.ledger.reports.current(Window.DAY, gateway.clock.now(), gateway.purse.zone).cost / NANO
    return 0.0


def _cache_bytes(gateway: Gateway) -> dict[str, int]:
    caches = gateway.caches
    if caches is None:
        return {}
    return {"memory": caches.memory.size, "file": caches.read(lambda store: store.bytes()) or 0}
