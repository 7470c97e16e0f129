"""A past for the demo's ledger: a month of requests, the last day in more detail, written as they would have been."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from llmgw.domain.budget import Budget, Window
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.ledger import AttemptState, CacheVerdict, Hold, Outcome, RequestRow, first_id
from llmgw.domain.money import NANO
from llmgw.domain.route import Decision, Tier
from llmgw.domain.scope import parse_scope
from llmgw.domain.usage import Usage
from llmgw.rules.windows import HOUR, bucket
from llmgw.service.demo.world import AUTO, CALLERS, MODELS
from llmgw.storage.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from llmgw.domain.clock import Nanoseconds
    from llmgw.service.demo.world import Caller, Model

DAY = 24 * HOUR
DAYS = 30
GAPS = ((HOUR, 10**9), (DAY, 25 * 10**9), (DAYS * DAY, 420 * 10**9))
"""So long ago at most, and the nanoseconds between two requests: lately as many as there are going to be."""
BATCH = 1000
PREMIUM = MODELS[-1]
GAINS = {Tier.LOCAL: 0.02, Tier.CHEAP: 0.08, Tier.PREMIUM: 0.4}
"""By how much a premium model was expected to answer better, where the score chose a tier."""
HITS = (
    CacheVerdict.EXACT,
    CacheVerdict.EXACT,
    CacheVerdict.EXACT,
    CacheVerdict.SEMANTIC,
    CacheVerdict.JOINED,
)


class Past(NamedTuple):
    """A request that was, and what it tried."""

    request: RequestRow
    hold: Hold | None
    outcome: Outcome | None


async def write_past(
    database: Path, keys: dict[str, int], now: Nanoseconds, seed: int = 3
) -> list[RequestRow]:
    """Fill the ledger at ``database`` up to a moment; ``keys`` are ids by name. The rows that were written."""
    ledger = Ledger.open(database, "demo", SYSTEM_CLOCK)
    try:
        past = list(_requests(now, keys, Random(seed)))  # noqa: S311 (nothing is kept secret by it)
        for start in range(0, len(past), BATCH):
            part = past[start : start + BATCH]
            await asyncio.gather(*(ledger.hold(each.hold) for each in part if each.hold))
            await asyncio.gather(
                *(
                    ledger.settle(each.outcome, each.request) if each.outcome else ledger.record(each.request)
                    for each in part
                )
            )
    finally:
        await asyncio.to_thread(ledger.close)
    return [each.request for each in past]


def budgets(rows: list[RequestRow], now: Nanoseconds, zone: ZoneInfo) -> list[Budget]:
    """Ceilings that what was spent has come believably near to."""

    def spent(window: Window, **who: str) -> int:
        since = bucket(window, now, zone).start_ns
        mine = (
            row
            for row in rows
            if row.started_at >= since and all(getattr(row, name) == value for name, value in who.items())
        )
        return sum(row.cost or 0 for row in mine)

    def ceiling(amount: int, used: float) -> int:
        return max(1, -(-round(amount / used) // NANO)) * NANO

    return [
        Budget(scope=parse_scope("all"), window=Window.MONTH, hard=ceiling(spent(Window.MONTH), 0.6)),
        Budget(
            scope=parse_scope("tenant:ml"),
            window=Window.WEEK,
            hard=ceiling(spent(Window.WEEK, tenant="ml"), 0.85),
            warn=(80, 95),
        ),
        Budget(
            scope=parse_scope("key:ci"),
            window=Window.DAY,
            hard=ceiling(spent(Window.DAY, key_name="ci"), 0.2),
            on_exceed="downgrade:local",
        ),
        Budget(
            scope=parse_scope("key:bot"),
            window=Window.DAY,
            hard=ceiling(spent(Window.DAY, key_name="bot"), 0.4),
        ),
    ]


def _requests(now: Nanoseconds, keys: dict[str, int], random: Random) -> Iterator[Past]:
    at, number = now - DAYS * DAY, 0
    weights = [caller.weight for caller in CALLERS]
    while True:
        gap = next(gap for ago, gap in GAPS if at >= now - ago)
        night = gap > GAPS[0][1] and not 7 <= at % DAY // HOUR < 20
        at += round(gap * random.expovariate(1) * (3 if night else 1))
        if at >= now - 10**10:
            return
        number += 1
        (caller,) = random.choices(CALLERS, weights)
        yield _one(caller, keys[caller.key], first_id(at) + number % 1000, at, random)


def _one(caller: Caller, key_id: int, number: int, at: Nanoseconds, random: Random) -> Past:
    (asked,) = random.choices(list(caller.models), list(caller.models.values()))
    model = _reached(asked, random)
    who: dict[str, Any] = {
        "started_at": at,
        "tenant": caller.tenant,
        "user": caller.user,
        "key_id": key_id,
        "key_name": caller.key,
        "tags": ",".join(sorted(caller.tags)),
        "surface": "chat",
        "stream": random.random() < caller.stream,
        "model_asked": asked,
    }
    target: dict[str, Any] = {"provider": model.provider, "model": model.name, "tier": model.tier.value}
    usage, cost, premium = _used(caller, model, random)
    chance = random.random()
    if chance < 0.006:
        refused = RequestRow(
            id=number, **who, status=429, error="rate_limited", cost=0, premium_cost=0, latency_us=300
        )
        return Past(refused, None, None)
    if chance < 0.36:
        verdict = random.choice(HITS)
        took = random.randint(600, 2500) if verdict is not CacheVerdict.JOINED else 400_000
        hit = RequestRow(
            id=number,
            **who,
            **target,
            cache=verdict,
            status=200,
            usage=usage,
            cost=0,
            premium_cost=0,
            saved=cost,
            latency_us=took,
            ttft_us=took,
            finish_reason="stop",
        )
        return Past(hit, None, None)
    first = round(model.first_ms * 1000 * random.lognormvariate(0, 0.3))
    took = first + usage.output_tokens * 1_000_000 // model.speed
    failed = chance > 0.99
    ended: dict[str, Any] = {
        "status": 502 if failed else 200,
        "error": "upstream_error" if failed else "",
        "usage": Usage() if failed else usage,
        "cost": 0 if failed else cost,
        "premium_cost": 0 if failed else premium,
        "ttft_us": None if failed else first,
        "latency_us": first if failed else took,
        "finish_reason": "" if failed else "stop",
    }
    decision = None
    if asked == AUTO:
        decision = Decision(
            tier=model.tier.value,
            target=f"{model.provider}/{model.name}",
            reason="score",
            gain=GAINS[model.tier],
            premium=0.92,
            quality=0.5,
        )
    row = RequestRow(
        id=number, **who, **target, **ended, cache=CacheVerdict.MISS, attempts=1, decision=decision
    )
    hold = Hold(request_id=number, attempt=1, **who, **target, cost=cost * 3)
    outcome = Outcome(
        request_id=number,
        attempt=1,
        state=AttemptState.RELEASED if failed else AttemptState.SETTLED,
        ended_at=at + row.latency_us * 1000,
        **ended,
    )
    return Past(row, hold, outcome)


def _reached(asked: str, random: Random) -> Model:
    if asked == AUTO:
        return random.choices(MODELS, (10, 6, 4, 2, 1))[0]
    return next(each for each in MODELS if each.name == asked)


def _used(caller: Caller, model: Model, random: Random) -> tuple[Usage, int, int]:
    """Tokens, and what they cost there and at the premium model."""
    scale = 5 if model.tier is Tier.PREMIUM else 2
    read, written = random.randint(caller.tokens, caller.tokens * scale), random.randint(20, 320)
    usage = Usage(input_tokens=read, output_tokens=written, cache_read_tokens=int(read * model.cached))
    return usage, _cost(model, usage), _cost(PREMIUM, usage)


def _cost(model: Model, usage: Usage) -> int:
    """Nano-dollars; what comes from a provider's cache costs a tenth."""
    fresh = usage.input_tokens - usage.cache_read_tokens
    return round(
        (fresh + usage.cache_read_tokens / 10) * model.input * 1000
        + usage.output_tokens * model.output * 1000
    )
