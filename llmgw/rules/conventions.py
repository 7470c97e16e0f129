"""What OpenTelemetry's conventions for generative AI call the things that have other names here."""

from __future__ import annotations

_OPERATIONS = {"embeddings": "embeddings"}
_PROVIDERS = {"gemini": "gcp.gemini", "xai": "x_ai", "mistral": "mistral_ai"}


def operation(surface: str) -> str:
    """``gen_ai.operation.name`` of a surface."""
    return _OPERATIONS.get(surface, "chat")


def provider(name: str) -> str:
    """``gen_ai.provider.name`` of a provider."""
    return _PROVIDERS.get(name, name)
