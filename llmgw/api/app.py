"""All surfaces behind one front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from llmgw import __version__
from llmgw.api import (
    admin,
    anthropic,
    budget,
    cache,
    chat,
    desk,
    docs,
    feedback,
    health,
    live,
    metrics,
    models,
    openai,
    openapi,
    prometheus,
    pulse,
)
from llmgw.api.asgi import Front, Handler
from llmgw.api.operations import Access, Operation, answer, routes
from llmgw.errors import BadRequest, NotFound
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from llmgw.desk.asking import Desk
    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway


class Welcome(Struct, frozen=True):
    """Name, version, and where calls are taken."""

    name: str
    version: str
    surfaces: tuple[str, ...]


def build(
    gateway: Gateway,
    desks: Callable[[str], Desk],
    histories: pulse.Histories,
    cors_origins: tuple[str, ...] = (),
    door: prometheus.Door = prometheus.CLOSED,
) -> Handler:
    """The ASGI application. ``desks`` opens one for the admin API, ``histories`` reads what goes before a pulse.

    Pages of ``cors_origins`` may call it (D-30).
    """
    hot = openai.hot_paths(gateway) | anthropic.hot_paths(gateway)
    rest = Starlette(
        routes=routes(gateway, operations(gateway, desks, histories, door)),
        exception_handlers={HTTPException: _unknown},
    )
    rest.router.redirect_slashes = False  # it would send callers to whatever their Host header names
    front: Handler = Front(hot, rest)
    if cors_origins:
        exposed = ["x-llmgw-request-id", "x-llmgw-tier", "x-llmgw-target", "x-llmgw-cache", "x-llmgw-cost"]
        return CORSMiddleware(
            front,
            allow_origins=cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=exposed,
        )
    return front


def operations(
    gateway: Gateway,
    desks: Callable[[str], Desk],
    histories: pulse.Histories,
    door: prometheus.Door = prometheus.CLOSED,
) -> list[Operation]:
    """Everything that is served, hot paths too."""
    every = [
        *chat.OPERATIONS,
        *models.operations(gateway),
        *feedback.operations(gateway),
        *health.operations(gateway),
        *budget.operations(gateway),
        *metrics.operations(gateway),
        *prometheus.operations(gateway, door),
        *admin.operations(gateway),
        *cache.operations(gateway),
        *desk.operations(gateway, desks),
        *pulse.operations(gateway, histories),
        *live.operations(gateway),
        *(
            Operation("GET", path, "Knock", Access.OPEN, _welcome, answers=(Welcome,), name=name)
            for path, name in (("/", "Welcome"), ("/api/hello", "Hello"))
        ),
        docs.operation(),
    ]
    every.append(openapi.operation(every))
    return every


async def _welcome(_request: Request, _key: Key | None) -> Response:
    return answer(Welcome("llmgw", __version__, ("/v1/chat/completions", "/v1/messages")))


async def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    path = request.scope["path"]  # a URL would be made of the Host header too
    failure = (
        NotFound(
            f"there is nothing at {path}",
            hint="there are /v1/chat/completions, /v1/messages and /v1/models; Anthropic's SDKs add the /v1 themselves",
        )
        if status == 404
        else BadRequest(f"{request.method} is not understood at {path}", status=status)
    )
    body = caller_dialect("anthropic" if "anthropic-version" in request.headers else "openai_chat")
    headers = error.headers if isinstance(error, HTTPException) else None  # what is allowed, with a 405
    return Response(body.render_error(failure, ""), status, headers=headers, media_type="application/json")
