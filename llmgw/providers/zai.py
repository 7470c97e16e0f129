"""Z.ai: the GLM models."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="zai",
    title="Z.ai",
    dialect="openai_chat",
    base_url="https://api.z.ai/api/paas/v4",
    tier=Tier.CHEAP,
    credentials=("ZAI_API_KEY", "ZHIPUAI_API_KEY"),
    reasoning_field="reasoning_content",
    reasoning_models=("glm-5*",),
    unsupported=frozenset({"max_completion_tokens"}),
    price_id="zai",
    model_patterns=("glm-*",),
    default_models=("glm-5.3", "glm-5.2"),
    docs_url="https://docs.z.ai",
)
