"""Token counts: Anthropic's leave the cached tokens out, ours hold them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import ANTHROPIC, recorded

from llmgw.domain.usage import Usage
from llmgw.providers.dialects.anthropic.usage import merge_usage, read_usage, write_usage

COUNT = st.integers(0, 10**8)
NUMBERS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


def test_input_holds_what_caches_read_and_wrote():
    """Fresh, read and written tokens are summed, kinds are kept apart, searches and thinking are counted."""  # D-16
    usage = read_usage(
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 1_000,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 20},
            "server_tool_use": {"web_search_requests": 2},
        }
    )
    assert usage == Usage(
        input_tokens=1_310,
        output_tokens=50,
        cache_read_tokens=1_000,
        cache_write_tokens=300,
        cache_write_1h_tokens=200,
        reasoning_tokens=20,
        searches=2,
    )


@pytest.mark.parametrize(
    "wire", [None, {}, "x", [], dict.fromkeys(NUMBERS), dict.fromkeys(NUMBERS, 0), {"input_tokens": -5}]
)
def test_nothing_told_is_unknown(wire):
    """No usage, nulls and zeros are unknown, which is not the same as free."""
    assert read_usage(wire) is None


def test_compaction_is_billed_beside_the_answer():
    """Tokens of a compaction are added; other iterations are in the sums already or are another model's."""
    wire = {
        "input_tokens": 181,
        "output_tokens": 8,
        "iterations": [
            {
                "type": "compaction",
                "input_tokens": 100,
                "cache_read_input_tokens": 55_096,
                "output_tokens": 83,
            },
            {"type": "advisor_message", "model": "other", "input_tokens": 9_999, "output_tokens": 9_999},
            {"type": "message", "input_tokens": 181, "output_tokens": 8},
            {"type": "fallback_message", "model": "other", "input_tokens": 181, "output_tokens": 8},
        ],
    }
    usage = read_usage(wire)
    assert usage is not None
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (55_377, 55_096, 91)


def test_later_reports_replace_earlier_ones():
    """Counts are cumulative: a later one replaces, a null or a zero does not."""
    started = {"input_tokens": 25, "cache_read_input_tokens": 7, "output_tokens": 1}
    assert merge_usage(started, {"output_tokens": 9, "input_tokens": None, "cache_read_input_tokens": 0}) == {
        "input_tokens": 25,
        "cache_read_input_tokens": 7,
        "output_tokens": 9,
    }
    assert merge_usage(started, {"input_tokens": 40, "output_tokens": 9})["input_tokens"] == 40


@given(st.dictionaries(st.sampled_from([*NUMBERS, "cache_creation", "iterations", "server_tool_use"]), ANY))
def test_counts_are_never_negative(wire):
    """Whatever a proxy sends, no count is negative and no part is larger than its whole."""
    usage = read_usage(wire) or Usage()
    assert min(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) >= 0
    assert usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens


@given(fresh=COUNT, read=COUNT, hour=COUNT, five=COUNT, output=COUNT, searches=st.integers(0, 99))
def test_counts_survive_the_way_back(fresh, read, hour, five, output, searches):
    """What is written for a caller reads as the same usage again."""
    usage = Usage(
        input_tokens=1 + fresh + read + hour + five,
        output_tokens=output + 1,
        cache_read_tokens=read,
        cache_write_tokens=hour + five,
        cache_write_1h_tokens=hour,
        reasoning_tokens=output,
        searches=searches,
    )
    assert read_usage(write_usage(usage)) == usage


def test_recorded_counts_are_summed():
    """Every recorded reply's usage is found, and its input is the sum of what Anthropic lists apart."""
    seen = 0
    for exchange in recorded("messages", *ANTHROPIC):
        if exchange.kind == "json" and exchange.status == 200:
            wire = json.loads(exchange.reply)["usage"]
            usage = read_usage(wire)
            assert usage is not None
            if len(wire.get("iterations", ())) < 2:
                seen += 1
                assert usage.input_tokens == sum(wire.get(name) or 0 for name in NUMBERS if "input" in name)
                assert usage.output_tokens == wire["output_tokens"]
    assert seen > 100
