"""The shipped price list: what it says, how fast it is read, and how the operator's own prices come in."""

from __future__ import annotations

import time
import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.model import Price as OwnPrice
from llmgw.config.prices import format_price, load_prices, own_rates, parse_price, shipped_text
from llmgw.domain.money import NANO
from llmgw.domain.price import Price
from llmgw.domain.route import Target, Tier
from llmgw.domain.usage import Usage
from llmgw.errors import ConfigInvalid
from llmgw.rules.pricing import cost

if TYPE_CHECKING:
    from pathlib import Path

    from llmgw.config.pricebook import PriceBook

DAY = int(datetime(2026, 8, 21, 12, tzinfo=UTC).timestamp()) * NANO


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_prices()


def find(book: PriceBook, provider: str, model: str, at: int = DAY) -> Price | None:
    return book.find(provider, provider, Target(provider, model, Tier.CHEAP), at)


@pytest.mark.parametrize(
    ("provider", "model", "rates"),
    [
        ("openai", "gpt-4o", {"input": "2.5", "output": "10", "cache_read": "1.25"}),
        ("openai", "gpt-4o-2024-08-06", {"input": "2.5", "output": "10", "cache_read": "1.25"}),
        ("openai", "gpt-4o-mini", {"input": "0.15", "output": "0.6", "cache_read": "0.075"}),
        ("openai", "gpt-5-nano", {"input": "0.05", "output": "0.4", "cache_read": "0.005"}),
        (
            "anthropic",
            "claude-sonnet-4-5-20250929",
            {"input": "3", "output": "15", "cache_read": "0.3", "cache_write": "3.75", "cache_write_1h": "6"},
        ),
        ("anthropic", "claude-3-5-haiku-latest", {"input": "0.8", "output": "4", "searches": "10"}),
        ("groq", "llama-3.1-8b-instant", {"input": "0.05", "output": "0.08"}),
        ("mistral", "mistral-large-latest", {"input": "2", "output": "6"}),
        ("openrouter", "anthropic/claude-opus-4.6", {"input": "5", "output": "25", "cache_write": "6.25"}),
        ("openrouter", "deepseek/deepseek-r1-zero:free", {"input": "0", "output": "0"}),
        ("azure", "gpt-4o", {"input": "2.5", "output": "10"}),
    ],
)
def test_golden_prices(book: PriceBook, provider: str, model: str, rates: dict[str, str]):
    """Names as callers write them (dated, latest, provider/model) have the price of the provider's page."""
    price = find(book, provider, model)
    assert price is not None
    assert {name: getattr(price, name) for name in rates} == {
        name: int(Decimal(dollars) * NANO) for name, dollars in rates.items()
    }


def test_a_golden_bill(book: PriceBook):
    """640 tokens in and 91 out of gpt-5-nano cost $0.0000684."""
    price = find(book, "openai", "gpt-5-nano")
    assert cost(price, Usage(input_tokens=640, output_tokens=91)) == 68_400


def test_long_context_prices_are_there(book: PriceBook):
    """Claude Sonnet 4.5 costs double above 200,000 input tokens, half as much again for output."""
    (long,) = find(book, "anthropic", "claude-sonnet-4-5").long
    assert (long.above, long.input, long.output) == (200_000, 6 * NANO, 22_500_000_000)
    assert long.searches == 10 * NANO


def test_a_price_that_changes_on_a_day(book: PriceBook):
    """Claude Sonnet 5 becomes dearer on 1 September 2026."""
    assert find(book, "anthropic", "claude-sonnet-5").input == 2 * NANO
    assert find(book, "anthropic", "claude-sonnet-5", DAY + 30 * 86_400 * NANO).input == 3 * NANO


def test_audio_and_reasoning_prices_are_there(book: PriceBook):
    """Audio tokens of OpenAI and reasoning tokens of Perplexity have prices of their own."""
    assert find(book, "openai", "gpt-audio").input_audio == 32 * NANO
    prices = [price for offer in book.lists["perplexity"] for price in offer.prices]
    assert any(price.reasoning for price in prices)
    assert any(price.request for price in prices)


def test_an_unknown_model_has_no_price(book: PriceBook):
    """What the list does not know is unknown, and so is a model whose price it leaves empty."""
    assert find(book, "openai", "gpt-99-invented") is None
    assert find(book, "cerebras", "qwen-3-coder-480b") is None


def test_the_list_says_where_it_comes_from_and_how_old_it_is(book: PriceBook):
    """Every price carries its source with a date; the file carries the licence of the data."""
    assert book.generated >= date(2026, 8, 21)
    assert find(book, "openai", "gpt-4o").source == f"{book.source} {book.generated}"
    assert find(book, "openai", "gpt-4o").checked is not None
    head = shipped_text()[:3000]
    assert "MIT License, Copyright (c) Pydantic Services Inc." in head
    assert "WITHOUT WARRANTY OF ANY KIND" in head


