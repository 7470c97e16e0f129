"""Perplexity: answers from the web. It has no list of models, and every chunk of a stream tells usage so far."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="perplexity",
    title="Perplexity",
    dialect="openai_chat",
    base_url="https://api.perplexity.ai",
    tier=Tier.PREMIUM,
    credentials=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
    stream_usage="always",
    reasoning_models=("sonar-deep-research", "sonar-reasoning*"),
    accepts=frozenset({"search_domain_filter", "search_mode", "search_recency_filter", "top_k"}),
    unsupported=frozenset({"max_completion_tokens"}),
    price_id="perplexity",
    model_patterns=("sonar*",),
    default_models=("sonar", "sonar-pro", "sonar-reasoning-pro"),
    docs_url="https://docs.perplexity.ai",
)
