"""Google Gemini through its OpenAI-compatible endpoint."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="gemini",
    title="Google Gemini",
    dialect="openai_chat",
    base_url="https://generativelanguage.googleapis.com/v1beta/openai",
    tier=Tier.PREMIUM,
    credentials=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    reasoning_models=("gemini-2.5*", "gemini-3*"),
    unsupported=frozenset({"logit_bias", "seed", "store"}),
    price_id="google",
    model_patterns=("gemini-*", "gemma-*"),
    default_models=("gemini-3.1-pro-preview", "gemini-3.6-flash", "gemini-3.5-flash-lite"),
    docs_url="https://ai.google.dev/gemini-api/docs/openai",
)
