"""vLLM on this machine; its usual port 8000 is the gateway's own, so its neighbours are asked too."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="vllm",
    title="vLLM",
    dialect="openai_chat",
    base_url="http://127.0.0.1:8001/v1",
    tier=Tier.LOCAL,
    reasoning_models=("*",),
    accepts=frozenset({"chat_template_kwargs", "min_p", "repetition_penalty", "top_k"}),
    reasoning_field="reasoning",
    probes=("http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/v1"),
    docs_url="https://docs.vllm.ai",
)
