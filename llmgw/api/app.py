"""All surfaces behind one front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmgw import __version__
from llmgw.api import admin, anthropic, budget, health, models, openai
from llmgw.api.asgi import Front, Handler
from llmgw.errors import BadRequest, NotFound
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmgw.gates.state import Gateway


def build(gateway: Gateway, cors_origins: tuple[str, ...] = ()) -> Handler:
    """The ASGI application. Pages of ``cors_origins`` may call it from a browser (D-30)."""
    hot = openai.hot_paths(gateway) | anthropic.hot_paths(gateway)
    rest = Starlette(
        routes=[
            Route("/", _welcome),
            Route("/api/hello", _welcome),
            *models.routes(gateway),
            *health.routes(gateway),
            *budget.routes(gateway),
            *admin.routes(gateway),
        ],
        exception_handlers={HTTPException: _unknown},
    )
    rest.router.redirect_slashes = False  # it would send callers to whatever their Host header names
    front: Handler = Front(hot, rest)
    if cors_origins:
        exposed = ["x-llmgw-request-id", "x-llmgw-tier", "x-llmgw-target", "x-llmgw-cache", "x-llmgw-cost"]
        return CORSMiddleware(
            front,
            allow_origins=cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=exposed,
        )
    return front


async def _welcome(_: Request) -> Response:
    return JSONResponse(
        {"name": "llmgw", "version": __version__, "surfaces": ["/v1/chat/completions", "/v1/messages"]}
    )


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
    return Response(body.render_error(failure, ""), status, media_type="application/json")
