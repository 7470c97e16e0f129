"""OpenRouter: many providers behind one address; models are named `maker/model`."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="openrouter",
    title="OpenRouter",
    dialect="openai_chat",
    base_url="https://openrouter.ai/api/v1",
    tier=Tier.CHEAP,
    credentials=("OPENROUTER_API_KEY",),
    reasoning_models=("*",),
    reasoning_field="reasoning_details",
    accepts=frozenset(
        {
            "min_p",
            "models",
            "plugins",
            "preset",
            "provider",
            "repetition_penalty",
            "top_a",
            "top_k",
            "transforms",
            "usage",
        }
    ),
    cache_control=True,
    price_id="openrouter",
    model_patterns=(
        "anthropic/*",
        "google/*",
        "openai/*",
        "deepseek/*",
        "x-ai/*",
        "z-ai/*",
        "mistralai/*",
        "openrouter/*",
    ),
    default_models=("deepseek/deepseek-v3.2", "openai/gpt-5.4-mini", "anthropic/claude-sonnet-4.6"),
    docs_url="https://openrouter.ai/docs",
)
