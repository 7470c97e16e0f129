"""From what was declared of the router to the part of a gateway that decides on tiers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llmgw.domain.money import NANO
from llmgw.domain.route import Tier
from llmgw.domain.spans import parse_span
from llmgw.domain.usage import Usage
from llmgw.gates.tiering import Tiering
from llmgw.rules.pricing import cost
from llmgw.rules.tiering.dial import RECENT
from llmgw.rules.tiering.learning import MOST
from llmgw.rules.tiering.options import Options
from llmgw.rules.verifying.options import Cascading, Shadowing
from llmgw.service.naming import declared_routes, leads

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from llmgw.config.model import Settings
    from llmgw.config.pricebook import PriceBook
    from llmgw.config.routing import Cascade, Shadow
    from llmgw.domain.route import Target
    from llmgw.providers.base import Upstream
    from llmgw.rules.planning import Plan
    from llmgw.rules.tiering.likeness import Likeness
    from llmgw.storage.decisions import Decisions

GROQ = "groq/llama-3.1-8b-instant"
"""What `classifier = "groq"` asks, as LLM Gateway v2.0 does."""

USUAL = Usage(input_tokens=1000, output_tokens=300)
"""The request by whose cost tiers are compared."""


def router_options(settings: Settings, plan: Plan) -> tuple[Options, tuple[str, ...]]:
    """The options as the gateway takes them, and in words which names in them lead nowhere, those of rules aside."""
    router = settings.router
    problems: list[str] = []
    classifier = _asked(plan, problems, "[router] classifier", router.classifier, "so the score decides")
    context = {tier: tokens for tier in Tier if (tokens := getattr(router.context, tier))}
    return Options(
        quality=router.quality,
        max_regret=router.max_regret,
        explore=router.explore,
        learn=router.learn,
        sticky=parse_span(router.sticky) if router.sticky else 0,
        clarify=router.clarify,
        classifier=classifier,
        context=context,
        rules=declared_routes(settings, plan)[0],
        cascade=_cascade(router.cascade, plan, problems),
        shadow=_shadow(router.shadow, plan, problems),
    ), tuple(problems)


def _cascade(declared: Cascade, plan: Plan, problems: list[str]) -> Cascading | None:
    if not declared.enabled:
        return None
    return Cascading(
        tiers=declared.tiers,
        first=declared.first_tokens if declared.stream == "first" else 0,
        hold=parse_span(declared.max_hold),
        samples=declared.samples,
        judge=_asked(plan, problems, "[router.cascade] judge", declared.judge, "so no model judges"),
        max_gain=declared.max_gain,
        conversations=declared.conversations,
        tools=declared.tools,
    )


def _shadow(declared: Shadow, plan: Plan, problems: list[str]) -> Shadowing | None:
    if not declared.share:
        return None
    if not plan.tiers.get(Tier.LOCAL):
        problems.append("[router.shadow]: there is no local model, so no call is repeated")
        return None
    judge = _asked(plan, problems, "[router.shadow] judge", declared.judge, "so words alone compare")
    return Shadowing(share=declared.share, judge=judge)


def _asked(plan: Plan, problems: list[str], option: str, name: str, otherwise: str) -> str:
    """The target that an option names, empty where there is none; says so in ``problems``."""
    if name == "local":
        name = next(iter(plan.tiers.get(Tier.LOCAL, ())), "")
        if not name:
            problems.append(f"{option}: there is no local model, {otherwise}")
    elif name == "groq":
        name = GROQ
    if name and not leads(plan, name):
        problems.append(f"{option}: nobody offers `{name}`, {otherwise}")
        name = ""
    return name


def build_tiering(
    options: Options,
    plan: Plan,
    upstreams: Iterable[Upstream],
    book: PriceBook,
    zone: ZoneInfo,
    known: Decisions | None = None,
) -> Tiering | None:
    """What decides on tiers, with all that outcomes have taught; None where there is nothing to decide."""
    tiers = [tier for tier, names in plan.tiers.items() if names]
    if len(tiers) < 2 and not (options.rules or options.clarify or options.context):
        return None
    by_name = {upstream.name: upstream for upstream in upstreams}

    def costs(target: Target) -> float | None:
        upstream = by_name[target.provider]
        price = book.find(upstream.name, upstream.provider.price_id, target, time.time_ns())
        return None if price is None else cost(price, USUAL) / NANO

    gains = known.gains(RECENT) if known is not None else ()
    tiering = Tiering(options, costs, zone, gains, likeness=_likeness)
    if known is not None and any(map(tiering.heeds, outcomes := known.outcomes(MOST))):
        tiering.compare()
        tiering.learn(outcomes)
    return tiering


def _likeness() -> Likeness:
    from llmgw.providers.embedding.static import StaticTable
    from llmgw.rules.tiering.likeness import Likeness

    return Likeness(StaticTable.load().embed)
