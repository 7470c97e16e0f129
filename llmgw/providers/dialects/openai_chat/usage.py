"""Token counts of OpenAI-compatible upstreams, whatever their dialect of ``usage``, and back into OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmgw.domain.usage import MOST_TOKENS, Usage


def read_usage(told: object) -> Usage | None:
    """Counts from a ``usage`` object; None when it holds none or only zeros, which is how "unknown" is often said.

    What the variants disagree on is decided by their own total: xAI, Perplexity and Gemini leave reasoning out of
    ``completion_tokens``, Mistral leaves audio out of ``prompt_tokens``.
    """
    if not isinstance(told, Mapping):
        return None
    read = _part(told, "prompt_tokens_details", "input_tokens_details")
    wrote = _part(told, "completion_tokens_details", "output_tokens_details")
    taken = _first(told, "prompt_tokens", "input_tokens")
    given = _first(told, "completion_tokens", "output_tokens")
    reasoning = _first(wrote, "reasoning_tokens") or _first(told, "reasoning_tokens")
    audio = _first(read, "audio_tokens")
    beyond = _first(told, "total_tokens") - taken - given
    if audio and (audio > taken or audio == beyond):
        taken += audio
        beyond -= audio
    if reasoning > given * 1.2:  # a few more than all output is a provider counting with two tokenizers
        given += reasoning
    elif beyond > 0:
        given += beyond
        reasoning = max(reasoning, beyond)
    taken += _first(told, "citation_tokens")
    if taken == given == 0:
        return None
    cached = min(
        taken,
        _first(read, "cached_tokens")
        or _first(
            told, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cache_read_input_tokens"
        ),
    )
    written = _first(read, "cache_write_tokens", "cache_creation_tokens") or _first(
        told, "cache_creation_input_tokens"
    )
    return Usage(
        input_tokens=taken,
        output_tokens=given,
        cache_read_tokens=cached,
        cache_write_tokens=min(taken - cached, written),
        reasoning_tokens=min(given, reasoning),
        input_audio_tokens=min(taken, audio),
        output_audio_tokens=min(given, _first(wrote, "audio_tokens")),
        searches=_first(told, "num_search_queries")
        or _first(_part(told, "server_tool_use_details", "server_tool_use"), "web_search_requests"),
    )


def render_usage(usage: Usage) -> dict[str, Any]:
    """OpenAI's ``usage`` object; billed searches, which it has no word for, go where OpenRouter puts them."""
    told: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": usage.input_audio_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
        },
    }
    if usage.searches:
        told["server_tool_use"] = {"web_search_requests": usage.searches}
    return told


def _part(told: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        if isinstance(part := told.get(name), Mapping):
            return part
    return {}


def _first(told: Mapping[str, Any], *names: str) -> int:
    """The first count among these names that is above zero, and within reason."""
    for name in names:
        value = told.get(name)
        if isinstance(value, int | float) and 0 < value <= MOST_TOKENS:
            return int(value)
    return 0
