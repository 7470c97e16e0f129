"""Makes a price list from the genai-prices data (v2 files, or the installed package) and compares two books.

The list is one TOML line a model, so that a refreshed list reads well as a difference.
"""

from __future__ import annotations

import dataclasses
import re
from datetime import date, time
from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import structs

from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from llmgw.config.pricebook import PriceBook
    from llmgw.domain.price import Price

HEADER = """\
What models cost: dollars per million tokens (searches: per thousand, request: per call).
Made by `llmgw model sync` from genai-prices, https://github.com/pydantic/genai-prices. Models that draw or film have
one price for all output, the dearer; batches, and pictures as input or cached sound, have none of their own.
A name matches exactly, as x*, *x, *x*, or as /regex/; the first model that matches is the one.
`long` are the rates of a whole request whose input exceeds `above` tokens; of a model's `then` the last active holds.

genai-prices is under the MIT License, Copyright (c) Pydantic Services Inc. 2025 to present:
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and
this permission notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED
"AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING
FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""

FIELDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "output_reasoning_mtok": "reasoning",
    "web_searches_kcount": "searches",
    "output_image_mtok": "output",
    "output_video_mtok": "output",
}
"""Their names and ours; no usage tells drawn or filmed output from text, so the dearer is the price of both."""

Data = list[dict[str, Any]]


def read_data(path: Path) -> Data:
    """The providers of a genai-prices v2 JSON file; ConfigInvalid when it is none."""
    try:
        data = msgspec.json.decode(path.read_bytes(), type=Data)
        if not all(isinstance(each["models"], list) and each["id"] for each in data):
            raise ValueError("a provider without id or models")
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError) as error:
        raise ConfigInvalid(
            f"{path} is not price data: {error}", hint="it wants prices/new_data/v2/data.json of genai-prices"
        ) from None
    return data


def installed_data() -> tuple[Data, str]:
    """The providers of the installed genai-prices package, and its version; ConfigInvalid without it."""
    from importlib.metadata import version  # noqa: PLC0415  only a sync from the package needs it

    try:
        from genai_prices.data import providers  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        raise ConfigInvalid(
            "the package genai-prices is not installed beside llmgw",
            hint="pip install genai-prices, or `llmgw model sync --from FILE` with its data.json",
        ) from None
    return _plain(providers), version("genai-prices")


def _plain(value: Any) -> Any:
    """Their classes as the JSON of the v2 files."""
    if dataclasses.is_dataclass(value):
        return {name.rstrip("_"): _plain(each) for name, each in vars(value).items() if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if type(value).__name__ == "ModelPrice":
        return {
            name: _plain(each) for name, each in vars(value).items() if each is not None and name[0] != "_"
        }
    if isinstance(value, date | time):
        return value.isoformat()
    return value


def generate(data: Data, source: str, generated: date) -> str:
    """A price list in TOML from the providers of ``data``; ``source`` and ``generated`` say where and when from."""
    import tomlkit  # noqa: PLC0415  reading a list does without it

    document = tomlkit.document()
    for line in HEADER.splitlines():
        document.add(tomlkit.comment(line))
    document.add("source", tomlkit.item(source))
    document.add("generated", tomlkit.item(generated))
    for provider in data:
        table = tomlkit.table()
        table.add("url", next(iter(provider.get("pricing_urls", ())), ""))
        if "fallback_model_providers" in provider:
            table.add("fallback", provider["fallback_model_providers"])
        models = tomlkit.table()
        for model in provider["models"]:
            if (entry := _entry(model)) is not None:
                models.add(model["id"], _inline(entry))
        table.add("models", models)
        lists = document.setdefault("lists", tomlkit.table(is_super_table=True))
        lists.add(provider["id"], table)
    return tomlkit.dumps(document)


def _inline(value: Any) -> Any:
    import tomlkit  # noqa: PLC0415

    if isinstance(value, dict):
        table = tomlkit.inline_table()
        for key, each in value.items():
            table.add(key, _inline(each))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for each in value:
            array.append(_inline(each))
        return array
    return tomlkit.item(value)


def _entry(model: dict[str, Any]) -> dict[str, Any] | None:
    """One model's line; None when the data names neither a price nor that it is free: that is unknown, not zero."""
    prices = model["prices"]
    if not prices and not _free(model):
        return None
    first, *then = prices if isinstance(prices, list) else [{"prices": prices}]
    entry = _rates(first["prices"])
    if then:
        entry["then"] = [{**_condition(each["constraint"]), **_rates(each["prices"])} for each in then]
    patterns = list(_patterns(model["match"]))
    if patterns != [model["id"].lower()]:
        entry["match"] = patterns
    if "context_window" in model:
        entry["context_window"] = model["context_window"]
    if "prices_checked" in model:
        entry["checked"] = date.fromisoformat(str(model["prices_checked"]))
    return entry


