"""Which price a model has: the lists of providers, the operator's own rates over them, and the honest unknown."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from llmgw.domain.money import NANO
from llmgw.domain.price import FREE, Price
from llmgw.domain.route import Target, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmgw.domain.clock import Nanoseconds


class Offer(Struct, frozen=True):
    """One model of a price list: the names it answers to and its prices, of which the last active one holds."""

    model: str
    patterns: tuple[str, ...]
    prices: tuple[Price, ...]


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits: exactly, ``x*``, ``*x``, ``*x*``, or ``/regex/`` (searched); both in lower case."""
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        return re.search(pattern[1:-1], name) is not None
    text = pattern.strip("*")
    match pattern.startswith("*"), pattern.endswith("*"):
        case True, True:
            return text in name
        case True, False:
            return name.endswith(text)
        case False, True:
            return name.startswith(text)
    return name == pattern


class PriceBook:
    """All known prices. A model without one is unknown: None, never zero.

    ``lists`` maps a price id to its offers; the first that matches a model's name is the one. ``fallbacks`` names
    the lists to ask next (Azure sells OpenAI's models). ``overrides`` are the operator's own rates by field, under
    patterns for ``provider/model``, in order of precedence; they change what the list says, or stand alone where
    they name both input and output.
    """

    MEMO_SIZE = 4096

    def __init__(
        self,
        lists: Mapping[str, Iterable[Offer]],
        *,
        fallbacks: Mapping[str, tuple[str, ...]] | None = None,
        overrides: Mapping[str, Mapping[str, int]] | None = None,
        source: str = "",
        generated: date | None = None,
    ) -> None:
        """``source`` and ``generated`` say where the lists come from and how old they are."""
        self.lists = {price_id: tuple(offers) for price_id, offers in lists.items()}
        self.fallbacks = dict(fallbacks or {})
        self.overrides = {pattern.lower(): dict(rates) for pattern, rates in (overrides or {}).items()}
        self.source = source
        self.generated = generated
        self._memo: dict[tuple[str, str, str, bool], tuple[Price, ...]] = {}

    def find(self, upstream: str, price_id: str, target: Target, at_ns: Nanoseconds) -> Price | None:
        """The price of a target at that moment, None when unknown.

        ``upstream`` is the configured provider's name, ``price_id`` the list it sells by, empty for none: then the
        price is zero on the local tier and elsewhere unknown, unless the operator set one.
        """
        key = (upstream, price_id, target.model, target.tier is Tier.LOCAL)
        prices = self._memo.get(key)
        if prices is None:
            if len(self._memo) >= self.MEMO_SIZE:  # callers invent names
                self._memo.clear()
            prices = self._memo[key] = self._search(*key)
        if len(prices) < 2:
            return prices[0] if prices else None
        return _active(prices, at_ns)

    def _search(self, upstream: str, price_id: str, model: str, local: bool) -> tuple[Price, ...]:
        listed = (FREE,) if local and not price_id else self._listed(price_id, model.lower())
        names = [f"{owner}/{model}".lower() for owner in (upstream, price_id) if owner]
        rates = self._override(names)
        if rates is None:
            return listed
        if not listed and not rates.keys() >= {"input", "output"}:
            return ()
        return tuple(_changed(price, rates) for price in listed or (Price(name=names[0]),))

    def _listed(self, price_id: str, model: str) -> tuple[Price, ...]:
        for each in (price_id, *self.fallbacks.get(price_id, ())):
            for offer in self.lists.get(each, ()):
                if any(matches(pattern, model) for pattern in offer.patterns):
                    return offer.prices
        return ()

    def _override(self, names: Iterable[str]) -> Mapping[str, int] | None:
        """The operator's rates for a model: those under its very name before those under a pattern."""
        exact = (self.overrides[name] for name in names if name in self.overrides)
        loose = (
            rates
            for pattern, rates in self.overrides.items()
            if any(matches(pattern, name) for name in names)
        )
        return next(chain(exact, loose), None)


def _changed(price: Price, rates: Mapping[str, Any]) -> Price:
    """A listed price with the operator's rates, which hold for long requests too."""
    long = tuple(structs.replace(tier, **rates) for tier in price.long)
    return structs.replace(price, **rates, long=long, source="operator", checked=None)


def _active(prices: tuple[Price, ...], at_ns: Nanoseconds) -> Price:
    """The last price that holds at the moment, the first where none does."""
    moment = datetime.fromtimestamp(at_ns // NANO, UTC)
    return next((price for price in reversed(prices) if _holds(price, moment)), prices[0])


def _holds(price: Price, moment: datetime) -> bool:
    if price.since is not None and moment.date() < price.since:
        return False
    if price.hours is None:
        return True
    start, end = price.hours
    clock = moment.time()
    return start <= clock < end if start <= end else not end <= clock < start
