"""``/v1/messages/count_tokens``: where to ask, and how the gateway's own count is told."""

from __future__ import annotations

import msgspec

COUNT_PATH = "/messages/count_tokens"


def render_count(input_tokens: int) -> bytes:
    """The reply to a caller whose target cannot count for itself."""
    return msgspec.json.encode({"input_tokens": input_tokens})
