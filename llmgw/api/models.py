"""``GET /v1/models`` and ``/v1/models/{id}``: every name a caller may ask for, in a shape both SDK families read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.responses import Response

from llmgw.api.operations import Access, Operation, answer
from llmgw.errors import GatewayError, ModelNotFound
from llmgw.providers.registry import caller_dialect
from llmgw.rules.planning import VIRTUAL

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway

LIST_AFTER = 60.0
"""Seconds after which upstreams are asked for their models again when somebody wants the list."""

EPOCH = "1970-01-01T00:00:00Z"


class Model(Struct, frozen=True, kw_only=True):
    """One model with the members of OpenAI's and of Anthropic's object side by side."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str
    type: str = "model"
    display_name: str
    created_at: str = EPOCH


class ModelList(Struct, frozen=True, kw_only=True):
    """Every model, in one page."""

    object: str = "list"
    data: list[Model]
    has_more: bool = False
    first_id: str | None
    last_id: str | None


class Named(Struct, frozen=True):
    name: str


def operations(gateway: Gateway) -> list[Operation]:
    """The operations of this surface."""

    async def every(_: Request, key: Key | None) -> Response:
        await gateway.catalogue.refresh(gateway, older_than=LIST_AFTER)
        names = [name for name in gateway.router.plan.names() if key and _open(gateway, key, name)]
        first, last = (names[0], names[-1]) if names else (None, None)
        return answer(ModelList(data=[_model(gateway, name) for name in names], first_id=first, last_id=last))

    async def one(request: Request, key: Key | None) -> Response:
        name = request.path_params["name"]
        gateway.router.route(name, None)
        if key is None or not _open(gateway, key, name):
            raise ModelNotFound(f"no model `{name}` is open to this key", param="model")
        return answer(_model(gateway, name))

    listing = Operation(
        "GET",
        "/v1/models",
        "List the names that this key may ask for",
        Access.KEY,
        every,
        answers=(ModelList,),
        name="Models",
        refuse=_refuse,
    )
    single = Operation(
        "GET",
        "/v1/models/{name:path}",
        "Show one of them",
        Access.KEY,
        one,
        takes=Named,
        answers=(Model,),
        in_query=True,
        name="Model",
        refuse=_refuse,
    )
    return [listing, listing._replace(path="/models", name="ModelsToo"), single]


def _open(gateway: Gateway, key: Key, name: str) -> bool:
    if not key.models:
        return True
    try:
        targets = gateway.router.route(name, None).targets
    except GatewayError:
        return False
    return any(key.allows(name, each.model, each.name, f"{each.tier}/{each.model}") for each in targets)


def _model(gateway: Gateway, name: str) -> Model:
    owner = "llmgw" if name in VIRTUAL else gateway.router.route(name, None).targets[0].provider
    return Model(id=name, owned_by=owner, display_name=name)


def _refuse(request: Request, error: GatewayError) -> Response:
    """In the dialect of whoever asks, as its SDK expects."""
    anthropic = "anthropic-version" in request.headers
    dialect = caller_dialect("anthropic" if anthropic else "openai_chat")
    return Response(dialect.render_error(error, ""), error.status, media_type="application/json")
