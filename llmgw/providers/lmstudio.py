"""LM Studio on this machine."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="lmstudio",
    title="LM Studio",
    dialect="openai_chat",
    base_url="http://127.0.0.1:1234/v1",
    tier=Tier.LOCAL,
    reasoning_models=("*",),
    accepts=frozenset({"chat_template_kwargs", "min_p", "repetition_penalty", "top_k"}),
    unsupported=frozenset({"max_completion_tokens"}),
    probes=("http://127.0.0.1:1234/v1",),
    docs_url="https://lmstudio.ai/docs",
)
