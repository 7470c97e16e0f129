"""What tokens cost: every token once, rounded up once, never negative; and what a hold promises."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from llmgw.domain.money import NANO
from llmgw.domain.price import FREE, LongContext, Price
from llmgw.domain.usage import Usage
from llmgw.rules.pricing import (
    bill,
    cost,
    hold_cost,
    price_line,
    read_price_line,
)

DOLLAR = NANO
SONNET = Price(
    name="anthropic/claude-sonnet",
    input=3 * DOLLAR,
    output=15 * DOLLAR,
    cache_read=3 * DOLLAR // 10,
    cache_write=375 * DOLLAR // 100,
    cache_write_1h=6 * DOLLAR,
    searches=10 * DOLLAR,
)

rates = st.integers(0, 600 * NANO)
maybe = st.none() | rates
kinds = {
    "input": rates,
    "output": rates,
    "cache_read": maybe,
    "cache_write": maybe,
    "cache_write_1h": maybe,
    "input_audio": maybe,
    "output_audio": maybe,
    "reasoning": maybe,
    "searches": maybe,
    "request": maybe,
}
counts = st.integers(0, 2_000_000)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    steps = draw(st.lists(st.integers(1, 1_000_000), max_size=3, unique=True))
    long = tuple(draw(st.builds(LongContext, above=st.just(step), **kinds)) for step in sorted(steps))
    return draw(st.builds(Price, long=st.just(long), **kinds))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usages whose parts fit into their wholes."""
    fresh, read, write, write_1h, audio_in, text, audio_out, reasoning = draw(st.tuples(*[counts] * 8))
    return Usage(
        input_tokens=fresh + read + write + write_1h + audio_in,
        output_tokens=text + audio_out + reasoning,
        cache_read_tokens=read,
        cache_write_tokens=write + write_1h,
        cache_write_1h_tokens=write_1h,
        input_audio_tokens=audio_in,
        output_audio_tokens=audio_out,
        reasoning_tokens=reasoning,
        searches=draw(st.integers(0, 100)),
    )


wild = st.builds(
    Usage,
    **dict.fromkeys(
        (name for name in Usage.__struct_fields__ if name not in {"estimated", "complete"}),
        counts | st.integers(-1000, -1),
    ),
)
INPUT = {"input", "cache_read", "cache_write", "cache_write_1h", "input_audio"}
OUTPUT = {"output", "output_audio", "reasoning"}


def test_anthropic_cache_read_larger_than_fresh_input_costs_what_anthropic_bills():
    """100 fresh and 5,000 cached tokens with 10 of output cost $0.00195, where S3 booked a negative amount. # D-16"""
    usage = Usage(input_tokens=5_100, cache_read_tokens=5_000, output_tokens=10)
    assert cost(SONNET, usage) == 1_950_000


def test_a_cache_read_counted_outside_the_input_is_still_billed():
    """An upstream that breaks the contract of Usage cannot make a line, or the sum, negative. # D-16"""
    usage = Usage(input_tokens=100, cache_read_tokens=5_000, output_tokens=10)
    assert cost(SONNET, usage) == 5_000 * 300 + 10 * 15_000
    assert all(line.units > 0 for line in bill(SONNET, usage))


def test_cache_writes_cost_more_than_fresh_input_and_an_hour_more_than_five_minutes():
    """Cache writes are billed at 1.25 times and at twice the input price, not given away. # D-16"""
    usage = Usage(input_tokens=3_000, cache_write_tokens=2_000, cache_write_1h_tokens=1_000)
    assert cost(SONNET, usage) == 1_000 * 3_000 + 1_000 * 3_750 + 1_000 * 6_000


def test_searches_are_billed_beside_tokens():
    """Two web searches add two hundredths of a dollar at $10 a thousand."""
    usage = Usage(input_tokens=10, searches=2)
    assert cost(SONNET, usage) == 10 * 3_000 + 20_000_000


def test_a_price_per_request_is_billed_even_without_tokens():
    """Perplexity's price per request is due once a call."""
    assert cost(Price(request=14_000_000), Usage()) == 14_000_000


