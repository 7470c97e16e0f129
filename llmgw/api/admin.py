"""``POST /admin/kill-switch`` (D-21): the answers of LLM Gateway v2.0, for keys with admin rights."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.api.operations import Access, Operation, answer
from llmgw.domain.killswitch import PAID, Kill, Mode

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway

WIDEST = ("all", PAID)
"""The scopes that these answers are about, the wider one first."""


class Action(StrEnum):
    ENABLE = "enable"
    DISABLE = "disable"
    STATUS = "status"


class Switch(Struct, frozen=True):
    """What to do; ``reason`` is for ``enable``."""

    action: Action
    reason: str = "Manual activation"


class Switched(Struct, frozen=True):
    """``enabled`` or ``disabled``."""

    status: str


class SwitchStatus(Struct, frozen=True, kw_only=True):
    """The widest switch that is thrown, and how the last minute went; ``activated_at`` is seconds since the epoch."""

    mode: Mode
    reason: str | None
    activated_at: float | None
    activated_by: str | None
    error_rate: float
    recent_requests: int
    recent_errors: int


def operations(gateway: Gateway) -> list[Operation]:
    """The operations of this surface."""

    async def kill_switch(request: Request, key: Key | None) -> Response:
        match request.query_params.get("action"):
            case Action.ENABLE:
                reason = request.query_params.get("reason") or "Manual activation"
                by = key.name if key is not None and key.id else "api"
                now = gateway.clock.now()
                await _keep(gateway, Kill(scope="all", mode=Mode.KILL, reason=reason, by=by, at=now))
                return answer(Switched("enabled"))
            case Action.DISABLE:
                for scope in WIDEST:
                    await _keep(gateway, Kill(scope=scope, mode=Mode.OFF))
                return answer(Switched("disabled"))
            case Action.STATUS:
                return answer(_status(gateway))
            case _:
                return answer({"detail": "Invalid action"}, 400)

    return [
        Operation(
            "POST",
            "/admin/kill-switch",
            "Throw, lift or show the kill switch in the words of LLM Gateway v2.0",
            Access.ADMIN,
            kill_switch,
            takes=Switch,
            answers=(Switched, SwitchStatus),
            in_query=True,
            name="KillSwitch",
        )
    ]


async def _keep(gateway: Gateway, kill: Kill) -> None:
    """Write a switch down; once this returns it holds."""
    await asyncio.to_thread(gateway.killswitch.keep, kill)
    gateway.killswitch.look(gateway)


def _status(gateway: Gateway) -> SwitchStatus:
    switch = gateway.killswitch
    switch.look(gateway)
    kill = next((switch.thrown[scope] for scope in WIDEST if scope in switch.thrown), None)
    requests, errors, _ = switch.recent.figures(gateway.clock.tick())
    return SwitchStatus(
        mode=Mode.OFF if kill is None else kill.mode,
        reason=None if kill is None else kill.reason,
        activated_at=None if kill is None else kill.at / 1e9,
        activated_by=None if kill is None else kill.by,
        error_rate=errors / requests if requests else 0.0,
        recent_requests=requests,
        recent_errors=errors,
    )
