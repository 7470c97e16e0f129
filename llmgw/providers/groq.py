"""Groq: open models at high speed. A stream tells usage unasked, in `x_groq`."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="groq",
    title="Groq",
    dialect="openai_chat",
    base_url="https://api.groq.com/openai/v1",
    tier=Tier.CHEAP,
    credentials=("GROQ_API_KEY",),
    stream_usage="always",
    max_tokens_field="max_completion_tokens",
    reasoning_models=("openai/gpt-oss-*", "qwen/qwen3*"),
    accepts=frozenset({"reasoning_format", "search_settings"}),
    reasoning_field="reasoning",
    unsupported=frozenset({"logprobs", "top_logprobs", "logit_bias"}),
    price_id="groq",
    model_patterns=("llama-3*", "meta-llama/*", "openai/gpt-oss-*", "qwen/*", "moonshotai/*", "groq/*"),
    default_models=("llama-3.3-70b-versatile", "llama-3.1-8b-instant", "openai/gpt-oss-120b"),
    docs_url="https://console.groq.com/docs/openai",
)
