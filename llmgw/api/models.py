"""``GET /v1/models`` and ``/v1/models/{id}``: every name a caller may ask for, in a shape both SDK families read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmgw.errors import GatewayError, ModelNotFound
from llmgw.gates.authenticate import token_of
from llmgw.providers.registry import caller_dialect
from llmgw.rules.planning import VIRTUAL

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway

LIST_AFTER = 60.0
"""Seconds after which upstreams are asked for their models again when somebody wants the list."""

EPOCH = "1970-01-01T00:00:00Z"


def routes(gateway: Gateway) -> list[Route]:
    """The routes of this surface."""

    def key_of(request: Request) -> Key:
        token = token_of(dict(request.scope["headers"])) or b""
        return gateway.keys.find(token, gateway.clock.now())

    def open_names(key: Key) -> list[str]:
        return [name for name in gateway.router.plan.names() if _open(gateway, key, name)]

    async def every(request: Request) -> Response:
        try:
            key = key_of(request)
            await gateway.catalogue.refresh(gateway, older_than=LIST_AFTER)
            names = open_names(key)
        except GatewayError as error:
            return _error(request, error)
        return JSONResponse(
            {
                "object": "list",
                "data": [_model(gateway, name) for name in names],
                "has_more": False,
                "first_id": names[0] if names else None,
                "last_id": names[-1] if names else None,
            }
        )

    async def one(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            key = key_of(request)
            gateway.router.route(name, None)
            if not _open(gateway, key, name):
                raise ModelNotFound(f"no model `{name}` is open to this key", param="model")
        except GatewayError as error:
            return _error(request, error)
        return JSONResponse(_model(gateway, name))

    return [Route("/v1/models", every), Route("/models", every), Route("/v1/models/{name:path}", one)]


def _open(gateway: Gateway, key: Key, name: str) -> bool:
    if not key.models:
        return True
    try:
        targets = gateway.router.route(name, None).targets
    except GatewayError:
        return False
    return any(key.allows(name, each.model, each.name, f"{each.tier}/{each.model}") for each in targets)


def _model(gateway: Gateway, name: str) -> dict[str, Any]:
    """One model with the members of OpenAI's and of Anthropic's object side by side."""
    owner = "llmgw" if name in VIRTUAL else gateway.router.route(name, None).targets[0].provider
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "type": "model",
        "display_name": name,
        "created_at": EPOCH,
    }


def _error(request: Request, error: GatewayError) -> Response:
    anthropic = "anthropic-version" in request.headers
    dialect = caller_dialect("anthropic" if anthropic else "openai_chat")
    return Response(dialect.render_error(error, ""), error.status, media_type="application/json")
