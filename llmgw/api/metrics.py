"""``GET /api/metrics`` (D-23): what the gateway has done since it began, in the shape of LLM Gateway v2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from llmgw.api.operations import Access, Operation, answer
from llmgw.domain.money import NANO
from llmgw.rules.counters import LATENCY
from llmgw.rules.picture import HERE, TIERS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Gateway
    from llmgw.rules.counters import Counters, Lately


class Latency(Struct, frozen=True):
    """Milliseconds, null without a request; percentiles are exact to a quarter of themselves."""

    p50: float | None
    p95: float | None
    p99: float | None
    avg: float | None


class Stretch(Struct, frozen=True):
    """The last minutes."""

    seconds: int
    requests: int
    latency_ms: Latency
    cost: Annotated[float, Meta(description="dollars")]


class Whole(Struct, frozen=True):
    """Since the gateway began; dollars."""

    requests: int
    cost: float
    cost_by_tier: dict[str, float]


class Hits(Struct, frozen=True):
    """Of those requests that a cache was asked for."""

    hit_rate: Annotated[float, Meta(description="percent; 0 without a request")]
    hits_by_type: dict[str, int]
    misses_by_type: Annotated[
        dict[str, int], Meta(description="how often each cache was asked and had nothing")
    ]


class Routing(Struct, frozen=True):
    """Requests by the tier that they reached."""

    counts: dict[str, int]
    percentages: dict[str, float]


class Metrics(Struct, frozen=True):
    """``blocked`` are requests that the gateway refused before any attempt, ``errors`` all others that failed, by code."""

    window: Stretch
    totals: Whole
    cache: Hits
    routing: Routing
    blocked: dict[str, int]
    errors: dict[str, int]
    latency_histogram: Annotated[
        dict[str, int], Meta(description="requests up to so many milliseconds, `+Inf`: all")
    ]


def operations(gateway: Gateway) -> list[Operation]:
    """The operations of this surface."""

    async def metrics(_request: Request, _key: Key | None) -> Response:
        counters = gateway.counted.read()
        semantic = gateway.caches is not None and gateway.caches.semantic is not None
        return answer(_body(counters, counters.lately(gateway.clock.now()), semantic=semantic))

    return [
        Operation(
            "GET",
            "/api/metrics",
            "Tell what the gateway has done since it began",
            Access.KEY,
            metrics,
            answers=(Metrics,),
            name="Metrics",
        )
    ]


def _body(counters: Counters, lately: Lately, *, semantic: bool) -> Metrics:
    total, by_tier, asked = counters.total(), counters.by("tier"), counters.by("cache")
    tiers = {name: by_tier[name] for name in TIERS if name in by_tier}
    routed = sum(counts.requests for counts in tiers.values())
    hits = {name: asked[name].requests for name in HERE if name in asked}
    missed = asked["miss"].requests if "miss" in asked else 0
    misses = {"exact": missed + hits.get("semantic", 0)} | ({"semantic": missed} if semantic else {})
    failed = {name: counts.requests for name, counts in counters.by("error").items() if name}
    errors = {name: count - counters.blocked.get(name, 0) for name, count in failed.items()}
    return Metrics(
        Stretch(
            lately.seconds,
            lately.requests,
            Latency(*map(_ms, (lately.p50_us, lately.p95_us, lately.p99_us, lately.mean_us))),
            lately.cost / NANO,
        ),
        Whole(total.requests, total.cost / NANO, {name: each.cost / NANO for name, each in tiers.items()}),
        Hits(round(100 * (counters.hit_rate() or 0), 2), hits, misses),
        Routing(
            {name: each.requests for name, each in tiers.items()},
            {name: round(100 * each.requests / routed, 2) for name, each in tiers.items()},
        ),
        dict(counters.blocked),
        {name: count for name, count in errors.items() if count},
        _histogram(counters),
    )


def _ms(span_us: int | None) -> float | None:
    return None if span_us is None else span_us / 1000


def _histogram(counters: Counters) -> dict[str, int]:
    names = [*(f"{bound / 1000:g}" for bound in LATENCY), "+Inf"]
    columns = zip(*(histogram.up_to() for histogram in counters.latency.values()), strict=True)
    return dict(zip(names, map(sum, columns), strict=True)) if counters.latency else dict.fromkeys(names, 0)
