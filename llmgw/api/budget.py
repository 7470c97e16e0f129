"""``GET /api/budget`` (D-24): what today has cost, and how far the day's budget of everybody is from its marks."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from llmgw.api.operations import Access, Operation, answer
from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.money import NANO
from llmgw.domain.route import Tier
from llmgw.domain.scope import ALL
from llmgw.rules.windows import Bucket, bucket
from llmgw.storage.reports import Totals

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key
    from llmgw.domain.money import NanoUSD
    from llmgw.gates.state import Gateway

HITS = ("exact", "semantic", "joined")
NO_BUDGET = Budget(scope=ALL, window=Window.DAY)


class Marks(Struct, frozen=True):
    """Dollars; null where there is none."""

    soft: float | None
    medium: float | None
    hard: float | None


class Today(Struct, frozen=True, kw_only=True):
    """How today stands, in dollars; ``level`` is the highest mark of everybody's budget for a day that is reached."""

    date: str
    daily_spent: float
    request_count: int
    cheap_cost: float
    premium_cost: float
    cache_hits: int
    level: Annotated[str, Meta(description="`ok`, `soft`, `medium` or `hard`")]
    limits: Marks
    remaining: float | None
    reset_at: Annotated[str, Meta(description="when the day ends, with its offset from UTC")]


def operations(gateway: Gateway) -> list[Operation]:
    """The operations of this surface."""

    async def budget(_request: Request, _key: Key | None) -> Response:
        now = gateway.clock.now()
        gateway.purse.refresh(now)
        day = bucket(Window.DAY, now, gateway.purse.zone)
        by_tier, by_cache = await asyncio.to_thread(_today, gateway, day)
        return answer(_body(gateway, now, day, by_tier, by_cache))

    return [
        Operation(
            "GET",
            "/api/budget",
            "Tell what today has cost, and how far the day's budget is from its marks",
            Access.KEY,
            budget,
            answers=(Today,),
            name="Budget",
        )
    ]


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
) -> Today:
    states = gateway.purse.reservations.states(now)
    of_all = (state for state in states if state[0].name == (ALL, Window.DAY, Unit.MONEY))
    budget, spent, held = next(of_all, (NO_BUDGET, 0, 0))
    return Today(
        date=day.id,
        daily_spent=sum(totals.cost for totals in by_tier.values()) / NANO,
        request_count=sum(totals.requests for totals in by_tier.values()),
        cheap_cost=by_tier.get(Tier.CHEAP, Totals()).cost / NANO,
        premium_cost=by_tier.get(Tier.PREMIUM, Totals()).cost / NANO,
        cache_hits=sum(by_cache[hit].requests for hit in HITS if hit in by_cache),
        level=_level(budget, spent),
        limits=Marks(_dollars(budget.soft), _dollars(budget.medium), _dollars(budget.hard)),
        remaining=None if budget.hard is None else max(0, budget.hard - spent - held) / NANO,
        reset_at=_local(day.end_ns, gateway.purse.zone),
    )


def _level(budget: Budget, spent: NanoUSD) -> str:
    """The highest mark that is reached: ``hard``, ``medium``, ``soft``, or ``ok``."""
    marks = (("hard", budget.hard), ("medium", budget.medium), ("soft", budget.soft))
    return next((name for name, mark in marks if mark is not None and spent >= mark), "ok")


def _dollars(nano: NanoUSD | None) -> float | None:
    return None if nano is None else nano / NANO


def _local(moment: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(moment // NANO, zone).isoformat()
