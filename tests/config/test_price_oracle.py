"""Our cost against that of the genai-prices library over 1,577 recorded usages, as an independent oracle."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from llmgw.config.prices import load_prices
from llmgw.domain.money import NANO
from llmgw.domain.route import Target, Tier
from llmgw.domain.usage import Usage
from llmgw.rules.pricing import cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.config.pricebook import PriceBook

RECORDED = (
    Path(__file__).resolve().parents[2].parent / "shared/data/recorded/extra/genai-prices-usages.json.gz"
)
BEFORE_THE_CUT = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()) * NANO
"""The oracle's prices of gpt-5.6-luna are those before 30 July 2026."""
FIELDS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "web_searches": "searches",
}


class Case(NamedTuple):
    provider: str
    model: str
    usage: dict[str, int]
    price: Decimal


def recorded() -> Iterator[Case]:
    """Every usage that the library could price, by the provider it was read as."""
    for entry in json.loads(gzip.decompress(RECORDED.read_bytes())):
        for extracted in entry["extracted"]:
            for each in extracted["extractors"]:
                if "input_price" in each:
                    total = each.get("total_price") or Decimal(each["input_price"]) + Decimal(
                        each["output_price"]
                    )
                    yield Case(each["provider_id"], entry["model"], extracted["usage"], Decimal(total))


def judge(book: PriceBook, case: Case) -> str:
    """Empty when both agree to the nano-dollar, else why not."""
    price = book.find(case.provider, case.provider, Target("", case.model, Tier.CHEAP), BEFORE_THE_CUT)
    if price is None:
        # The data has an empty price there "to help with tests"; the library makes that zero.
        return "empty price is unknown, not zero" if case.price == 0 else "no price"
    usage: dict[str, Any] = {FIELDS[kind]: count for kind, count in case.usage.items() if kind in FIELDS}
    excess = Decimal(cost(price, Usage(**usage))).scaleb(-9) - case.price
    if 0 <= excess < Decimal("1e-9"):
        return ""
    if "-image" in case.model and excess > 0:
        return "text of a model that draws is priced as pictures"
    if "cache_audio_read_tokens" in case.usage and excess > 0:
        return "a usage cannot tell how much audio was cached"
    return "different"


@pytest.mark.skipif(not RECORDED.exists(), reason="shared/data is not beside the project")
def test_costs_agree_with_an_independent_library():
    """Of 3,474 priced readings of recorded usages all agree to the nano-dollar but nine, each for a known reason."""
    book = load_prices()
    verdicts = Counter(judge(book, case) for case in recorded())
    assert verdicts == {
        "": 3465,
        "text of a model that draws is priced as pictures": 5,
        "a usage cannot tell how much audio was cached": 2,
        "empty price is unknown, not zero": 2,
    }
