"""DeepSeek. It knows `max_tokens` only, and after a tool call wants its reasoning back."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="deepseek",
    title="DeepSeek",
    dialect="openai_chat",
    base_url="https://api.deepseek.com",
    tier=Tier.CHEAP,
    credentials=("DEEPSEEK_API_KEY",),
    reasoning_models=("deepseek-v4*", "deepseek-reasoner"),
    reasoning_field="reasoning_content",
    unsupported=frozenset({"max_completion_tokens"}),
    price_id="deepseek",
    model_patterns=("deepseek-*",),
    default_models=("deepseek-chat", "deepseek-reasoner"),
    docs_url="https://api-docs.deepseek.com",
)
