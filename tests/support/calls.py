"""Short ways to say what tests of dialects say often: an upstream, a call, one render."""

from __future__ import annotations

import json
from typing import Any

from llmgw.domain.route import Tier
from llmgw.providers.base import Provider, Upstream


def upstream(dialect: str = "anthropic", **more: Any) -> Upstream:
    """A configured place of this dialect; ``more`` goes to its Provider."""
    provider = Provider(
        name=dialect, title=dialect, dialect=dialect, base_url="http://x", tier=Tier.CHEAP, **more
    )
    return Upstream(name=dialect, provider=provider, base_url="http://x", tier=Tier.CHEAP)


def body(**fields: Any) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()
