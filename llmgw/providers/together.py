"""Together AI: open models under their makers' names."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="together",
    title="Together AI",
    dialect="openai_chat",
    base_url="https://api.together.xyz/v1",
    tier=Tier.CHEAP,
    credentials=("TOGETHER_API_KEY",),
    reasoning_models=("openai/gpt-oss-*",),
    accepts=frozenset({"min_p", "repetition_penalty", "top_k"}),
    unsupported=frozenset({"max_completion_tokens"}),
    price_id="together",
    default_models=("meta-llama/Llama-3.3-70B-Instruct-Turbo",),
    docs_url="https://docs.together.ai",
)
