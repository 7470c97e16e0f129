"""What promtool would find wrong with a scrape: read by Prometheus' own parsers, then looked at more strictly."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
NAME = re.compile(r"[a-z][a-z0-9_]*")
SUFFIXES = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_sum", "_count", "_created")}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(text: str, *, openmetrics: bool = False) -> dict[str, Metric]:
    """The families of a scrape by name; AssertionError for whatever a strict reader would refuse."""
    families = list((read_openmetrics if openmetrics else read_text)(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a family stands there twice"
    for family in families:
        check(family)
    return {family.name: family for family in families}


def series(families: dict[str, Metric]) -> Series:
    """Every sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }


def check(family: Metric) -> None:
    assert NAME.fullmatch(family.name), family.name
    assert family.documentation, f"{family.name} has no HELP"
    assert family.type not in {"unknown", "untyped"}, f"{family.name} has no TYPE"
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    for sample in family.samples:
        name = sample.name, frozenset(sample.labels.items())
        assert name not in seen, f"twice: {name}"
        seen.add(name)
        assert not math.isnan(sample.value), name
        if family.type in {"counter", "histogram"}:
            assert sample.value >= 0, name
            assert sample.name.endswith(SUFFIXES[family.type]), name
    if family.type == "histogram":
        check_histogram(family)


def check_histogram(family: Metric) -> None:
    """Buckets rise with their bounds, the last one is +Inf and equals the count, and there is a sum."""
    parts: dict[frozenset[tuple[str, str]], dict[str, float]] = {}
    sums: dict[str, dict[frozenset[tuple[str, str]], float]] = {"_sum": {}, "_count": {}}
    for sample in family.samples:
        rest = frozenset((name, value) for name, value in sample.labels.items() if name != "le")
        if sample.name.endswith("_bucket"):
            parts.setdefault(rest, {})[sample.labels["le"]] = sample.value
        else:
            sums[sample.name.removeprefix(family.name)][rest] = sample.value
    for rest, buckets in parts.items():
        bounds = [float(bound) for bound in buckets]
        counts = list(buckets.values())
        assert bounds == sorted(bounds), family.name
        assert counts == sorted(counts), f"{family.name} falls"
        assert bounds[-1] == math.inf, family.name
        assert counts[-1] == sums["_count"][rest], family.name
        assert rest in sums["_sum"], family.name
    assert parts.keys() == sums["_count"].keys(), family.name
