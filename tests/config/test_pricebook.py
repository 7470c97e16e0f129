"""Which price a model has: names, patterns, fallbacks, days and hours, the operator's own, and the unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.pricebook import Offer, PriceBook, matches
from llmgw.domain.money import NANO
from llmgw.domain.price import FREE, LongContext, Price
from llmgw.domain.route import Target, Tier

NOW = 1_790_000_000 * NANO


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NANO


def target(model: str, provider: str = "up", tier: Tier = Tier.CHEAP) -> Target:
    return Target(provider, model, tier)


def offer(model: str, *patterns: str, **rates: int) -> Offer:
    return Offer(model, patterns or (model,), (Price(name=model, source="list", **rates),))


BOOK = PriceBook(
    {
        "openai": [
            offer("gpt-4o", "gpt-4o", "gpt-4o-2024-*", input=2, output=10),
            offer("rest", "*gpt*", input=9),
        ],
        "azure": [offer("own", "own-model", input=1)],
    },
    fallbacks={"azure": ("openai",)},
)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o*", "gpt-4o-mini", True),
        ("*nano", "gpt-5-nano", True),
        ("*nano", "nano-gpt", False),
        ("*4o*", "gpt-4o-mini", True),
        ("/^gpt-\\d+$/", "gpt-5", True),
        ("/^gpt-\\d+$/", "gpt-5-nano", False),
        ("a[0]?", "a[0]?", True),
        ("/", "/", True),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool):
    """A pattern is exact, a beginning, an ending, a part or an expression; no other character is special."""
    assert matches(pattern, name) is fits


def test_the_first_offer_that_matches_is_the_price():
    """A dated id finds its model, a later catch-all only what nothing before it knows."""
    assert BOOK.find("up", "openai", target("gpt-4o-2024-08-06"), NOW).input == 2
    assert BOOK.find("up", "openai", target("my-gpt"), NOW).input == 9


def test_names_are_compared_without_case():
    """Providers spell model names in any case."""
    assert BOOK.find("up", "openai", target("GPT-4o"), NOW).input == 2


def test_an_unknown_model_list_or_price_id_is_unknown_and_not_free():
    """No price is None: nothing is guessed from another provider's list."""
    assert BOOK.find("up", "openai", target("llama"), NOW) is None
    assert BOOK.find("up", "nobody", target("gpt-4o"), NOW) is None
    assert BOOK.find("up", "", target("gpt-4o"), NOW) is None


def test_a_model_on_the_local_tier_is_an_explicit_zero():
    """What runs on the operator's machine has a price, and it is zero."""
    assert BOOK.find("ollama", "", target("anything", tier=Tier.LOCAL), NOW) is FREE


def test_a_listed_provider_stays_priced_on_the_local_tier():
    """Calling a paid provider local does not make it free."""
    assert BOOK.find("up", "openai", target("gpt-4o", tier=Tier.LOCAL), NOW).input == 2


def test_a_list_falls_back_to_the_lists_it_resells():
    """Azure's own list is asked first, then OpenAI's."""
    assert BOOK.find("up", "azure", target("own-model"), NOW).input == 1
    assert BOOK.find("up", "azure", target("gpt-4o"), NOW).input == 2


def test_a_price_changes_on_its_first_day_in_utc():
    """The old price holds to the last nanosecond of the day before."""
    offers = Offer("m", ("m",), (Price(input=2), Price(input=3, since=date(2026, 9, 1))))
    book = PriceBook({"x": [offers]})
    assert book.find("up", "x", target("m"), at("2026-09-01T00:00") - 1).input == 2
    assert book.find("up", "x", target("m"), at("2026-09-01T00:00")).input == 3


@pytest.mark.parametrize(
    ("hours", "clock", "price"),
    [
        ((time(0, 30), time(16, 30)), "00:29:59", 1),
        ((time(0, 30), time(16, 30)), "00:30", 2),
        ((time(0, 30), time(16, 30)), "16:30", 1),
        ((time(16, 30), time(0, 30)), "23:00", 2),
        ((time(16, 30), time(0, 30)), "00:29:59", 2),
        ((time(16, 30), time(0, 30)), "12:00", 1),
    ],
)
def test_prices_by_the_hour(hours: tuple[time, time], clock: str, price: int):
    """A price for part of the day holds in it, also over midnight, and the first price at other times."""
    book = PriceBook({"x": [Offer("m", ("m",), (Price(input=1), Price(input=2, hours=hours)))]})
    assert book.find("up", "x", target("m"), at(f"2026-11-21T{clock}")).input == price


def test_the_operators_rates_change_the_listed_price():
    """What the operator names wins, what he does not name stays."""
    book = PriceBook(BOOK.lists, overrides={"openai/gpt-4o": {"input": 7}})
    price = book.find("openai", "openai", target("gpt-4o"), NOW)
    assert (price.input, price.output, price.source) == (7, 10, "operator")


def test_an_override_may_name_the_configured_provider_or_its_price_list():
    """`work` sells by OpenAI's list: a price set for `work/gpt-4o` is its own, one for `openai/gpt-4o` is for both."""
    book = PriceBook(BOOK.lists, overrides={"work/gpt-4o": {"input": 5}, "openai/*": {"input": 6}})
    assert book.find("work", "openai", target("gpt-4o"), NOW).input == 5
    assert book.find("openai", "openai", target("gpt-4o"), NOW).input == 6


def test_the_very_name_wins_over_a_pattern():
    """An exact override is taken even when a pattern stands before it."""
    book = PriceBook(BOOK.lists, overrides={"*": {"input": 5}, "openai/GPT-4o": {"input": 6}})
    assert book.find("openai", "openai", target("gpt-4o"), NOW).input == 6


def test_an_unlisted_model_needs_both_input_and_output_from_the_operator():
    """Half a price would make the other half free, so it stays unknown."""
    half = PriceBook({}, overrides={"vllm/m": {"input": 5}})
    whole = PriceBook({}, overrides={"vllm/m": {"input": 5, "output": 0}})
    assert half.find("vllm", "", target("m"), NOW) is None
    assert whole.find("vllm", "", target("m"), NOW) == Price(name="vllm/m", input=5, source="operator")


def test_a_local_model_may_be_given_a_price():
    """Electricity is not free either."""
    book = PriceBook({}, overrides={"ollama/*": {"output": 5}})
    assert book.find("ollama", "", target("llama", tier=Tier.LOCAL), NOW).output == 5


def test_an_override_holds_for_long_requests_and_at_every_hour():
    """Neither a tier nor a condition of the list brings the listed price back."""
    prices = (Price(input=1, long=(LongContext(above=10, input=2),)), Price(input=3, since=date(2026, 1, 1)))
    book = PriceBook({"x": [Offer("m", ("m",), prices)]}, overrides={"x/m": {"input": 9}})
    assert book.find("x", "x", target("m"), at("2025-06-01T00:00")).long[0].input == 9
    assert book.find("x", "x", target("m"), NOW).input == 9


@given(st.lists(st.text(max_size=12), max_size=30))
def test_invented_names_are_forgotten_again(names: list[str]):
    """Callers cannot fill the memory with names, and no name makes the search fail."""
    book = PriceBook(BOOK.lists)
    book.MEMO_SIZE = 8
    for name in names:
        book.find("up", "openai", target(name), NOW)
    assert len(book._memo) <= 8
