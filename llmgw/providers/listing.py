"""What a server's list of models says, in OpenAI's shape and in Ollama's."""

from __future__ import annotations

import re
from typing import Any

LONGEST_NAME = 256

NO_CHAT = re.compile(
    r"embed|(^|[/-])bge-|minilm|rerank|whisper|(^|[/-])tts-|-tts\b|moderation|dall-e|gpt-image|sora|transcribe|realtime",
    re.IGNORECASE,
)
"""Models that are listed too, but answer no chat."""


def listed_names(listed: Any) -> tuple[str, ...] | None:
    """Names in OpenAI's list (``data``, ``id``) or Ollama's (``models``, ``name``); None when it is neither."""
    if not isinstance(listed, dict):
        return None
    entries = listed.get("data", listed.get("models"))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    names = (entry.get("id") or entry.get("name") for entry in entries)
    return tuple(name for name in names if _is_name(name) and not NO_CHAT.search(name))


def _is_name(name: Any) -> bool:
    """What stands in headers and on terminals is one line of sensible length."""
    return isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()
