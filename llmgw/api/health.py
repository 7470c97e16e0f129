"""``GET /health`` (D-22): is the gateway well, told to anybody, with no secret in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmgw import __version__
from llmgw.domain.route import Tier

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmgw.gates.state import Gateway


def routes(gateway: Gateway) -> list[Route]:
    """The routes of this surface."""

    async def health(_: Request) -> Response:
        well = gateway.ledger.healthy
        body = {
            "status": "ok" if well else "failing",
            "version": __version__,
            "components": _components(gateway),
        }
        return JSONResponse(body, 200 if well else 503)

    return [Route(path, health) for path in ("/health", "/healthz", "/api/health")]


def _components(gateway: Gateway) -> dict[str, Any]:
    upstreams = gateway.router.upstreams.values()
    local = next((each for each in upstreams if each.tier is Tier.LOCAL), None)
    hosted = {each.provider.name for each in upstreams}
    return {
        "ledger": "ok" if gateway.ledger.healthy else "failing",
        "policy_gate": "off",
        "cache": "off",
        "router": "ok",
        "local_llm": {"status": "off"}
        if local is None
        else {
            "status": "configured",
            "base_url": local.base_url,
            "models_available": len(local.models),
            "default_model": local.models[0] if local.models else None,
        },
        "anthropic": "configured" if "anthropic" in hosted else "off",
        "groq": "configured" if "groq" in hosted else "off",
    }