def _free(model: dict[str, Any]) -> bool:
    words = f"{model['id']} {model.get('name', '')} {model.get('description', '')}".lower()
    return ":free" in words or "(free)" in words or "free of charge" in words


def _condition(constraint: dict[str, str]) -> dict[str, Any]:
    if "start_date" in constraint:
        return {"since": date.fromisoformat(constraint["start_date"])}
    start, end = (
        time.fromisoformat(constraint[edge]).replace(tzinfo=None) for edge in ("start_time", "end_time")
    )
    return {"from": start, "to": end}


def _rates(prices: dict[str, Any]) -> dict[str, Any]:
    rates: dict[str, Any] = {"input": 0, "output": 0}
    steps: dict[int, dict[str, Any]] = {}

    def raise_to(table: dict[str, Any], field: str, price: Any) -> None:
        table[field] = max(table.get(field, 0), _dollars(price))

    for theirs, price in prices.items():
        if theirs == "requests_kcount":
            rates["request"] = _dollars(Decimal(str(price)) / 1000)
        elif field := FIELDS.get(theirs):
            raise_to(rates, field, price["base"] if isinstance(price, dict) else price)
            for tier in price["tiers"] if isinstance(price, dict) else ():
                raise_to(steps.setdefault(tier["start"], {}), field, tier["price"])
    if steps:
        rates["long"] = [{"above": start, **steps[start]} for start in sorted(steps)]
    return rates


def _dollars(price: Any) -> int | float:
    """Free of the noise of binary fractions, then up to a whole nano-dollar."""
    clean = Context(prec=12).create_decimal(str(price)).quantize(Decimal("1e-9"), rounding=ROUND_CEILING)
    return int(clean) if clean == int(clean) else float(clean)


def _patterns(clause: dict[str, Any]) -> Iterator[str]:
    kind, value = next(iter(clause.items()))
    if kind == "or":
        for each in value:
            yield from _patterns(each)
    elif kind in ("and", "regex") or "*" in value or value[:1] == "/":
        yield f"/{_regex(clause)}/"
    else:
        yield {"equals": "{}", "starts_with": "{}*", "ends_with": "*{}", "contains": "*{}*"}[kind].format(
            value.lower()
        )


def _regex(clause: dict[str, Any]) -> str:
    """The clause as one expression to be searched for."""
    kind, value = next(iter(clause.items()))
    match kind:
        case "or":
            return "|".join(f"(?:{_regex(each)})" for each in value)
        case "and":
            return "^" + "".join(f"(?=.*(?:{_regex(each)}))" for each in value)
        case "regex":
            return str(value)
    text = re.escape(value.lower())
    anchored: dict[str, str] = {
        "equals": f"^{text}$",
        "starts_with": f"^{text}",
        "ends_with": f"{text}$",
        "contains": text,
    }
    return anchored[kind]


class Change(NamedTuple):
    """One model of one list before and after; None where a book does not have it."""

    price_id: str
    model: str
    before: tuple[Price, ...] | None
    after: tuple[Price, ...] | None


def changes(before: PriceBook, after: PriceBook) -> list[Change]:
    """What a new book changes in price, in the order of the new one, what it drops at the end."""
    old, new = _prices(before), _prices(after)
    return [
        Change(*key, old.get(key), new.get(key))
        for key in {**new, **old}
        if _bare(old.get(key)) != _bare(new.get(key))
    ]


def _prices(book: PriceBook) -> dict[tuple[str, str], tuple[Price, ...]]:
    return {
        (price_id, offer.model): offer.prices for price_id, offers in book.lists.items() for offer in offers
    }


def _bare(prices: Iterable[Price] | None) -> list[Price] | None:
    """The rates alone: neither where they come from nor the limit of the model."""
    if prices is None:
        return None
    return [structs.replace(price, source="", checked=None, context_window=None) for price in prices]