def test_each_tier_costs_its_own_kind_of_money():
    """Local is nothing, cheap about a tenth of a cent, premium about two cents for the same call. # D-32"""
    usage = Usage(input_tokens=2_000, output_tokens=1_000)
    cheap = Price(input=DOLLAR // 4, output=DOLLAR // 2)
    assert cost(FREE, usage) == 0
    assert cost(cheap, usage) == 1_000_000
    assert cost(SONNET, usage) == 21_000_000


def test_the_long_context_price_holds_for_the_whole_request_and_only_above_the_threshold():
    """At 200,000 input tokens the base price holds, at one more every token costs the dearer one, output too."""
    price = Price(
        input=3 * DOLLAR,
        output=15 * DOLLAR,
        long=(LongContext(above=200_000, input=6 * DOLLAR, output=22_500_000_000),),
    )
    assert cost(price, Usage(input_tokens=200_000, output_tokens=1)) == 200_000 * 3_000 + 15_000
    assert cost(price, Usage(input_tokens=200_001, output_tokens=1)) == 200_001 * 6_000 + 22_500


def test_cached_tokens_count_towards_the_long_context_threshold():
    """A prompt of 1,000 fresh and 200,000 cached tokens is a long one."""
    price = structs.replace(SONNET, long=(LongContext(above=200_000, input=6 * DOLLAR, cache_read=DOLLAR),))
    usage = Usage(input_tokens=201_000, cache_read_tokens=200_000)
    assert cost(price, usage) == 1_000 * 6_000 + 200_000 * 1_000


def test_a_fraction_of_a_nano_dollar_is_rounded_up_once_for_the_request():
    """Two kinds of a third of a nano-dollar each make one nano-dollar, not two and not none."""
    assert cost(Price(input=333_333, output=333_333), Usage(input_tokens=1, output_tokens=1)) == 1
    assert cost(Price(input=1, output=1), Usage()) == 0


@given(prices(), usages())
def test_every_token_is_billed_in_exactly_one_line(price: Price, usage: Usage):
    """Lines of input kinds add up to the input tokens, lines of output kinds to the output tokens."""
    lines = bill(price, usage)
    assert sum(line.units for line in lines if line.kind in INPUT) == usage.input_tokens
    assert sum(line.units for line in lines if line.kind in OUTPUT) == usage.output_tokens
    assert len({line.kind for line in lines}) == len(lines)


@given(prices(), wild)
def test_a_cost_is_the_exact_sum_of_its_lines_rounded_up_once_and_never_negative(price: Price, usage: Usage):
    """Whatever an upstream reports, the amount is the ceiling of the exact fraction, and no line is below zero."""
    lines = bill(price, usage)
    exact = sum((Fraction(line.units * line.rate, line.per) for line in lines), Fraction(0))
    assert cost(price, usage) == ceil(exact) >= 0
    assert all(line.units > 0 and line.rate >= 0 for line in lines)


PARTS = {
    "input_tokens": (),
    "output_tokens": (),
    "cache_read_tokens": ("input_tokens",),
    "cache_write_tokens": ("input_tokens",),
    "cache_write_1h_tokens": ("cache_write_tokens", "input_tokens"),
    "input_audio_tokens": ("input_tokens",),
    "output_audio_tokens": ("output_tokens",),
    "reasoning_tokens": ("output_tokens",),
    "searches": (),
}


@given(st.builds(Price, **kinds), usages(), st.sampled_from(sorted(PARTS)), counts)
def test_more_tokens_of_any_kind_never_cost_less(price: Price, usage: Usage, kind: str, more: int):
    """A token more of a kind, and so of the wholes it is part of, never lowers the cost."""
    grown = {name: getattr(usage, name) + more for name in (kind, *PARTS[kind])}
    assert cost(price, structs.replace(usage, **grown)) >= cost(price, usage)


@given(prices(), usages(), counts, counts)
def test_a_hold_covers_every_way_the_tokens_can_fall(
    price: Price, usage: Usage, spare_in: int, spare_out: int
):
    """What was held within bounds is never less than what is billed within them, searches apart."""
    usage = structs.replace(usage, searches=0)
    held = hold_cost(price, usage.input_tokens + spare_in, usage.output_tokens + spare_out)
    assert held >= cost(price, usage)


@given(prices())
def test_a_price_line_says_all_of_a_price(price: Price):
    """The ledger's line gives back the price that was used, so that an old cost can be recomputed."""
    line = price_line(price)
    assert read_price_line(line) == price
    assert line == msgspec.json.encode(price).decode()


def test_a_price_line_leaves_out_what_is_not_priced():
    """The line of a plain price is short enough to stand in every row."""
    assert price_line(Price(name="openai/gpt-5-nano", input=50_000_000, output=400_000_000)) == (
        '{"input":50000000,"output":400000000,"name":"openai/gpt-5-nano"}'
    )
    assert price_line(FREE) == '{"source":"local"}'


@given(prices(), usages())
def test_streamed_and_plain_cost_the_same(price: Price, usage: Usage):
    """How a usage arrived is not an input of pricing: estimated or not, whole or cut, equal tokens cost equal money."""
    assert cost(price, usage) == cost(price, structs.replace(usage, estimated=True, complete=False))
