"""xAI: Grok."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="xai",
    title="xAI",
    dialect="openai_chat",
    base_url="https://api.x.ai/v1",
    tier=Tier.PREMIUM,
    credentials=("XAI_API_KEY",),
    max_tokens_field="max_completion_tokens",
    reasoning_models=("grok-3-mini*", "grok-4.3*", "grok-4.5*"),
    price_id="x-ai",
    model_patterns=("grok-*",),
    default_models=("grok-4.5", "grok-4-1-fast-reasoning"),
    docs_url="https://docs.x.ai",
)
