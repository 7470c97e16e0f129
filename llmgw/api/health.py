"""``GET /health`` (D-22): is the gateway well, told to anybody, with no secret in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from llmgw import __version__
from llmgw.api.operations import Access, Operation, answer
from llmgw.domain.route import Tier

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway


class LocalModels(Struct, frozen=True, omit_defaults=True):
    """The first local server there is; all but ``status`` is left out where there is none."""

    status: Annotated[str, Meta(description="`configured` or `off`")]
    base_url: str | None = None
    models_available: int | None = None
    default_model: str | UnsetType | None = UNSET


class Components(Struct, frozen=True, kw_only=True):
    """Each is ``ok``, ``failing``, ``configured`` or ``off``."""

    ledger: str
    policy_gate: str
    cache: str
    router: str
    local_llm: LocalModels
    anthropic: str
    groq: str


class Health(Struct, frozen=True, kw_only=True):
    """``status`` is ``ok``, or ``failing`` when calls cannot be written down."""

    status: str
    version: str
    components: Components


def operations(gateway: Gateway) -> list[Operation]:
    """The operations of this surface."""

    async def health(_request: Request, _key: Key | None) -> Response:
        well = gateway.ledger.healthy
        status = "ok" if well else "failing"
        body = Health(status=status, version=__version__, components=_components(gateway))
        return answer(body, 200 if well else 503)

    return [
        Operation(
            "GET",
            path,
            "Tell whether the gateway is well; 503 when it is not",
            Access.OPEN,
            health,
            answers=(Health,),
            name=name,
        )
        for path, name in (("/health", "Health"), ("/healthz", "Healthz"), ("/api/health", "ApiHealth"))
    ]


def _components(gateway: Gateway) -> Components:
    upstreams = gateway.router.upstreams.values()
    local = next((each for each in upstreams if each.tier is Tier.LOCAL), None)
    hosted = {each.provider.name for each in upstreams}
    return Components(
        ledger="ok" if gateway.ledger.healthy else "failing",
        policy_gate="off",
        cache=_cache(gateway),
        router="ok",
        local_llm=LocalModels("off")
        if local is None
        else LocalModels(
            "configured", local.base_url, len(local.models), local.models[0] if local.models else None
        ),
        anthropic="configured" if "anthropic" in hosted else "off",
        groq="configured" if "groq" in hosted else "off",
    )


def _cache(gateway: Gateway) -> str:
    """Whether the caches work, or why they do not."""
    if gateway.caches is None:
        return gateway.cacheless or "off"
    return gateway.caches.trouble or "ok"
