"""``POST /admin/kill-switch`` (D-21): the answers of LLM Gateway v2.0, for keys with admin rights."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmgw.domain.killswitch import PAID, Kill, Mode
from llmgw.errors import GatewayError, NotAllowed
from llmgw.gates.authenticate import token_of
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway

WIDEST = ("all", PAID)
"""The scopes that these answers are about, the wider one first."""


def routes(gateway: Gateway) -> list[Route]:
    """The routes of this surface."""

    async def kill_switch(request: Request) -> Response:
        try:
            key = admin_of(gateway, request)
            match request.query_params.get("action"):
                case "enable":
                    reason = request.query_params.get("reason") or "Manual activation"
                    by = key.name if key.id else "api"
                    now = gateway.clock.now()
                    kill = Kill(scope="all", mode=Mode.KILL, reason=reason, by=by, at=now)
                    await _keep(gateway, kill)
                    return JSONResponse({"status": "enabled"})
                case "disable":
                    for scope in WIDEST:
                        await _keep(gateway, Kill(scope=scope, mode=Mode.OFF))
                    return JSONResponse({"status": "disabled"})
                case "status":
                    return JSONResponse(_status(gateway))
                case _:
                    return JSONResponse({"detail": "Invalid action"}, 400)
        except GatewayError as error:
            body = caller_dialect("openai_chat").render_error(error, "")
            return Response(body, error.status, media_type="application/json")

    return [Route("/admin/kill-switch", kill_switch, methods=["POST"])]


def admin_of(gateway: Gateway, request: Request) -> Key:
    """The admin key of a request; Unauthenticated without a key, NotAllowed for any other one."""
    token = token_of(dict(request.scope["headers"])) or b""
    key = gateway.keys.find(token, gateway.clock.now())
    if not key.admin:
        raise NotAllowed(
            f"key `{key.name}` has no admin rights", hint="`llmgw key create NAME --admin` makes one that has"
        )
    return key


async def _keep(gateway: Gateway, kill: Kill) -> None:
    """Write a switch down; once this returns it holds."""
    await asyncio.to_thread(gateway.killswitch.keep, kill)
    gateway.killswitch.look(gateway)


def _status(gateway: Gateway) -> dict[str, Any]:
    switch = gateway.killswitch
    switch.look(gateway)
    kill = next((switch.thrown[scope] for scope in WIDEST if scope in switch.thrown), None)
    requests, errors, _ = switch.recent.figures(gateway.clock.tick())
    return {
        "mode": Mode.OFF if kill is None else kill.mode,
        "reason": None if kill is None else kill.reason,
        "activated_at": None if kill is None else kill.at / 1e9,
        "activated_by": None if kill is None else kill.by,
        "error_rate": errors / requests if requests else 0.0,
        "recent_requests": requests,
        "recent_errors": errors,
    }
