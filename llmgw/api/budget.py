"""``GET /api/budget`` (D-24): what today has cost, and how far the day's budget of everybody is from its marks."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.money import NANO
from llmgw.domain.route import Tier
from llmgw.domain.scope import ALL
from llmgw.errors import GatewayError
from llmgw.gates.authenticate import token_of
from llmgw.providers.registry import caller_dialect
from llmgw.rules.windows import Bucket, bucket
from llmgw.storage.reports import Totals

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from starlette.requests import Request

    from llmgw.domain.money import NanoUSD
    from llmgw.gates.state import Gateway

HITS = ("exact", "semantic", "joined")
NO_BUDGET = Budget(scope=ALL, window=Window.DAY)


def routes(gateway: Gateway) -> list[Route]:
    """The routes of this surface."""

    async def budget(request: Request) -> Response:
        now = gateway.clock.now()
        try:
            gateway.keys.find(token_of(dict(request.scope["headers"])) or b"", now)
            gateway.purse.refresh(now)
            day = bucket(Window.DAY, now, gateway.purse.zone)
            by_tier, by_cache = await asyncio.to_thread(_today, gateway, day)
        except GatewayError as error:
            body = caller_dialect("openai_chat").render_error(error, "")
            return Response(body, error.status, media_type="application/json")
        return JSONResponse(_body(gateway, now, day, by_tier, by_cache))

    return [Route("/api/budget", budget)]


def _today(gateway: Gateway, day: Bucket) -> tuple[dict[str, Totals], dict[str, Totals]]:
    """The day's sums by tier and by cache verdict."""
    reports, zone = gateway.ledger.reports, gateway.purse.zone
    by_tier, by_cache = (
        {line.group: line.totals for line in reports.report(Window.DAY, zone, day.start_ns, day.end_ns, by)}
        for by in ("tier", "cache")
    )
    return by_tier, by_cache


def _body(
    gateway: Gateway, now: int, day: Bucket, by_tier: dict[str, Totals], by_cache: dict[str, Totals]
) -> dict[str, Any]:
    states = gateway.purse.reservations.states(now)
    of_all = (state for state in states if state[0].name == (ALL, Window.DAY, Unit.MONEY))
    budget, spent, held = next(of_all, (NO_BUDGET, 0, 0))
    return {
        "date": day.id,
        "daily_spent": _dollars(sum(totals.cost for totals in by_tier.values())),
        "request_count": sum(totals.requests for totals in by_tier.values()),
        "cheap_cost": _dollars(by_tier.get(Tier.CHEAP, Totals()).cost),
        "premium_cost": _dollars(by_tier.get(Tier.PREMIUM, Totals()).cost),
        "cache_hits": sum(by_cache[hit].requests for hit in HITS if hit in by_cache),
        "level": _level(budget, spent),
        "limits": {
            "soft": _dollars(budget.soft),
            "medium": _dollars(budget.medium),
            "hard": _dollars(budget.hard),
        },
        "remaining": None if budget.hard is None else _dollars(max(0, budget.hard - spent - held)),
        "reset_at": _local(day.end_ns, gateway.purse.zone),
    }


def _level(budget: Budget, spent: NanoUSD) -> str:
    """The highest mark that is reached: ``hard``, ``medium``, ``soft``, or ``ok``."""
    marks = (("hard", budget.hard), ("medium", budget.medium), ("soft", budget.soft))
    return next((name for name, mark in marks if mark is not None and spent >= mark), "ok")


def _dollars(nano: NanoUSD | None) -> float | None:
    return None if nano is None else nano / NANO


def _local(moment: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(moment // NANO, zone).isoformat()