def test_the_shipped_list_is_whole(book: PriceBook):
    """All providers of the data are there, with their cached, tiered and long-context prices."""
    assert len(book.lists) >= 36
    prices = [price for offers in book.lists.values() for offer in offers for price in offer.prices]
    assert len(prices) >= 1460
    assert sum(price.cache_read is not None for price in prices) >= 380
    assert sum(bool(price.long) for price in prices) >= 25


def test_prices_are_read_within_their_share_of_the_start():
    """A gateway is ready within a second of CPU; its prices take at most 60 ms of that."""
    spans = []
    for _ in range(5):
        start = time.process_time()
        load_prices()
        spans.append(time.process_time() - start)
    assert min(spans) < 0.060


def test_prices_from_the_config_are_exact():
    """Dollars that binary fractions cannot hold arrive as whole nano-dollars."""
    book = load_prices({"openai/gpt-x": OwnPrice(input=0.05, output=0.4, cache_read=0.0025)})
    price = find(book, "openai", "gpt-x")
    assert (price.input, price.output, price.cache_read) == (50_000_000, 400_000_000, 2_500_000)
    assert price.source == "operator"


def test_prices_may_come_as_plain_tables():
    """A gateway's process gets them over a pipe, as JSON."""
    book = load_prices({"openai/gpt-4o": {"input": 1.0, "output": None}})
    price = find(book, "openai", "gpt-4o")
    assert (price.input, price.output) == (NANO, 10 * NANO)


@pytest.mark.parametrize("dollars", [0.00000005, 50_000.0, float("inf"), -1.0])
def test_a_price_that_cannot_be_meant_is_refused(dollars: float):
    """A price per token instead of per million is a slip that would empty or unlimit a budget."""
    with pytest.raises(ConfigInvalid, match="openai/gpt-x"):
        own_rates("openai/gpt-x", {"input": dollars})


def test_a_price_is_parsed_and_shown_in_one_grammar():
    """What `--set` takes is what is shown."""
    own = parse_price("input=0.05, output=$0.40,cache_read=0")
    assert own == OwnPrice(input=0.05, output=0.4, cache_read=0)
    assert format_price(Price(input=50_000_000, output=400_000_000, cache_read=0)) == (
        "input=0.05,output=0.4,cache_read=0"
    )


@given(
    st.dictionaries(
        st.sampled_from(OwnPrice.__struct_fields__), st.integers(100_000, 10_000 * NANO), min_size=1
    )
)
def test_a_shown_price_can_be_set_again(rates: dict[str, int]):
    """Every exact price survives being shown and set."""
    shown = format_price(Price(**{"input": NANO, "output": NANO} | rates))
    assert own_rates("x", parse_price(shown)) == {"input": NANO, "output": NANO} | rates


@pytest.mark.parametrize("text", ["", "input", "input=", "input=abc", "inptu=1", "input=-1", "input=nan"])
def test_a_mistyped_price_is_refused(text: str):
    """Nothing half understood becomes a price."""
    with pytest.raises(ConfigInvalid):
        own_rates("x", parse_price(text))


def synced(folder: Path, day: str, text: str | None = None) -> Path:
    path = folder / "prices.toml"
    path.write_text(
        text
        or f'source = "test"\ngenerated = {day}\n[lists.openai.models]\ngpt-4o = {{input = 1, output = 2}}\n'
    )
    return path


def test_a_synced_list_counts_when_it_is_younger(tmp_path: Path):
    """A list that was synced replaces the shipped one, until an upgrade ships a younger one."""
    path = synced(tmp_path, "2999-01-01")
    assert find(load_prices(synced=path), "openai", "gpt-4o").input == NANO
    assert find(load_prices(synced=synced(tmp_path, "2020-01-01")), "openai", "gpt-4o").input > NANO
    assert find(load_prices(synced=tmp_path / "absent.toml"), "openai", "gpt-4o").input > NANO


@pytest.mark.parametrize(
    "text",
    [
        'a = 1\ngenerated = 2999-01-01\nsource = "x"',
        'a = 1\ngenerated = 2999-01-01\nsource = "x"\n[lists.a.models]\nm = {input = "much"}',
        'a = 1\ngenerated = 2999-01-01\nsource = "x"\nlists = 3',
        "a = 1\ngenerated = 2999-01-01\n not toml",
    ],
)
def test_a_broken_synced_list_is_named(tmp_path: Path, text: str):
    """The error says which file it is and what writes it anew."""
    with pytest.raises(ConfigInvalid, match=r"prices\.toml") as caught:
        load_prices(synced=synced(tmp_path, "2999-01-01", text))
    assert "model sync" in caught.value.hint


def test_the_shipped_list_is_plain_toml():
    """Any TOML reader can read it."""
    assert set(tomllib.loads(shipped_text())) == {"source", "generated", "lists"}
