"""Cerebras: open models on wafer-sized chips."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="cerebras",
    title="Cerebras",
    dialect="openai_chat",
    base_url="https://api.cerebras.ai/v1",
    tier=Tier.CHEAP,
    credentials=("CEREBRAS_API_KEY",),
    max_tokens_field="max_completion_tokens",
    reasoning_models=("gpt-oss-*", "zai-glm-*"),
    unsupported=frozenset({"frequency_penalty", "logit_bias", "presence_penalty"}),
    accepts=frozenset({"clear_thinking"}),
    reasoning_field="reasoning",
    price_id="cerebras",
    default_models=("gpt-oss-120b", "llama3.1-8b"),
    docs_url="https://inference-docs.cerebras.ai",
)
