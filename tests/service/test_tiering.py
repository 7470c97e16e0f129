"""From `[router]` and `[[routes]]` to what the gateway takes, with words for what leads nowhere."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from llmgw.config.model import Settings
from llmgw.config.prices import load_prices
from llmgw.config.routing import Cascade, ContextBudgets, Router, RouteRule, Shadow
from llmgw.domain.route import Tier
from llmgw.rules.planning import Offer, Plan
from llmgw.rules.tiering.options import Options
from llmgw.rules.verifying.options import Cascading, Shadowing
from llmgw.service.naming import declared_routes
from llmgw.service.tiering import build_tiering, router_options

PLAN = Plan(
    offers=(
        Offer(upstream="ollama", tier=Tier.LOCAL, models=("llama3.2",)),
        Offer(upstream="groq", tier=Tier.CHEAP, models=("llama-3.1-8b-instant",)),
    ),
    tiers={Tier.LOCAL: ("ollama/llama3.2",), Tier.CHEAP: ("groq/llama-3.1-8b-instant",)},
)
ALONE = Plan(offers=PLAN.offers[:1], tiers={Tier.LOCAL: ("ollama/llama3.2",)})


@pytest.mark.parametrize(
    ("said", "plan", "asked"),
    [
        ("", PLAN, ""),
        ("local", PLAN, "ollama/llama3.2"),
        ("groq", PLAN, "groq/llama-3.1-8b-instant"),
        ("ollama/tiny", PLAN, "ollama/tiny"),
        ("groq", ALONE, ""),
        ("local", Plan(offers=PLAN.offers[1:]), ""),
    ],
)
def test_the_classifier_is_found_or_missed_in_words(said: str, plan: Plan, asked: str) -> None:
    """One that nobody offers is left out, and `config check` and the log say so. # D-07"""
    options, problems = router_options(Settings(router=Router(classifier=said)), plan)
    assert options.classifier == asked
    assert bool(problems) is (bool(said) and not asked)


def test_rules_keep_what_leads_somewhere() -> None:
    """A name that nobody offers is left out; where all are, the rule stays and refuses rather than letting requests by."""
    rules = (RouteRule(key="a", to=("local", "nowhere/x")), RouteRule(key="b", to=("nowhere/x",)))
    kept, problems = declared_routes(Settings(routes=rules), PLAN)
    assert [rule.to for rule in kept] == [("local",), ("nowhere/x",)]
    assert len(problems) == 3


def test_other_options_arrive() -> None:
    """Spans become nanoseconds, budgets of 0 are none."""
    router = Router(
        quality=0.3, sticky="10m", context=ContextBudgets(cheap=4000), clarify=True, max_regret=0.2
    )
    options, _ = router_options(Settings(router=router), PLAN)
    assert options == Options(
        quality=0.3, sticky=600 * 10**9, context={Tier.CHEAP: 4000}, clarify=True, max_regret=0.2
    )


def test_cascades_and_shadow_runs_arrive() -> None:
    """Off by default; enabled they name their judge by its target, and say so where it leads nowhere."""
    options, problems = router_options(Settings(), PLAN)
    assert (options.cascade, options.shadow, problems) == (None, None, ())
    cascade = Cascade(enabled=True, stream="first", first_tokens=7, max_hold="5s", judge="local")
    router = Router(cascade=cascade, shadow=Shadow(share=0.1, judge="nowhere/x"))
    options, problems = router_options(Settings(router=router), PLAN)
    assert options.cascade == Cascading(first=7, hold=5 * 10**9, judge="ollama/llama3.2")
    assert options.shadow == Shadowing(share=0.1)
    assert len(problems) == 1
    hosted = Plan(offers=PLAN.offers[1:], tiers={Tier.CHEAP: PLAN.tiers[Tier.CHEAP]})
    options, problems = router_options(Settings(router=Router(shadow=Shadow(share=0.1))), hosted)
    assert options.shadow is None
    assert len(problems) == 1


def test_there_is_nothing_to_decide_with_one_tier() -> None:
    """Then no part of a gateway stands in the way of a call, unless something else was asked for."""
    zone, book = ZoneInfo("UTC"), load_prices()
    assert build_tiering(Options(), ALONE, (), book, zone) is None
    assert build_tiering(Options(clarify=True), ALONE, (), book, zone) is not None
    assert build_tiering(Options(), PLAN, (), book, zone) is not None
