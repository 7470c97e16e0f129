"""Which rules and names route requests now, in the order in which they are looked at."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.domain.route import Tier
from llmgw.errors import GatewayError
from llmgw.rules.planning import AUTO, VIRTUAL, resolve
from llmgw.rules.tiering.conditions import Rule, words_of

DECLARED, FOUND = "declared", "found"


class RouteView(Struct, frozen=True, kw_only=True):
    """A rule, which has a number for its name, or a name that callers may ask for and what stands for it."""

    name: str
    kind: Annotated[str, Meta(description="`rule`, `virtual` or `alias`")]
    condition: Annotated[str | None, Meta(description="which requests a rule is for")]
    to: Annotated[tuple[str, ...], Meta(description="what is written there, or what was found for a tier")]
    tier: Annotated[str | None, Meta(description="the tier that a rule begins with")]
    quality: Annotated[float | None, Meta(description="where a rule puts the dial")]
    targets: Annotated[
        tuple[str, ...], Meta(description="who is asked, in order; empty where the score decides")
    ]
    origin: Annotated[str, Meta(description="`declared` in the configuration, or `found`")]


class Routes(Struct, frozen=True):
    routes: tuple[RouteView, ...]


class ListRoutes(Ask[Routes], frozen=True, kw_only=True):
    """List what routes requests: rules in their order, the gateway's own models, aliases."""

    at: ClassVar = Place("GET", "/admin/routes")
    answer: ClassVar = Routes

    def do(self, desk: Desk) -> Routes:
        offer = desk.offer()
        plan, tiering = offer.plan, offer.tiering

        def targets(*names: str) -> tuple[str, ...]:
            found: list[str] = []
            for each in names:
                with suppress(GatewayError):  # nobody is behind it
                    found += [target.name for target in resolve(plan, each).targets]
            return tuple(dict.fromkeys(found))

        def rule(number: int, each: Rule) -> RouteView:
            named = (f"gateway-{name}" if name in Tier.__members__.values() else name for name in each.to)
            return RouteView(
                name=str(number),
                kind="rule",
                condition=words_of(each),
                to=each.to,
                tier=each.tier,
                quality=each.quality,
                targets=targets(*named),
                origin=DECLARED,
            )

        def name(asked: str, kind: str, to: tuple[str, ...], origin: str) -> RouteView:
            return RouteView(
                name=asked,
                kind=kind,
                condition=None,
                to=to,
                tier=None,
                quality=None,
                targets=() if AUTO in (asked, *to) and tiering is not None else targets(*to),
                origin=origin,
            )

        rules = () if tiering is None else tiering.options.rules
        found = [rule(number, each) for number, each in enumerate(rules, 1)]
        for asked, tiers in VIRTUAL.items():
            to = tuple(each for tier in tiers for each in plan.tiers.get(tier, ()))
            if to:
                origin = DECLARED if any(tier in plan.declared for tier in tiers) else FOUND
                found.append(name(asked, "virtual", to, origin))
        found += [name(asked, "alias", to, DECLARED) for asked, to in plan.aliases.items()]
        return Routes(tuple(found))
