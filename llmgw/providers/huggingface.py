"""Hugging Face: a router before many providers; `model:provider` names one of them."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="huggingface",
    title="Hugging Face",
    dialect="openai_chat",
    base_url="https://router.huggingface.co/v1",
    tier=Tier.CHEAP,
    credentials=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
    reasoning_models=("openai/gpt-oss-*",),
    price_id="huggingface",
    default_models=("openai/gpt-oss-120b",),
    docs_url="https://huggingface.co/docs/inference-providers",
)
