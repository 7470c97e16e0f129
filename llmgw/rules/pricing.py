"""What tokens cost: one price, one usage, one amount, in integers from end to end.

A cost is summed as an exact fraction and rounded up once, so that no request is ever cheaper in the ledger than
on the provider's bill.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from llmgw.domain.price import Price, Rates

if TYPE_CHECKING:
    from llmgw.domain.money import NanoUSD
    from llmgw.domain.usage import Usage

MILLION = 1_000_000
THOUSAND = 1_000


class Charge(NamedTuple):
    """``units`` of one kind at ``rate`` nano-dollars per ``per`` units."""

    kind: str
    units: int
    rate: int
    per: int


def bill(price: Price, usage: Usage) -> list[Charge]:
    """Every token in exactly one line; the long-context rates apply to all lines or none.

    Parts that exceed the whole they belong to are believed: an upstream that counts cache reads outside its
    input can make the whole larger, never a line negative. A negative count is none.
    """
    read = usage.cache_read_tokens
    write = max(usage.cache_write_tokens, usage.cache_write_1h_tokens)
    write_1h = usage.cache_write_1h_tokens
    input_tokens = max(usage.input_tokens, read + write)
    # Audio may be cached too, and no usage report says how much of it; the cache lines come first.
    audio_in = min(usage.input_audio_tokens, input_tokens - read - write)
    audio_out = usage.output_audio_tokens
    reasoning = usage.reasoning_tokens
    output_tokens = max(usage.output_tokens, audio_out + reasoning)

    rates = rates_for(price, input_tokens)
    cache_write = _or(rates.cache_write, rates.input)
    lines = (
        Charge("input", input_tokens - read - write - audio_in, rates.input, MILLION),
        Charge("cache_read", read, _or(rates.cache_read, rates.input), MILLION),
        Charge("cache_write", write - write_1h, cache_write, MILLION),
        Charge("cache_write_1h", write_1h, _or(rates.cache_write_1h, cache_write), MILLION),
        Charge("input_audio", audio_in, _or(rates.input_audio, rates.input), MILLION),
        Charge("output", output_tokens - audio_out - reasoning, rates.output, MILLION),
        Charge("output_audio", audio_out, _or(rates.output_audio, rates.output), MILLION),
        Charge("reasoning", reasoning, _or(rates.reasoning, rates.output), MILLION),
        Charge("searches", usage.searches, _or(rates.searches, 0), THOUSAND),
        Charge("request", 1 if rates.request else 0, _or(rates.request, 0), 1),
    )
    return [line for line in lines if line.units > 0]


def text_cost(price: Price, input_tokens: int, output_tokens: int) -> NanoUSD:
    """The cost of tokens of which none is audio or from a cache."""
    rates = rates_for(price, input_tokens)
    return _round_up(input_tokens * rates.input + output_tokens * rates.output) + (rates.request or 0)


def cost(price: Price, usage: Usage) -> NanoUSD:
    """The bill's sum, rounded up once to a whole nano-dollar."""
    plain = not (
        price.long
        or price.request
        or usage.cache_read_tokens
        or usage.cache_write_tokens
        or usage.cache_write_1h_tokens
        or usage.reasoning_tokens
        or usage.input_audio_tokens
        or usage.output_audio_tokens
        or usage.searches
    )
    if plain:  # most calls: two products, without the lines of a bill
        return _round_up(usage.input_tokens * price.input + usage.output_tokens * price.output)
    return _round_up(sum(line.units * line.rate * (MILLION // line.per) for line in bill(price, usage)))


def hold_cost(price: Price, max_input: int, max_output: int) -> NanoUSD:
    """The most that a call within these bounds can cost, whichever kinds its tokens turn out to be.

    Searches are not in it: no field of a request bounds them in every dialect.
    """
    return max(
        _round_up(dearest_input * max_input + dearest_output * max_output + request * MILLION)
        for above, dearest_input, dearest_output, request in _dearest_rates(price)
        if max_input > above
    )


@lru_cache(maxsize=1024)
def _dearest_rates(price: Price) -> tuple[tuple[int, int, int, int], ...]:
    """For each long-context step: the input above which it holds, its dearest input and output rate, its request rate."""
    steps = ((-1, price), *((tier.above, tier) for tier in price.long))
    return tuple(
        (
            above,
            _dearest(
                rates.input, rates.cache_read, rates.cache_write, rates.cache_write_1h, rates.input_audio
            ),
            _dearest(rates.output, rates.output_audio, rates.reasoning),
            _or(rates.request, 0),
        )
        for above, rates in steps
    )


def rates_for(price: Price, input_tokens: int) -> Rates:
    """The rates of a request with that much input, cached tokens included."""
    return next((tier for tier in reversed(price.long) if input_tokens > tier.above), price)


@lru_cache(maxsize=1024)
def price_line(price: Price) -> str:
    """The price as compact JSON, as the ledger keeps it beside the cost."""
    return msgspec.json.encode(price).decode()


def read_price_line(line: str) -> Price:
    """The price behind a ledger's price line."""
    return msgspec.json.decode(line, type=Price)


def _or(rate: int | None, parent: int) -> int:
    return parent if rate is None else rate


def _round_up(millionths: int) -> NanoUSD:
    return -(-millionths // MILLION)


def _dearest(rate: int, *parts: int | None) -> int:
    return max(rate, *(part for part in parts if part is not None), 0)
