"""Holds, outcomes and request rows with every field filled, for tests of what is remembered."""

from __future__ import annotations

from typing import Any

from llmgw.domain.clock import Clock
from llmgw.domain.ledger import AttemptState, Hold, Outcome, RequestRow
from llmgw.domain.usage import Usage

NOON = 1_795_262_400 * 10**9
"""2026-11-21 12:00 UTC."""

USAGE = Usage(input_tokens=1000, output_tokens=50, cache_read_tokens=600, reasoning_tokens=20)


def standing_clock(at: int = NOON) -> Clock:
    return Clock(now=lambda: at, tick=lambda: at)


def a_hold(number: int, attempt: int = 1, **changed: Any) -> Hold:
    fields = {
        "request_id": number,
        "attempt": attempt,
        "started_at": NOON,
        "tenant": "default",
        "user": "",
        "key_id": 1,
        "key_name": "ci",
        "tags": "nightly",
        "surface": "openai",
        "stream": True,
        "model_asked": "gateway-auto",
        "provider": "openai",
        "model": "gpt-5-nano",
        "tier": "cheap",
        "cost": 900,
    }
    return Hold(**fields | changed)


def an_outcome(number: int, attempt: int = 1, **changed: Any) -> Outcome:
    fields = {
        "request_id": number,
        "attempt": attempt,
        "state": AttemptState.SETTLED,
        "ended_at": NOON + 10**9,
        "status": 200,
        "usage": USAGE,
        "cost": 68,
        "premium_cost": 1000,
        "price": '{"input":50000000}',
        "ttft_us": 300_000,
        "latency_us": 1_000_000,
        "finish_reason": "stop",
        "upstream_id": "chatcmpl-1",
    }
    return Outcome(**fields | changed)


def a_request(number: int, **changed: Any) -> RequestRow:
    fields = {
        "id": number,
        "started_at": NOON,
        "tenant": "default",
        "user": "",
        "key_id": 1,
        "key_name": "ci",
        "tags": "nightly",
        "surface": "openai",
        "stream": True,
        "model_asked": "gateway-auto",
        "provider": "openai",
        "model": "gpt-5-nano",
        "tier": "cheap",
        "status": 200,
        "attempts": 1,
        "usage": USAGE,
        "cost": 68,
        "premium_cost": 1000,
        "ttft_us": 300_000,
        "latency_us": 1_000_000,
        "finish_reason": "stop",
    }
    return RequestRow(**fields | changed)


def a_refusal(number: int, **changed: Any) -> RequestRow:
    fields = {
        "provider": "",
        "model": "",
        "tier": "",
        "model_asked": "gpt-99",
        "status": 404,
        "error": "model_not_found",
        "attempts": 0,
        "usage": Usage(),
        "cost": 0,
        "premium_cost": 0,
        "ttft_us": None,
        "finish_reason": "",
    }
    return a_request(number, **fields | changed)
