"""From the genai-prices data to a price list, and the difference between two books."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.price_sync import _patterns, changes, generate, installed_data, read_data
from llmgw.config.pricebook import PriceBook, matches
from llmgw.config.prices import load_prices, read_book
from llmgw.domain.money import NANO
from llmgw.domain.route import Target, Tier
from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from pathlib import Path


def book_of(*models: dict[str, Any], **provider: Any) -> PriceBook:
    data = [{"id": "p", "name": "P", "models": list(models), **provider}]
    return read_book(generate(data, "test", date(2026, 1, 1)))


def model(prices: Any, **more: Any) -> dict[str, Any]:
    return {"id": "m", "match": {"equals": "m"}, "prices": prices, **more}


def find(book: PriceBook, name: str = "m", at: int = 0) -> Any:
    return book.find("p", "p", Target("p", name, Tier.CHEAP), at)


def test_every_kind_arrives_under_our_name():
    """Their price keys become our rates; kinds that a usage cannot tell apart are left out."""
    prices = {
        "input_mtok": 2, "output_mtok": 8, "cache_read_mtok": 0.5, "cache_write_mtok": 2.5, "cache_write_1h_mtok": 4,
        "input_audio_mtok": 32, "output_audio_mtok": 64, "output_reasoning_mtok": 3, "web_searches_kcount": 10,
        "requests_kcount": 5, "input_image_mtok": 9, "unheard_of_mtok": 9,
    }  # fmt: skip
    price = find(book_of(model(prices)))
    rates = (
        "input",
        "output",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "input_audio",
        "output_audio",
        "reasoning",
        "searches",
    )
    assert [getattr(price, rate) for rate in rates] == [
        int(x * NANO) for x in (2, 8, 0.5, 2.5, 4, 32, 64, 3, 10)
    ]
    assert price.request == 5_000_000


def test_a_model_that_draws_is_priced_as_if_all_its_output_were_pictures():
    """A usage does not tell pictures from text, and a bill that comes out higher than the ledger is the worse error."""
    price = find(book_of(model({"input_mtok": 0.3, "output_mtok": 2.5, "output_image_mtok": 30})))
    assert (price.input, price.output) == (300_000_000, 30 * NANO)


def test_fractions_are_freed_of_noise_and_rounded_up_to_a_nano_dollar():
    """0.18000000000000002 means 0.18, and a twelfth of a dollar is never less than that."""
    price = find(book_of(model({"input_mtok": 0.18000000000000002, "output_mtok": 1 / 12})))
    assert (price.input, price.output) == (180_000_000, 83_333_334)


def test_tiers_become_long_context_rates():
    """A kind without tiers keeps its price in every tier."""
    tiered = {"base": 3, "tiers": [{"start": 128000, "price": 6}, {"start": 256000, "price": 9}]}
    price = find(book_of(model({"input_mtok": tiered, "output_mtok": 15})))
    assert [(each.above, each.input // NANO, each.output // NANO) for each in price.long] == [
        (128_000, 6, 15),
        (256_000, 9, 15),
    ]


def test_conditions_become_days_and_hours():
    """The last condition that holds is the price."""
    first, then = {"prices": {"input_mtok": 1}}, {"input_mtok": 2}
    dated = book_of(model([first, {"constraint": {"start_date": "1970-01-02"}, "prices": then}]))
    assert [find(dated, at=day * 86_400 * NANO).input // NANO for day in (0, 1)] == [1, 2]
    hourly = {"start_time": "00:30:00Z", "end_time": "16:30:00Z"}
    timed = book_of(model([first, {"constraint": hourly, "prices": then}]))
    assert [find(timed, at=hour * 3600 * NANO).input // NANO for hour in (0, 1, 17)] == [1, 2, 1]


def test_no_price_is_unknown_unless_the_data_calls_the_model_free():
    """An empty price is zero only under a name that says so."""
    assert find(book_of(model({}))) is None
    free = find(book_of(model({}, name="M (free)")))
    assert (free.input, free.output) == (0, 0)


def test_limits_dates_and_fallbacks_are_kept():
    """Context windows size holds, dates say how old a price is, fallbacks say whose models are sold."""
    price = find(book_of(model({"input_mtok": 1}, context_window=128000, prices_checked="2026-01-02")))
    assert (price.context_window, price.checked) == (128_000, date(2026, 1, 2))
    assert book_of(model({}), fallback_model_providers=["q"]).fallbacks == {"p": ("q",)}


texts = st.text("aB1-./*[?", min_size=1, max_size=4)
clauses = st.recursive(
    st.one_of(
        *(
            st.fixed_dictionaries({kind: texts})
            for kind in ("equals", "starts_with", "ends_with", "contains")
        ),
        st.fixed_dictionaries({"regex": st.sampled_from(["^a", "1$", "^a|b$", "b.1"])}),
    ),
    lambda inner: st.one_of(
        *(st.fixed_dictionaries({kind: st.lists(inner, min_size=1, max_size=3)}) for kind in ("or", "and"))
    ),
    max_leaves=5,
)


def theirs(clause: dict[str, Any], name: str) -> bool:
    """The match logic as genai-prices documents it."""
    ((kind, value),) = clause.items()
    match kind:
        case "or":
            return any(theirs(each, name) for each in value)
        case "and":
            return all(theirs(each, name) for each in value)
        case "regex":
            return re.search(value, name) is not None
    value = value.lower()
    return {
        "equals": name == value,
        "starts_with": name.startswith(value),
        "ends_with": name.endswith(value),
        "contains": value in name,
    }[kind]


@given(clauses, st.text("ab1-./*[?", max_size=6))
def test_patterns_match_what_the_clauses_match(clause: dict[str, Any], name: str):
    """However clauses are nested, our patterns fit the same names."""
    assert any(matches(pattern, name) for pattern in _patterns(clause)) is theirs(clause, name)


def test_the_installed_package_can_be_the_source():
    """A newer genai-prices beside llmgw gives a list with the same grammar."""
    pytest.importorskip("genai_prices")
    data, version = installed_data()
    book = read_book(generate(data, f"genai-prices {version}", date(2026, 11, 1)))
    price = book.find("openai", "openai", Target("openai", "gpt-4o", Tier.CHEAP), 0)
    assert (price.input, price.output) == (2_500_000_000, 10 * NANO)
    assert {"anthropic", "openai", "groq", "mistral", "deepseek", "openrouter"} <= book.lists.keys()


def test_a_file_that_is_no_price_data_is_refused(tmp_path: Path):
    """Absent, broken and foreign files are named in the error."""
    for name, text in (("absent", None), ("broken", "{"), ("foreign", '[{"id": 1}]'), ("dict", "{}")):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        with pytest.raises(ConfigInvalid, match=name):
            read_data(path)
    path.write_text(json.dumps([{"id": "p", "models": []}]))
    assert read_data(path) == [{"id": "p", "models": []}]


def test_changes_are_what_differs_in_price():
    """A new date alone is no change; a new, a dropped and a dearer model are."""
    same, old, gone = (
        {"id": i, "match": {"equals": i}, "prices": {"input_mtok": 1}} for i in ("same", "dear", "gone")
    )
    dear, new = {**old, "prices": {"input_mtok": 2}}, {**old, "id": "new"}
    found = changes(book_of(same, old, gone), book_of({**same, "prices_checked": "2026-01-02"}, dear, new))
    assert [(each.model, each.before is None, each.after is None) for each in found] == [
        ("dear", False, False),
        ("new", True, False),
        ("gone", False, True),
    ]
    assert changes(load_prices(), load_prices()) == []
