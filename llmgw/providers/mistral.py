"""Mistral. It refuses fields that it does not know, and tells usage in the last chunk of every stream."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="mistral",
    title="Mistral",
    dialect="openai_chat",
    base_url="https://api.mistral.ai/v1",
    tier=Tier.CHEAP,
    credentials=("MISTRAL_API_KEY",),
    stream_usage="always",
    accepts=frozenset({"random_seed", "safe_prompt"}),
    unsupported=frozenset(
        {
            "logit_bias",
            "logprobs",
            "max_completion_tokens",
            "seed",
            "store",
            "stream_options",
            "top_logprobs",
            "user",
        }
    ),
    price_id="mistral",
    model_patterns=(
        "mistral-*",
        "codestral-*",
        "devstral-*",
        "magistral-*",
        "ministral-*",
        "pixtral-*",
        "voxtral-*",
        "open-mistral-*",
        "open-mixtral-*",
    ),
    default_models=("mistral-large-latest", "mistral-medium-latest", "mistral-small-latest"),
    docs_url="https://docs.mistral.ai/api",
)
