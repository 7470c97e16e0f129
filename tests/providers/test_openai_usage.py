"""Usage of every variant, against an independent extractor's reading of recorded bodies."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import chat_records as recorded

from llmgw.domain.usage import MOST_TOKENS, Usage
from llmgw.providers.dialects.openai_chat.usage import read_usage, render_usage

COUNT = st.none() | st.integers(-5, 10**30) | st.floats() | st.text(max_size=3) | st.booleans()
NAMES = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "cache_write_tokens",
        "num_cached_tokens",
        "citation_tokens",
        "prompt_cache_hit_tokens",
        "cache_creation_input_tokens",
        "input_tokens",
    ]
)
COUNTS = st.dictionaries(NAMES, COUNT)
DETAILS = st.dictionaries(
    st.sampled_from(["prompt_tokens_details", "completion_tokens_details"]), COUNTS | COUNT
)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4}, {"input_tokens": 9, "output_tokens": 4}),
        ({"prompt_tokens": 9.0, "completion_tokens": None}, {"input_tokens": 9}),
        ({"input_tokens": 9, "output_tokens": 4}, {"input_tokens": 9, "output_tokens": 4}),
        (  # DeepSeek
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_cache_hit_tokens": 5,
                "prompt_cache_miss_tokens": 4,
            },
            {"input_tokens": 9, "output_tokens": 4, "cache_read_tokens": 5},
        ),
        (  # Mistral
            {"prompt_tokens": 64, "completion_tokens": 6, "num_cached_tokens": 32},
            {"input_tokens": 64, "output_tokens": 6, "cache_read_tokens": 32},
        ),
        (  # Mistral's sound is billed beside the text
            {
                "prompt_tokens": 9,
                "completion_tokens": 248,
                "total_tokens": 632,
                "prompt_tokens_details": {"audio_tokens": 375},
            },
            {"input_tokens": 384, "output_tokens": 248, "input_audio_tokens": 375},
        ),
        (  # xAI leaves reasoning out of the completion
            {
                "prompt_tokens": 12,
                "completion_tokens": 100,
                "total_tokens": 140,
                "completion_tokens_details": {"reasoning_tokens": 28},
            },
            {"input_tokens": 12, "output_tokens": 128, "reasoning_tokens": 28},
        ),
        (  # Gemini leaves it out and says only the total
            {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
            {"input_tokens": 35, "output_tokens": 74, "reasoning_tokens": 62},
        ),
        (  # Perplexity's deep research
            {
                "prompt_tokens": 33,
                "completion_tokens": 7163,
                "total_tokens": 7196,
                "citation_tokens": 20016,
                "num_search_queries": 18,
                "reasoning_tokens": 95305,
            },
            {"input_tokens": 20049, "output_tokens": 102468, "reasoning_tokens": 95305, "searches": 18},
        ),
        (  # Claude through OpenRouter
            {
                "prompt_tokens": 3329,
                "completion_tokens": 53,
                "prompt_tokens_details": {"cached_tokens": 3211, "cache_write_tokens": 115},
            },
            {"input_tokens": 3329, "output_tokens": 53, "cache_read_tokens": 3211, "cache_write_tokens": 115},
        ),
        (  # Claude through Vercel's gateway and LiteLLM
            {"prompt_tokens": 100, "completion_tokens": 5, "cache_creation_input_tokens": 80},
            {"input_tokens": 100, "output_tokens": 5, "cache_write_tokens": 80},
        ),
        (  # more cached than read cannot be
            {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 163}},
            {"input_tokens": 7, "output_tokens": 1, "cache_read_tokens": 7},
        ),
        (  # a token more of reasoning than of output is two tokenizers at odds
            {
                "prompt_tokens": 43,
                "completion_tokens": 10,
                "completion_tokens_details": {"reasoning_tokens": 11},
            },
            {"input_tokens": 43, "output_tokens": 10, "reasoning_tokens": 10},
        ),
    ],
)
def test_each_provider_s_usage_means_what_it_publishes(told, expected):
    """The counts that differ between providers come out the same."""
    assert read_usage(told) == Usage(**expected)


@pytest.mark.parametrize(
    "told", [None, {}, [], "12", 7, {"prompt_tokens": 0, "completion_tokens": 0}, {"cost": 1}]
)
def test_no_counts_are_unknown_not_zero(told):
    """A usage without counts is unknown, so that it is estimated instead of being free."""
    assert read_usage(told) is None


@given(COUNTS, DETAILS)
def test_counts_are_never_negative_nor_larger_than_their_whole(told, details):
    """Whatever an upstream writes, parts fit their wholes and every count fits a ledger column."""
    usage = read_usage({**told, **details})
    if usage is None:
        return
    assert 0 <= usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens < 2**62
    assert 0 <= usage.reasoning_tokens <= usage.output_tokens < 2**62
    if usage.total_tokens <= MOST_TOKENS:
        assert read_usage(render_usage(usage)) == usage


@pytest.mark.skipif(not recorded.DATA.is_dir(), reason=recorded.REASON)
def test_usage_agrees_with_genai_prices():
    """On every recorded chat usage the counts are those that the genai-prices extractor of its maker reads."""
    path = recorded.DATA / "recorded" / "extra" / "genai-prices-usages.json.gz"
    seen = 0
    for each in json.loads(gzip.decompress(path.read_bytes())):
        told = each["body"].get("usage")
        if not isinstance(told, dict) or "prompt_tokens" not in told:
            continue
        total = told["prompt_tokens"] + (told.get("completion_tokens") or 0)
        beyond = (told.get("total_tokens") or total) > total
        if beyond and "grok" not in str(each["model"]):
            continue  # the total shows what no extractor knows
        extractor = "x-ai" if beyond else "openrouter"
        extracted = {
            f"{by['provider_id']}:{by['api_flavor']}": found["usage"]
            for found in each["extracted"]
            for by in found["extractors"]
        }
        expected = extracted.get(f"{extractor}:chat")
        if expected is None:
            continue
        usage = read_usage(told)
        assert usage is not None
        assert usage.input_tokens == expected.get("input_tokens", 0)
        assert usage.output_tokens == expected.get("output_tokens", 0)
        cached = (
            told.get("cached_tokens") or told.get("num_cached_tokens") or expected.get("cache_read_tokens", 0)
        )
        assert usage.cache_read_tokens == min(cached, usage.input_tokens)
        assert usage.cache_write_tokens == expected.get("cache_write_tokens", 0)
        seen += 1
    print("usages compared:", seen)
    assert seen > 250
