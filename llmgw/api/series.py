"""What Prometheus is told: counters of the gateway and its state now, as families of series, made when it asks.

The names of LLM Gateway v2.0 (``gateway_*``) stand beside those of OpenTelemetry's conventions (``gen_ai_*``) and our
own (``llmgw_*``). Labels hold what the operator named, or one of a few words; never a key, a user, or a name that a
caller made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from llmgw import __version__
from llmgw.domain.budget import Unit
from llmgw.domain.money import NANO
from llmgw.rules.conventions import operation, provider
from llmgw.rules.picture import TIERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from llmgw.gates.state import Gateway
    from llmgw.rules.counters import Counters, Histogram

MOST_BUDGETS = 200
"""Budgets that have series of their own, from the widest scope on."""

NONE = "none"
"""The tier of requests that reached no target."""

USED = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_response_model")


def families(gateway: Gateway, today_usd: float, cache_bytes: dict[str, int]) -> list[Metric]:
    """Every family, each with all of its series."""
    counters = gateway.counted.read()
    return [
        *_seed(counters, today_usd, cache_bytes, len(gateway.killswitch.running)),
        *_conventions(counters),
        *_requests(counters),
        *_budgets(gateway),
        *_upstreams(gateway, counters),
        _gauge("llmgw_ledger_healthy", "1 while requests can be written down", float(gateway.ledger.healthy)),
        InfoMetricFamily("llmgw_build", "The gateway", {"version": __version__}),
        _gauge("llmgw_start_time_seconds", "When the counters began, since the epoch", counters.began / NANO),
    ]


def _seed(counters: Counters, today_usd: float, cache_bytes: dict[str, int], active: int) -> Iterator[Metric]:
    """The names of LLM Gateway v2.0 and of its drafts."""
    total, tiers = counters.total(), counters.by("tier")
    routed = {name: tiers[name] for name in TIERS if name in tiers}
    errors = {name: each.requests for name, each in counters.by("error").items() if name}
    yield _counter("gateway_requests", "Requests", total.requests)
    yield _counter("gateway_cost", "Dollars spent", total.cost / NANO)
    yield _gauges(
        "gateway_cost_by_tier",
        "Dollars spent, by tier",
        ["tier"],
        {(name,): each.cost / NANO for name, each in routed.items()},
    )
    yield _gauge(
        "gateway_cache_hit_rate",
        "Percent of the requests that a cache was asked for and answered",
        100 * (counters.hit_rate() or 0),
    )
    yield _counters(
        "gateway_routing",
        "Requests, by the tier that they reached",
        ["tier"],
        {(name,): each.requests for name, each in routed.items()},
    )
    yield _counters(
        "gateway_blocked",
        "Requests that the gateway refused before any attempt, by reason",
        ["reason"],
        {(name,): count for name, count in counters.blocked.items()},
    )
    yield _counters(
        "gateway_errors",
        "Requests that failed, by error code",
        ["type"],
        {(name,): count for name, count in errors.items()},
    )
    yield _histograms(
        "gateway_latency_ms",
        "Milliseconds that requests took",
        [],
        (((), each) for each in counters.latency.values()),
        1000,
    )
    yield _histograms(
        "gateway_request_latency_seconds",
        "Seconds that requests took, by tier",
        ["tier"],
        (((name or NONE,), each) for name, each in counters.latency.items()),
    )
    yield _gauge("gateway_daily_spend_usd", "Dollars spent today, in the gateway's time zone", today_usd)
    yield _gauges(
        "gateway_cache_size_bytes",
        "Bytes that remembered answers take",
        ["cache_type"],
        {(name,): size for name, size in cache_bytes.items()},
    )
    yield _gauge("gateway_active_requests", "Requests under way", active)


def _conventions(counters: Counters) -> Iterator[Metric]:
    """What OpenTelemetry's conventions for generative AI name."""
    yield _histograms(
        "gen_ai_client_token_usage",
        "Tokens of a request",
        [*USED, "gen_ai_token_type"],
        (((*_used(*target), kind), each) for (*target, kind), each in counters.tokens.items()),
        1,
    )
    yield _histograms(
        "gen_ai_server_request_duration_seconds",
        "Seconds that requests took which reached a target",
        [*USED, "error_type"],
        (((*_used(*target), error), each) for (*target, error), each in counters.duration.items()),
    )
    yield _histograms(
        "gen_ai_server_time_to_first_token_seconds",
        "Seconds until the first token",
        USED,
        ((_used(*target), each) for target, each in counters.first_token.items()),
    )


def _requests(counters: Counters) -> Iterator[Metric]:
    """Requests, tokens and money by target."""
    requests: dict[tuple[str, ...], float] = {}
    sums: dict[str, dict[tuple[str, ...], float]] = {}
    for kind, counts in counters.sums.items():
        target = kind.tier or NONE, kind.provider, kind.model
        _add(requests, (*target, kind.surface, kind.cache, kind.status), counts.requests)
        for name, value in (
            ("cost_usd", counts.cost / NANO),
            ("premium_cost_usd", counts.premium_cost / NANO),
            ("cache_saved_usd", counts.saved / NANO),
            ("unpriced_requests", counts.unknown_cost),
            ("estimated_requests", counts.estimated),
            ("fallbacks", counts.fallbacks),
            ("downgrades", counts.downgraded),
            ("escalations", counts.escalated),
        ):
            _add(sums.setdefault(name, {}), target, value)
        for token in ("input", "output", "cache_read", "cache_write", "reasoning"):
            _add(sums.setdefault("tokens", {}), (*target, token), getattr(counts, f"{token}_tokens"))
    target_labels = ["tier", "provider", "model"]
    yield _counters(
        "llmgw_requests",
        "Requests, by target, surface, cache verdict and class of status",
        [*target_labels, "surface", "cache", "status"],
        requests,
    )
    for name, text in TEXTS.items():
        labels = [*target_labels, "type"] if name == "tokens" else target_labels
        yield _counters(f"llmgw_{name}", text, labels, sums.get(name, {}))


