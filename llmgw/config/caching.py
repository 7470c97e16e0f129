"""The tables of ``llmgw.toml`` about remembered answers."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from llmgw.config.section import Duration, Positive, Section


class ExactCache(Section, frozen=True):
    """Answers to the very same request: which are remembered, and for how long."""

    enabled: Annotated[bool, Meta(description="remember answers and give them again")] = True
    ttl: Annotated[Duration, Meta(min_length=2, description="how long an answer lives")] = "24h"
    ttl_deterministic: Annotated[
        Duration, Meta(min_length=2, description="how long one asked for with temperature 0 lives")
    ] = "7d"
    ttl_dated: Annotated[
        Duration, Meta(min_length=2, description="how long one to a prompt that speaks of today lives")
    ] = "1h"
    max_temperature: Annotated[
        float, Meta(ge=0, description="no answer asked for with a higher temperature is remembered")
    ] = 1.0
    tools: Annotated[bool, Meta(description="remember answers to requests that offer tools")] = False
    images: Annotated[
        bool, Meta(description="remember answers to requests that hold pictures or documents")
    ] = True
    join: Annotated[
        bool, Meta(description="let equal requests under way at one time share one upstream call")
    ] = True


class Idempotency(Section, frozen=True):
    ttl: Annotated[
        Duration, Meta(description="how long an answer is kept under its idempotency key; empty: not at all")
    ] = "24h"


class SemanticCache(Section, frozen=True):
    """Answers to requests that mean the same."""

    mode: Annotated[
        Literal["off", "shadow", "on"],
        Meta(description="shadow watches and shows what it would have answered, on answers"),
    ] = "shadow"
    max_error: Annotated[
        float,
        Meta(gt=0, lt=1, description="the promise: at most this share of its answers is wrong"),
    ] = 0.01
    ttl: Annotated[Duration, Meta(min_length=2, description="how long an answer serves other wordings")] = (
        "3d"
    )
    audit: Annotated[
        float, Meta(ge=0, le=1, description="share of its answers that are checked against a fresh one")
    ] = 0.03
    embedder: Annotated[
        str,
        Meta(
            description="auto, static, minilm, or a `provider/model` that makes embeddings; auto: the best there is"
        ),
    ] = "auto"
    candidates: Annotated[
        int, Meta(ge=1, le=64, description="how many remembered prompts are looked at closely")
    ] = 12


class Cache(Section, frozen=True):
    """Remembered answers, in cache.db beside the ledger's database."""

    size_mb: Annotated[Positive, Meta(description="largest size of cache.db; the least used goes first")] = (
        1024
    )
    memory_mb: Annotated[
        float, Meta(ge=0, description="memory for answers that are given often, in megabytes")
    ] = 64
    exact: ExactCache = ExactCache()
    idempotency: Idempotency = Idempotency()
    semantic: SemanticCache = SemanticCache()
