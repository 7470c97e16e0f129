"""`GET /api/metrics` and `GET /metrics`: figures of a running gateway for machines. # D-23 D-27"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway, upstream
from support.scraped import OPENMETRICS, scraped, series

from llmgw.config.caching import Cache, SemanticCache
from llmgw.config.telemetry import Metrics
from llmgw.domain.budget import Budget, Window
from llmgw.domain.money import NANO
from llmgw.domain.scope import parse_scope
from llmgw.storage.budgets import Budgets

MODEL = "openai/gpt-4o-mini"
TOKEN = "t0ken-of-prometheus"


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, fake: FakeOpenAI) -> Iterator[RunningGateway]:
    upstreams = [upstream("openai", fake.url + "/v1"), upstream("echo", "echo:")]
    with RunningGateway(
        tmp_path,
        upstreams,
        cache=Cache(semantic=SemanticCache(mode="off")),
        metrics=Metrics(secret=TOKEN),
    ) as running:
        yield running


def ask(gateway: RunningGateway, text: str, model: str = MODEL, **fields: Any) -> httpx.Response:
    call = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}], **fields}
    return httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=call, timeout=20)


def traffic(gateway: RunningGateway, fake: FakeOpenAI) -> list[dict[str, Any]]:
    """Ten answers, two of them from the cache, two failures, one of them refused here; the rows of the ledger."""
    for number in range(5):
        assert ask(gateway, f"question {number}").status_code == 200
    for number in range(3):
        assert ask(gateway, f"streamed {number}", stream=True).status_code == 200
    for number in range(2):
        again = ask(gateway, f"question {number}")
        assert again.headers["x-llmgw-cache"] == "exact"
    fake.behave(status=400)
    assert ask(gateway, "bad").status_code == 400
    Budgets(gateway.control).set(Budget(scope=parse_scope("all"), window=Window.DAY, hard=1))
    deadline = time.monotonic() + 5
    while ask(gateway, "too dear").status_code != 402:
        assert time.monotonic() < deadline
    while True:
        rows = gateway.requests()
        if rows[-1]["error"] == "budget_exceeded":
            return rows


def scrape(gateway: RunningGateway, **headers: str) -> httpx.Response:
    return httpx.get(gateway.url + "/metrics", headers={"authorization": f"Bearer {TOKEN}", **headers})


def test_the_shape_of_v2_holds_the_ledger(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """Every figure of /api/metrics is the one that the rows of the ledger add up to. # D-23"""
    rows = traffic(gateway, fake)
    told = httpx.get(gateway.url + "/api/metrics", headers=gateway.auth).json()
    assert told.keys() == {
        "window",
        "totals",
        "cache",
        "routing",
        "blocked",
        "errors",
        "latency_histogram",
    }
    cost = sum(row["cost"] or 0 for row in rows) / NANO
    assert told["window"]["seconds"] == 300
    assert told["window"]["requests"] == told["totals"]["requests"] == len(rows)
    assert told["totals"]["cost"] == told["window"]["cost"] == pytest.approx(cost)
    assert told["totals"]["cost_by_tier"] == {"premium": pytest.approx(cost)}
    latencies = sorted(row["latency_us"] / 1000 for row in rows)
    shown = told["window"]["latency_ms"]
    assert shown["avg"] == pytest.approx(sum(latencies) / len(latencies), rel=0.01)
    lower, upper = latencies[(len(latencies) - 1) // 2], latencies[len(latencies) // 2]
    assert lower / 1.3 <= shown["p50"] <= upper * 1.3
    assert shown["p50"] <= shown["p95"] <= shown["p99"]
    assert told["cache"]["hits_by_type"] == {"exact": 2}
    misses = sum(row["cache"] == "miss" for row in rows)
    assert told["cache"]["misses_by_type"] == {"exact": misses}
    assert told["cache"]["hit_rate"] == pytest.approx(100 * 2 / (2 + misses), abs=0.01)
    reached = [row for row in rows if row["tier"]]
    assert told["routing"] == {"counts": {"premium": len(reached)}, "percentages": {"premium": 100.0}}
    refused = sum(row["error"] == "budget_exceeded" for row in rows)
    assert told["blocked"] == {"budget_exceeded": refused}
    assert told["errors"] == {"upstream_refused": 1}
    assert told["latency_histogram"]["+Inf"] == len(rows)
    assert list(told["latency_histogram"].values()) == sorted(told["latency_histogram"].values())


def test_a_scrape_is_what_prometheus_reads(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """Both formats stand up to a strict reader, hold the old names and the new, and equal the ledger. # D-27"""
    rows = traffic(gateway, fake)
    reply = scrape(gateway)
    assert reply.headers["content-type"].startswith("text/plain")
    found = series(families := scraped(reply.text))
    assert found["gateway_requests_total", frozenset()] == len(rows)
    cost = sum(row["cost"] or 0 for row in rows) / NANO
    assert found["gateway_cost_total", frozenset()] == pytest.approx(cost)
    assert found["gateway_cost_by_tier", frozenset({("tier", "premium")})] == pytest.approx(cost)
    assert found["gateway_daily_spend_usd", frozenset()] == pytest.approx(cost)
    assert found["gateway_latency_ms_count", frozenset()] == len(rows)
    assert found["gateway_errors_total", frozenset({("type", "upstream_refused")})] == 1
    assert found["gateway_blocked_total", frozenset({("reason", "budget_exceeded")})] >= 1
    assert found["llmgw_budget_limit_usd", frozenset({("scope", "all"), ("window", "day")})] == 1e-9
    used = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "openai",
        "gen_ai_response_model": "gpt-4o-mini",
    }
    answered = [row for row in rows if row["model"] and not row["error"]]
    tokens = frozenset({**used, "gen_ai_token_type": "output"}.items())
    assert found["gen_ai_client_token_usage_sum", tokens] == sum(row["output_tokens"] for row in answered)
    assert found["gen_ai_client_token_usage_count", tokens] == len(answered)
    first = [row for row in answered if row["ttft_us"] is not None]
    assert found["gen_ai_server_time_to_first_token_seconds_count", frozenset(used.items())] == len(first)
    assert {
        "gateway_routing",
        "gateway_request_latency_seconds",
        "gateway_cache_size_bytes",
    } <= families.keys()
    opened = scrape(gateway, accept=OPENMETRICS)
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert scraped(opened.text, openmetrics=True).keys() >= {"gateway_requests", "llmgw_tokens"}


def test_who_may_scrape(gateway: RunningGateway) -> None:
    """The token of [metrics] opens /metrics and nothing else; a plain key does not, an admin key does."""
    with gateway.control as control:
        _, plain = control.create("plain")
    assert scrape(gateway).status_code == 200
    assert httpx.get(gateway.url + "/metrics").status_code == 401
    assert httpx.get(gateway.url + "/metrics", headers=gateway.auth).status_code == 200
    other = {"authorization": f"Bearer {TOKEN}"}
    assert httpx.get(gateway.url + "/api/metrics", headers=other).status_code == 401
    assert httpx.get(gateway.url + "/admin/status", headers=other).status_code == 401
    bearer = {"authorization": f"Bearer {plain}"}
    assert httpx.get(gateway.url + "/metrics", headers=bearer).status_code == 403


def test_an_open_door(tmp_path: Path) -> None:
    """With `open` anybody may scrape."""
    with RunningGateway(tmp_path, [upstream("echo", "echo:")], metrics=Metrics(open=True)) as running:
        assert httpx.get(running.url + "/metrics").status_code == 200


def test_names_that_callers_make_up_make_no_series(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """A hundred models that do not exist, and tags, add a handful of series and none of their names."""
    ask(gateway, "hello")
    before = series(scraped(scrape(gateway).text))
    fake.default = Behaviour(status=404)
    for number in range(100):
        reply = ask(gateway, "hello", f"openai/invented-{number}", user=f"u{number}")
        assert reply.status_code == 404
    text = scrape(gateway).text
    assert "invented" not in text
    after = series(scraped(text))
    assert len(after) < len(before) + 60
    assert sum(value for (name, _), value in after.items() if name == "gateway_requests_total") == 101


def test_without_the_extra(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where prometheus-client is not installed the answer is 501 and names the extra."""
    monkeypatch.setitem(sys.modules, "llmgw.api.series", None)
    reply = scrape(gateway)
    assert reply.status_code == 501
    assert reply.json()["error"]["code"] == "extra_missing"
    assert "llmgw[metrics]" in reply.json()["error"]["hint"]


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
METRIC = re.compile(r"\b((?:gateway|llmgw|gen_ai)_[a-z0-9_]+)\b(?=\s*[\[{)+/ ]|$)")
LABELS = re.compile(r"by \(([^)]*)\)|\{\{(\w+)\}\}")


def test_the_dashboard_names_only_what_there_is(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """Every metric and label that examples/grafana.json asks for stands in a scrape, or is a family of it. # D-27"""
    traffic(gateway, fake)
    families = scraped(scrape(gateway).text)
    known = set(families) | {sample.name for family in families.values() for sample in family.samples}
    known |= {f"{family.name}_total" for family in families.values() if family.type == "counter"}
    labels = {name for family in families.values() for sample in family.samples for name in sample.labels}
    dashboard = json.loads((EXAMPLES / "grafana.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for target in targets for name in METRIC.findall(target["expr"])} - labels
    assert len(asked) > 15
    assert asked <= known
    seen = {
        label.strip()
        for target in targets
        for found in LABELS.findall(target["expr"] + target["legendFormat"])
        for label in "".join(found).split(",")
    }
    empty = {"kind", "le"}  # of families that have no series in this traffic, and of buckets
    assert seen - labels <= empty
    assert [panel["id"] for panel in dashboard["panels"]] == list(range(1, len(dashboard["panels"]) + 1))
