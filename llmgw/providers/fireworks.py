"""Fireworks AI: open models, named `accounts/fireworks/models/...`."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="fireworks",
    title="Fireworks AI",
    dialect="openai_chat",
    base_url="https://api.fireworks.ai/inference/v1",
    tier=Tier.CHEAP,
    credentials=("FIREWORKS_API_KEY",),
    reasoning_field="reasoning_content",
    reasoning_models=("*",),
    accepts=frozenset({"min_p", "repetition_penalty", "top_k"}),
    price_id="fireworks",
    model_patterns=("accounts/fireworks/*",),
    default_models=("accounts/fireworks/models/gpt-oss-120b",),
    docs_url="https://docs.fireworks.ai",
)
