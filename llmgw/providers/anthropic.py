"""Anthropic: Claude through its own Messages API."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="anthropic",
    title="Anthropic",
    dialect="anthropic",
    base_url="https://api.anthropic.com/v1",
    tier=Tier.PREMIUM,
    credentials=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_SETUP_TOKEN"),
    auth="x-api-key",
    headers=(("anthropic-version", "2023-06-01"),),
    chat_path="/messages",
    models_path="/models",
    stream_usage="always",
    price_id="anthropic",
    model_patterns=("claude-*",),
    default_models=("claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5"),
    docs_url="https://platform.claude.com/docs",
)


def is_setup_token(credential: str) -> bool:
    """Whether this is a subscription's token (``claude setup-token``), which must never travel as ``x-api-key``."""
    return credential.strip().startswith("sk-ant-oat")
