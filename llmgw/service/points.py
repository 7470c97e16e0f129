"""Counters as metrics of OpenTelemetry, by its conventions for generative AI, with what each cost beside them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData

from llmgw.domain.money import NANO
from llmgw.rules.conventions import operation, provider
from llmgw.service.spans import SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.resources import Resource

    from llmgw.domain.clock import Nanoseconds
    from llmgw.rules.counters import Counters, Histogram

Name = tuple[tuple[str, str], ...]


def metrics_of(counters: Counters, now: Nanoseconds, resource: Resource) -> MetricsData:
    """All of them, cumulative since the gateway began."""
    span = counters.began, now
    found = [
        _histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens of a request",
            (
                (_used(surface, name, model, ("gen_ai.token.type", kind)), each)
                for (surface, name, model, kind), each in counters.tokens.items()
            ),
            1,
            span,
        ),
        _histogram(
            "gen_ai.server.request.duration",
            "s",
            "How long requests took which reached a target",
            (
                (_used(surface, name, model, *([("error.type", error)] if error else [])), each)
                for (surface, name, model, error), each in counters.duration.items()
            ),
            1_000_000,
            span,
        ),
        _histogram(
            "gen_ai.server.time_to_first_token",
            "s",
            "How long until the first token",
            ((_used(*target), each) for target, each in counters.first_token.items()),
            1_000_000,
            span,
        ),
        *_sums(counters, span),
    ]
    scope = ScopeMetrics(SCOPE, found, SCOPE.schema_url or "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _sums(counters: Counters, span: tuple[Nanoseconds, Nanoseconds]) -> list[Metric]:
    requests: dict[Name, float] = defaultdict(float)
    cost: dict[Name, float] = defaultdict(float)
    saved: dict[Name, float] = defaultdict(float)
    for kind, counts in counters.sums.items():
        target = (
            ("gen_ai.provider.name", provider(kind.provider)),
            ("gen_ai.response.model", kind.model),
            ("llmgw.tier", kind.tier),
        )
        requests[(*target, ("llmgw.cache", kind.cache), ("error.type", kind.error))] += counts.requests
        cost[target] += counts.cost / NANO
        saved[target] += counts.saved / NANO
    return [
        _sum("llmgw.requests", "{request}", "Requests", requests, span),
        _sum("llmgw.cost", "{USD}", "Dollars spent", cost, span),
        _sum(
            "llmgw.cache.saved", "{USD}", "Dollars that answers from our caches would have cost", saved, span
        ),
    ]


def _used(surface: str, name: str, model: str, *more: tuple[str, str]) -> Name:
    return (
        ("gen_ai.operation.name", operation(surface)),
        ("gen_ai.provider.name", provider(name)),
        ("gen_ai.response.model", model),
        *more,
    )


def _histogram(
    name: str,
    unit: str,
    text: str,
    values: Iterable[tuple[Name, Histogram]],
    size: int,
    span: tuple[Nanoseconds, Nanoseconds],
) -> Metric:
    sums: dict[Name, Histogram] = {}
    for each, histogram in values:
        sums[each] = sums[each] + histogram if each in sums else histogram
    nothing: Any = None  # the least and the most are not known, and are optional
    points = [
        HistogramDataPoint(
            attributes=dict(each),
            start_time_unix_nano=span[0],
            time_unix_nano=span[1],
            count=sum(histogram.classes),
            sum=histogram.sum / size,
            bucket_counts=tuple(histogram.classes),
            explicit_bounds=tuple(bound / size for bound in histogram.bounds),
            min=nothing,
            max=nothing,
        )
        for each, histogram in sums.items()
    ]
    return Metric(name, text, unit, HistogramData(points, AggregationTemporality.CUMULATIVE))


def _sum(
    name: str, unit: str, text: str, values: dict[Name, float], span: tuple[Nanoseconds, Nanoseconds]
) -> Metric:
    points = [
        NumberDataPoint({key: word for key, word in each if word}, span[0], span[1], value)
        for each, value in values.items()
    ]
    return Metric(name, text, unit, Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True))
