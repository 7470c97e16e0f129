"""Spans of time as people type them: ``10m``, ``24h``, ``7d``, ``1h30m``."""

from __future__ import annotations

import re

from llmgw.errors import BadRequest

NANO = 10**9
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = 2**63
"""Nanoseconds from which on no database can count them: 292 years."""
SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")


def parse_span(text: str) -> int:
    """Nanoseconds of ``90s``, ``10m``, ``24h``, ``7d``, ``2w`` or a sum such as ``1h30m``; BadRequest otherwise."""
    parts = SPAN.findall(text)
    if not parts or SPAN.sub("", text).strip():
        raise BadRequest(f"`{text}` is not a span of time", hint="write it as 10m, 24h or 7d")
    span = sum(float(number) * SECONDS[unit] for number, unit in parts) * NANO
    if span >= LONGEST:
        raise BadRequest(f"`{text[:40]}` is too long a span of time")
    return round(span)
