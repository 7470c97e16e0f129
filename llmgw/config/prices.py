"""Reads the price list that ships with the package (or a newer one that was synced) and the operator's own prices."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.config.model import Price as OwnPrice
from llmgw.config.pricebook import Offer, PriceBook
from llmgw.domain.money import decimal_usd, parse_usd
from llmgw.domain.price import LongContext, Price, Rates
from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RATES = frozenset(Rates.__struct_fields__)
CEILING = 10_000
"""Dollars per million tokens that no model costs: more is a slip, such as cents or a price per token upside down."""
FLOOR = 0.0001
"""The least above zero that is believed; a price per token instead of per million lies below."""


def load_prices(
    overrides: Mapping[str, OwnPrice | Mapping[str, Any]] | None = None, synced: Path | None = None
) -> PriceBook:
    """Load the prices in force: the shipped list, or the synced one if it is younger, under the operator's own.

    ``overrides`` are dollars by ``provider/model`` or a pattern of it, in order of precedence. ConfigInvalid when
    one of them, or the synced file, cannot be right.
    """
    own = {name: own_rates(name, price) for name, price in (overrides or {}).items()}
    text = shipped_text()
    newer = synced.read_text("utf-8") if synced is not None and synced.exists() else ""
    if list_date(newer) <= list_date(text):
        return read_book(text, own)
    try:
        return read_book(newer, own)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigInvalid(
            f"{synced} is not a price list: {error}",
            hint="remove it, or write it anew with `llmgw model sync`",
        ) from None


def shipped_text() -> str:
    """The price list inside the package."""
    return files("llmgw.config").joinpath("prices.toml").read_text("utf-8")


def list_date(text: str) -> str:
    """The day of a price list, ISO 8601, from its head alone; empty when it names none."""
    _, found, rest = text[:4096].partition("\ngenerated = ")
    return rest[:10] if found else ""


def read_book(text: str, overrides: Mapping[str, Mapping[str, int]] | None = None) -> PriceBook:
    """The book of a price list's text; ValueError when the text is not TOML or an amount is none."""
    document = tomllib.loads(text, parse_float=str)  # parse_usd reads decimals without a detour over floats
    source = f"{document['source']} {document['generated']}"
    lists: dict[str, dict[str, Any]] = document["lists"]
    return PriceBook(
        {
            price_id: [_offer(price_id, model, entry, source) for model, entry in each["models"].items()]
            for price_id, each in lists.items()
        },
        fallbacks={
            price_id: tuple(each["fallback"]) for price_id, each in lists.items() if "fallback" in each
        },
        overrides=overrides,
        source=document["source"],
        generated=document["generated"],
    )


def _offer(price_id: str, model: str, entry: dict[str, Any], source: str) -> Offer:
    name = f"{price_id}/{model}"
    prices = tuple(_price(name, each, entry, source) for each in (entry, *entry.get("then", ())))
    return Offer(model, tuple(entry.get("match", (model.lower(),))), prices)


def _price(name: str, entry: dict[str, Any], model: dict[str, Any], source: str) -> Price:
    rates = _nano_rates(entry)
    return Price(
        name=name,
        long=tuple(
            LongContext(above=tier["above"], **{**rates, **_nano_rates(tier)})
            for tier in entry.get("long", ())
        ),
        since=entry.get("since"),
        hours=(entry["from"], entry["to"]) if "from" in entry else None,
        context_window=model.get("context_window"),
        source=source,
        checked=model.get("checked"),
        **rates,
    )


def _nano_rates(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {field: parse_usd(str(amount)) for field, amount in entry.items() if field in RATES}


def own_rates(name: str, own: OwnPrice | Mapping[str, Any]) -> dict[str, int]:
    """Read an operator's price for ``name``: nano-dollars by field; ConfigInvalid when an amount cannot be meant."""
    rates = {}
    for field, dollars in msgspec.to_builtins(own).items():
        if dollars is None:
            continue
        try:
            rates[field] = parse_usd(str(dollars))
        except ValueError as error:
            raise ConfigInvalid(f'`prices."{name}".{field}`: {error}') from None
        if dollars and not FLOOR <= dollars <= CEILING:
            raise ConfigInvalid(
                f'`prices."{name}".{field}` is ${dollars} a million, which cannot be meant',
                hint="a price per token is multiplied by 1,000,000: 0.00000005 a token is 0.05",
            )
    return rates


def parse_price(text: str) -> OwnPrice:
    """``input=0.05,output=0.40`` as a price; ConfigInvalid names what is wrong with it."""
    fields = {}
    for part in text.split(","):
        field, equals, amount = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ConfigInvalid(f"`{part.strip()}` is not FIELD=DOLLARS", hint="--set input=0.05,output=0.40")
        fields[field] = amount.removeprefix("$")
    try:
        return msgspec.convert(fields, OwnPrice, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(OwnPrice.__struct_fields__)
        raise ConfigInvalid(f"not a price: {error}", hint=f"dollars per million tokens for {known}") from None


def format_price(rates: Rates) -> str:
    """The known rates as ``input=0.05,output=0.4``, dollars as ``parse_price`` takes them."""
    known = ((field, getattr(rates, field)) for field in Rates.__struct_fields__)
    return ",".join(f"{field}={decimal_usd(rate)}" for field, rate in known if rate is not None)
