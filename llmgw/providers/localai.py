"""LocalAI on this machine, or anything else that speaks this dialect at its port, such as llama.cpp."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="localai",
    title="LocalAI",
    dialect="openai_chat",
    base_url="http://127.0.0.1:8080/v1",
    tier=Tier.LOCAL,
    reasoning_models=("*",),
    accepts=frozenset({"chat_template_kwargs", "min_p", "repetition_penalty", "top_k"}),
    unsupported=frozenset({"max_completion_tokens"}),
    probes=("http://127.0.0.1:8080/v1",),
    docs_url="https://localai.io",
)
