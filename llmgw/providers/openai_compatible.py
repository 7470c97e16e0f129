"""Any server that speaks OpenAI Chat Completions, at an address that the operator names."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="openai_compatible",
    title="OpenAI-compatible server",
    dialect="openai_chat",
    base_url="http://localhost:11434/v1",
    tier=Tier.LOCAL,
    reasoning_models=("*",),
    accepts=frozenset({"chat_template_kwargs", "min_p", "repetition_penalty", "top_k"}),
    docs_url="https://platform.openai.com/docs/api-reference/chat",
)
