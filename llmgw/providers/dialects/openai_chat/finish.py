"""Reasons to stop: the words of OpenAI-compatible upstreams, and back."""

from __future__ import annotations

from llmgw.domain.chat import FinishReason

_READ = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.REFUSAL,
    "error": FinishReason.ERROR,
    "model_length": FinishReason.LENGTH,  # Mistral
    "max_tokens": FinishReason.LENGTH,  # what upstreams pass through from their own engines
    "tool_use": FinishReason.TOOL_CALLS,
    "safety": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,  # Z.ai
    "network_error": FinishReason.ERROR,
    "insufficient_system_resource": FinishReason.ERROR,  # DeepSeek
}

_WRITE = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.PAUSE: "stop",
    FinishReason.ERROR: "error",
}


def read_finish(word: object) -> FinishReason | None:
    """The neutral reason; a word nobody knows means that the model stopped by itself, no word that it has not."""
    return _READ.get(word.lower(), FinishReason.STOP) if isinstance(word, str) and word else None


def write_finish(reason: FinishReason | None) -> str | None:
    return None if reason is None else _WRITE[reason]
