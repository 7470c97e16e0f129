"""What an OpenTelemetry collector receives of a running gateway, by the conventions for generative AI."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from support.collector import Collector, attributes
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.config.telemetry import Otel
from llmgw.domain.money import NANO
from llmgw.errors import ConfigInvalid
from llmgw.service import spans

KNOWN = {
    value
    for name, value in vars(gen_ai_attributes).items()
    if name.startswith("GEN_AI_") and isinstance(value, str)
}
CLIENT, SERVER, ERROR = 3, 2, 2
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def gateway(tmp_path: Path, collector: Collector, fake: FakeOpenAI, **otel: Any) -> RunningGateway:
    options = Otel(endpoint=collector.url, headers="x-team=blue", seconds=0.1, **otel)
    return RunningGateway(
        tmp_path,
        [
            upstream("openai", fake.url + "/v1"),
            upstream("groq", fake.url + "/v1", models=("llama-3.1-8b-instant",)),
        ],
        {"either": ("groq/llama-3.1-8b-instant", "openai/gpt-4o-mini")},
        otel=options,
    )


def ask(
    running: RunningGateway, text: str, model: str = "openai/gpt-4o-mini", **headers: str
) -> httpx.Response:
    call = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    return httpx.post(
        running.url + "/v1/chat/completions", headers={**running.auth, **headers}, json=call, timeout=20
    )


def test_a_request_is_a_span_and_its_attempts_are_children(
    tmp_path: Path, collector: Collector, fake: FakeOpenAI
) -> None:
    """Times, tokens, cost and errors of the spans are those of the ledger, and no word of a prompt is among them."""
    with gateway(tmp_path, collector, fake) as running:
        fake.behave(status=500)
        assert ask(running, "the-secret-prompt", "either", traceparent=PARENT).status_code == 200
        collector.wait(lambda: len(collector.spans) == 3)
        (row,), tried = running.requests(), running.attempts()
    request = next(span for span in collector.spans if span.kind == SERVER)
    children = [span for span in collector.spans if span.kind == CLIENT]
    told = attributes(request)
    assert request.trace_id.hex() == PARENT[3:35]
    assert request.parent_span_id.hex() == PARENT[36:52]
    assert request.name == "chat either"
    assert request.start_time_unix_nano == row["started_at"]
    assert request.end_time_unix_nano == row["started_at"] + row["latency_us"] * 1000
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.request.model"] == "either"
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.response.model"] == row["model"] == "gpt-4o-mini"
    assert told["gen_ai.usage.input_tokens"] == row["input_tokens"] > 0
    assert told["gen_ai.usage.output_tokens"] == row["output_tokens"] > 0
    assert told["gen_ai.response.finish_reasons"] == [row["finish_reason"]]
    assert told["llmgw.cost_usd"] == pytest.approx(row["cost"] / NANO)
    assert told["http.response.status_code"] == 200
    assert "error.type" not in told
    assert len(children) == len(tried) == 2
    for span, attempt in zip(
        sorted(children, key=lambda span: span.start_time_unix_nano), tried, strict=True
    ):
        assert span.parent_span_id == request.span_id
        assert span.trace_id == request.trace_id
        assert span.start_time_unix_nano == attempt["started_at"]
        facts = attributes(span)
        assert facts["server.address"] == "127.0.0.1"
        assert facts["server.port"] == int(fake.url.rpartition(":")[2])
        assert facts["http.response.status_code"] == attempt["status"]
        assert facts.get("error.type", "") == attempt["error"]
        assert (span.status.code == ERROR) == bool(attempt["error"])
    names = {name for span in collector.spans for name in attributes(span) if name.startswith("gen_ai.")}
    assert names <= KNOWN | {
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
    }
    assert collector.resources[0]["service.name"] == "llmgw"
    assert collector.headers["x-team"] == "blue"
    assert b"secret-prompt" not in collector.raw
    assert running.token.encode() not in collector.raw
    assert b"sk-upstream" not in collector.raw


def test_metrics_by_the_conventions(tmp_path: Path, collector: Collector, fake: FakeOpenAI) -> None:
    """Tokens, durations and costs arrive as cumulative sums and histograms that equal the ledger."""
    with gateway(tmp_path, collector, fake) as running:
        for number in range(3):
            assert ask(running, f"hello {number}").status_code == 200
        rows = running.requests()

        def told() -> bool:
            metric = collector.metrics.get("llmgw.requests")
            return metric is not None and sum(point.as_double for point in metric.sum.data_points) == 3

        collector.wait(told)
    usage = collector.metrics["gen_ai.client.token.usage"]
    assert usage.unit == "{token}"
    points = {attributes(point)["gen_ai.token.type"]: point for point in usage.histogram.data_points}
    assert points["input"].sum == sum(row["input_tokens"] for row in rows)
    assert points["output"].sum == sum(row["output_tokens"] for row in rows)
    assert points["input"].count == sum(points["input"].bucket_counts) == 3
    assert list(points["input"].explicit_bounds)[:4] == [1, 4, 16, 64]
    duration = collector.metrics["gen_ai.server.request.duration"]
    assert duration.unit == "s"
    assert duration.histogram.data_points[0].sum == pytest.approx(
        sum(row["latency_us"] for row in rows) / 1e6
    )
    cost = collector.metrics["llmgw.cost"].sum
    assert cost.is_monotonic
    assert cost.data_points[0].as_double == pytest.approx(sum(row["cost"] for row in rows) / NANO)


def test_an_unsampled_caller_is_left_alone(tmp_path: Path, collector: Collector, fake: FakeOpenAI) -> None:
    """Of a caller that does not sample no span is told, of one that says nonsense a trace of our own."""
    with gateway(tmp_path, collector, fake, metrics=False) as running:
        assert ask(running, "a", traceparent=PARENT[:-2] + "00").status_code == 200
        assert ask(running, "b", traceparent="00-" + "0" * 32 + "-zz").status_code == 200
        collector.wait(lambda: len(collector.spans) == 2)
    assert {span.trace_id.hex() for span in collector.spans} & {PARENT[3:35]} == set()
    assert collector.metrics == {}


def test_a_collector_that_is_away_disturbs_nobody(
    tmp_path: Path, collector: Collector, fake: FakeOpenAI
) -> None:
    """While it refuses, calls are answered as ever, and a gateway that stops does not hang."""
    collector.status = 400
    with gateway(tmp_path, collector, fake) as running:
        for number in range(3):
            assert ask(running, f"hello {number}").status_code == 200
    assert collector.spans == []


def test_what_stops_is_told_before(tmp_path: Path, collector: Collector, fake: FakeOpenAI) -> None:
    """A gateway that is stopped tells the last requests too."""
    with gateway(tmp_path, collector, fake, metrics=False) as running:
        collector.status = 200
        assert ask(running, "last words").status_code == 200
    assert [span.kind for span in collector.spans if span.kind == SERVER] == [SERVER]


def test_off_costs_nothing() -> None:
    """Without an endpoint OpenTelemetry is not even imported by the gateway's process."""
    words = "import llmgw.service.run, sys; print([m for m in sys.modules if m.startswith(('opentelemetry', 'prometheus'))])"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra(
    tmp_path: Path, collector: Collector, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint without OpenTelemetry installed is an error of the configuration that names the extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigInvalid) as refused, gateway(tmp_path, collector, fake):
        pass
    assert refused.value.hint is not None
    assert "llmgw[otel]" in refused.value.hint


