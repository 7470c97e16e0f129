"""Remembered answers for tests that only look at them."""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import Any

from llmgw.domain.cache import Entry
from llmgw.domain.chat import ChatAnswer, Choice, FinishReason, Text
from llmgw.domain.usage import Usage

HOUR = 3_600_000_000_000
USAGE = Usage(input_tokens=20, output_tokens=30)


def an_entry(prompt: str = "What is a gateway?", **changes: Any) -> Entry:
    """An entry whose fingerprint follows from its tenant, model and prompt."""
    now = time.time_ns()
    fields: dict[str, Any] = {
        "context": bytes(32),
        "tenant": "default",
        "key_id": 1,
        "key_name": "ci",
        "tags": "",
        "model_asked": "gpt-5.4-mini",
        "provider": "openai",
        "model": "gpt-5.4-mini",
        "tier": "cheap",
        "kind": "usual",
        "prompt": prompt,
        "created_at": now,
        "expires_at": now + 24 * HOUR,
        "cost": 1_000_000,
        "latency_us": 2_000_000,
        "usage": USAGE,
    }
    fields |= changes
    name = repr([fields[part] for part in ("tenant", "model_asked", "prompt")])
    return Entry(**({"fingerprint": blake2b(name.encode(), digest_size=32).digest()} | fields))


def an_answer(text: str = "A gateway stands between two networks.") -> ChatAnswer:
    """A plain answer."""
    choice = Choice(0, (Text(text),), FinishReason.STOP)
    return ChatAnswer(id="answer-1", model="gpt-5.4-mini", choices=(choice,), usage=USAGE)
