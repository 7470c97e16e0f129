"""The tables of ``llmgw.toml`` about what machines are told of the gateway: metrics for Prometheus, OpenTelemetry."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from llmgw.config.section import Positive, Section, Url


class Metrics(Section, frozen=True):
    """Who may read /metrics; a key with admin rights always may."""

    open: Annotated[bool, Meta(description="anybody may read /metrics, without a key")] = False
    secret: Annotated[
        str, Meta(description="a bearer token that opens /metrics and nothing else, best as ${METRICS_TOKEN}")
    ] = ""


class Otel(Section, frozen=True):
    """Where traces and metrics of OpenTelemetry go, over OTLP/HTTP; prompts and answers are never in them."""

    endpoint: Annotated[
        Url, Meta(description="base address of a collector, as http://127.0.0.1:4318; empty: nowhere")
    ] = ""
    headers: Annotated[
        str, Meta(description="sent to it, as name=value,name=value, best as ${OTEL_EXPORTER_OTLP_HEADERS}")
    ] = ""
    service: Annotated[str, Meta(min_length=1, description="what the gateway calls itself there")] = "llmgw"
    traces: Annotated[bool, Meta(description="one span for each request, and one for each attempt")] = True
    metrics: Annotated[bool, Meta(description="counts, tokens, costs and durations")] = True
    seconds: Annotated[Positive, Meta(description="seconds between two deliveries")] = 5
