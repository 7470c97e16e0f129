"""Anthropic's token counts in our words and back; ours include the cached tokens, theirs leave them out."""

from __future__ import annotations

from typing import Any

from llmgw.domain.usage import MOST_TOKENS, Usage
from llmgw.providers.dialects.anthropic.decoding import as_dict

Json = dict[str, Any]


def _count(value: object) -> int:
    """A count that is never negative nor beyond reason, whatever a proxy sends."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MOST_TOKENS:
        return 0
    return int(value)


def merge_usage(told: Json, more: object) -> Json:
    """Counts after one more report: cumulative, so a later number replaces an earlier one.

    Null and zero replace nothing, because proxies fill what they do not know with them.
    """
    return {**told, **{name: value for name, value in as_dict(more).items() if value or name not in told}}


def read_usage(wire: object, *, complete: bool = True) -> Usage | None:
    """Our counts of a ``usage`` object, None when it says nothing.

    Compacting the conversation is billed beside the answer but counted among the ``iterations`` alone. The others of
    them are in the sums already, or are another model's. Counts without any input are not complete: no call has none.
    """
    whole = as_dict(wire)
    listed = whole.get("iterations")
    others = [as_dict(row) for row in listed] if isinstance(listed, list) else []
    rows = [whole, *(row for row in others if row.get("type") == "compaction")]
    fresh = read = write = hour = output = 0
    for row in rows:
        lives = as_dict(row.get("cache_creation"))
        row_hour = _count(lives.get("ephemeral_1h_input_tokens"))
        fresh += _count(row.get("input_tokens"))
        read += _count(row.get("cache_read_input_tokens"))
        write += max(
            _count(row.get("cache_creation_input_tokens")),
            _count(lives.get("ephemeral_5m_input_tokens")) + row_hour,
        )
        hour += row_hour
        output += _count(row.get("output_tokens"))
    if not fresh + read + write + output:
        return None
    return Usage(
        input_tokens=fresh + read + write,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        reasoning_tokens=min(
            output, _count(as_dict(whole.get("output_tokens_details")).get("thinking_tokens"))
        ),
        searches=_count(as_dict(whole.get("server_tool_use")).get("web_search_requests")),
        complete=complete and fresh + read + write > 0,
    )


def write_usage(usage: Usage | None) -> Json:
    """A ``usage`` object: ``input_tokens`` without what caches read and wrote."""
    told = usage or Usage()
    read, write = told.cache_read_tokens, told.cache_write_tokens
    wire: Json = {
        "input_tokens": max(0, told.input_tokens - read - write),
        "cache_creation_input_tokens": write,
        "cache_read_input_tokens": read,
        "output_tokens": told.output_tokens,
    }
    if told.cache_write_1h_tokens:
        wire["cache_creation"] = {
            "ephemeral_5m_input_tokens": max(0, write - told.cache_write_1h_tokens),
            "ephemeral_1h_input_tokens": told.cache_write_1h_tokens,
        }
    if told.reasoning_tokens:
        wire["output_tokens_details"] = {"thinking_tokens": told.reasoning_tokens}
    if told.searches:
        wire["server_tool_use"] = {"web_search_requests": told.searches, "web_fetch_requests": 0}
    return wire
