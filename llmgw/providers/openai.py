"""OpenAI. Its reasoning models refuse the old name of the output limit, all take the new one."""

from __future__ import annotations

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="openai",
    title="OpenAI",
    dialect="openai_chat",
    base_url="https://api.openai.com/v1",
    tier=Tier.PREMIUM,
    credentials=("OPENAI_API_KEY",),
    max_tokens_field="max_completion_tokens",
    output_limits=(
        ("*gpt-4o*", 16_384),
        ("*gpt-4.1*", 32_768),
        ("gpt-4-turbo*", 4_096),
        ("gpt-4*", 8_192),
        ("*gpt-3.5*", 4_096),
        ("o[0-9]*", 100_000),
        ("gpt-5-chat*", 16_384),
        ("gpt-5*", 128_000),
    ),
    refuses_max_tokens=("o[0-9]*", "gpt-[5-9]*", "gpt-chat-latest"),
    reasoning_models=("o[0-9]*", "gpt-[5-9]*"),
    thoughtless_with_tools=("gpt-5.[2-9]", "gpt-5.[2-9]-[!c]*", "gpt-[6-9]*"),
    price_id="openai",
    model_patterns=("gpt-*", "o[0-9]*", "chatgpt-*", "ft:gpt-*"),
    default_models=("gpt-5.5", "gpt-5.4-mini", "gpt-5.4-nano"),
    docs_url="https://platform.openai.com/docs/api-reference/chat",
)