def test_headers_that_are_none(tmp_path: Path, fake: FakeOpenAI, collector: Collector) -> None:
    """Headers that cannot be read are an error that does not repeat them."""
    options = Otel(endpoint=collector.url, headers="my-secret")
    upstreams = [upstream("openai", fake.url + "/v1")]
    with pytest.raises(ConfigInvalid) as refused, RunningGateway(tmp_path, upstreams, otel=options):
        pass
    assert "my-secret" not in str(refused.value)


def test_a_collector_that_never_ends_its_answer_holds_up_no_end(tmp_path: Path, fake: FakeOpenAI) -> None:
    """Each byte starts its time anew, yet the process ends as with any that is away."""

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while not over.wait(0.2):
                connection.sendall(b"x")

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        try:
            otel = Otel(endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}", seconds=0.1)
            with RunningGateway(tmp_path, [upstream("openai", fake.url + "/v1")], otel=otel) as running:
                assert ask(running, "hello").status_code == 200
                time.sleep(0.5)
        finally:
            over.set()
            thread.join()


def test_what_cannot_be_told_ends_no_telling(
    tmp_path: Path, collector: Collector, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that cannot be made a span of is lost; those after it are told."""
    made = spans.spans_of

    def broken(*given: Any) -> Any:
        monkeypatch.setattr(spans, "spans_of", made)
        raise ValueError("no such time")

    monkeypatch.setattr(spans, "spans_of", broken)
    with gateway(tmp_path, collector, fake, metrics=False) as running:
        assert ask(running, "lost").status_code == 200
        collector.wait(lambda: spans.spans_of is made)
        assert ask(running, "told").status_code == 200
        collector.wait(lambda: len(collector.spans) == 2)
