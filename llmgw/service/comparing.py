"""What would be different with another config file: options, tiers, where names lead, prices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from llmgw.config.masking import mask
from llmgw.config.model import SECRET_OPTIONS
from llmgw.config.prices import load_prices
from llmgw.config.values import dotted, options_of
from llmgw.domain.money import format_usd
from llmgw.domain.route import Route, Target, Tier
from llmgw.errors import GatewayError
from llmgw.rules.planning import resolve
from llmgw.service.assemble import survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmgw.config.model import Settings
    from llmgw.config.paths import Paths
    from llmgw.domain.price import Price
    from llmgw.rules.planning import Plan

ABSENT = ""


class Difference(NamedTuple):
    """One thing that changes; ``kind`` is option, tier, name or price, and an empty side is one where it is not there."""

    kind: str
    name: str
    before: str
    after: str


class Side(NamedTuple):
    """A configuration with what comes of it; ``problems`` keep some of it out."""

    options: dict[str, str]
    tiers: dict[str, str]
    names: dict[str, str]
    prices: dict[str, str]
    problems: tuple[str, ...]


def side(settings: Settings, paths: Paths) -> Side:
    """What a configuration comes to on this machine now; local servers are asked for their models."""
    found = survey(settings, paths)
    plan, book = found.plan, load_prices(settings.prices, paths.prices)
    upstreams = {upstream.name: upstream for upstream in found.upstreams}
    routes = {name: route for name in plan.names() if (route := _route(plan, name)) is not None}
    targets = dict.fromkeys(target for route in routes.values() for target in route.targets)

    def price(target: Target) -> Price | None:
        return book.find(
            target.provider, upstreams[target.provider].provider.price_id, target, time.time_ns()
        )

    return Side(
        options={dotted(option): _value(option, value) for option, value in options_of(settings)},
        tiers={tier: ", ".join(plan.tiers.get(tier, ())) for tier in Tier},
        names={name: ", ".join(target.name for target in route.targets) for name, route in routes.items()},
        prices={target.name: _words(price(target)) for target in targets},
        problems=(*found.problems, *found.lost),
    )


def compare(before: Side, after: Side) -> list[Difference]:
    """Everything that differs, kind by kind."""
    return [
        *_differences("option", before.options, after.options),
        *_differences("tier", before.tiers, after.tiers),
        *_differences("name", before.names, after.names),
        *_differences("price", before.prices, after.prices),
    ]


def _differences(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Difference]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, ABSENT), after.get(name, ABSENT)
        if old != new:
            yield Difference(kind, name, old, new)


def _route(plan: Plan, name: str) -> Route | None:
    try:
        return resolve(plan, name)
    except GatewayError:
        return None


def _value(option: tuple[str, ...], value: object) -> str:
    if option[-1] in SECRET_OPTIONS and isinstance(value, str) and value:
        return mask(value)
    return str(value)


def _words(price: Price | None) -> str:
    if price is None:
        return "unknown"
    return f"{format_usd(price.input)} in, {format_usd(price.output)} out, per million tokens"
