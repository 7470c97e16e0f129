"""Tokens one call consumed, in the words of the OpenTelemetry GenAI conventions."""

from __future__ import annotations

from msgspec import Struct

MOST_TOKENS = 10**9
"""No call consumes as many: a count beyond this is an upstream's fault, and tells nothing."""


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Token counts of one attempt.

    ``input_tokens`` includes everything that was read: fresh, cached and cache-written tokens (so an Anthropic
    ``input_tokens`` is summed with both cache counts before it lands here). ``output_tokens`` includes reasoning.
    ``cache_write_tokens`` includes ``cache_write_1h_tokens``. ``searches`` counts billed server-side web searches.
    ``estimated`` marks counts that the upstream did not report; ``complete`` is False while a stream has not ended.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    searches: int = 0
    estimated: bool = False
    complete: bool = True

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens
