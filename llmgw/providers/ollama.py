"""Ollama, spoken to in its own words; it runs models on this machine and asks for no credential."""

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider

PROVIDER = Provider(
    name="ollama",
    title="Ollama",
    dialect="ollama",
    base_url="http://127.0.0.1:11434",
    tier=Tier.LOCAL,
    chat_path="/api/chat",
    models_path="/api/tags",
    stream_usage="always",
    max_tokens_field="num_predict",
    probes=("http://127.0.0.1:11434",),
    docs_url="https://docs.ollama.com",
)