TEXTS = {
    "cost_usd": "Dollars spent, by target",
    "premium_cost_usd": "Dollars that the same tokens would have cost on the premium tier",
    "cache_saved_usd": "Dollars that answers from our caches would have cost",
    "unpriced_requests": "Requests whose price nobody knows, which are not in the cost",
    "estimated_requests": "Requests whose tokens were estimated",
    "fallbacks": "Requests that took more than one attempt",
    "downgrades": "Requests that a budget or the kill switch moved to a lower tier",
    "escalations": "Requests that a cascade passed upwards",
    "tokens": "Tokens, by target and type; cached ones are input tokens too",
}


def _budgets(gateway: Gateway) -> Iterator[Metric]:
    measures: dict[tuple[str, str], dict[tuple[str, ...], float]] = {}
    for budget, spent, held in gateway.purse.reservations.states(gateway.clock.now())[:MOST_BUDGETS]:
        money = budget.unit is Unit.MONEY
        labels = str(budget.scope), budget.window.value
        for measure, amount in (("spent", spent), ("held", held), ("limit", budget.hard)):
            if amount is not None:
                place = measures.setdefault((measure, "usd" if money else "tokens"), {})
                place[labels] = amount / NANO if money else amount
    words = {"spent": "Spent", "held": "Held by calls under way", "limit": "Ceiling"}
    for (measure, unit), values in sorted(measures.items()):
        text = f"{words[measure]} of a budget in its running window"
        yield _gauges(f"llmgw_budget_{measure}_{unit}", text, ["scope", "window"], values)


def _upstreams(gateway: Gateway, counters: Counters) -> Iterator[Metric]:
    """Breakers, providers' own limits, lines, and the kill switch."""
    target = ["provider", "model"]
    yield _gauges(
        "llmgw_breaker_open",
        "1 while other targets go before this one, which keeps failing; half of it when the next call tries it",
        target,
        {
            (each.provider, each.model): {"open": 1.0, "half-open": 0.5}.get(each.state.value, 0.0)
            for each in gateway.resilience.breakers.shown()
            if counters.knows(each.provider, each.model)
        },
    )
    rooms: dict[tuple[str, ...], float] = {}
    limits: dict[tuple[str, ...], float] = {}
    for heard in gateway.headroom.shown(gateway):
        if counters.knows(heard.provider, heard.model):
            for each in heard.allowances:
                rooms[heard.provider, heard.model, each.kind] = each.remaining
                if each.limit is not None:
                    limits[heard.provider, heard.model, each.kind] = each.limit
    yield _gauges(
        "llmgw_headroom_remaining",
        "What a provider says to leave of its own limits",
        [*target, "kind"],
        rooms,
    )
    yield _gauges("llmgw_headroom_limit", "The provider's own limit", [*target, "kind"], limits)
    lengths = gateway.queues.lengths()
    yield _gauges(
        "llmgw_slots_used",
        "Slots of an upstream that are taken",
        ["provider"],
        {(name,): running for name, (running, _) in lengths.items()},
    )
    yield _gauges(
        "llmgw_queue_length",
        "Calls in line for a slot of an upstream",
        ["provider"],
        {(name,): waiting for name, (_, waiting) in lengths.items()},
    )
    yield _gauges(
        "llmgw_kill_switch",
        "1 for each switch that is thrown",
        ["scope", "mode"],
        {(scope, kill.mode.value): 1 for scope, kill in gateway.killswitch.thrown.items()},
    )


def _used(surface: str, name: str, model: str) -> tuple[str, str, str]:
    return operation(surface), provider(name), model


def _add(sums: dict[tuple[str, ...], float], labels: tuple[str, ...], value: float) -> None:
    sums[labels] = sums.get(labels, 0) + value


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _counters(
    name: str, text: str, labels: Sequence[str], values: dict[tuple[str, ...], float] | dict[Any, Any]
) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, labels: Sequence[str], values: dict[Any, Any]) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def _filled(family: Any, values: dict[Any, Any]) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    metric: Metric = family
    return metric


def _histograms(
    name: str,
    text: str,
    labels: Sequence[str],
    values: Iterable[tuple[tuple[str, ...], Histogram]],
    unit: int = 1_000_000,
) -> Metric:
    """``unit`` is how much of what is counted makes one of what is told; those with equal labels are added up."""
    sums: dict[tuple[str, ...], Histogram] = {}
    for each, histogram in values:
        sums[each] = sums[each] + histogram if each in sums else histogram
    family = HistogramMetricFamily(name, text, labels=labels)
    for each, histogram in sums.items():
        bounds = [*(str(bound / unit) for bound in histogram.bounds), "+Inf"]
        family.add_metric(each, list(zip(bounds, histogram.up_to(), strict=True)), histogram.sum / unit)
    return family
