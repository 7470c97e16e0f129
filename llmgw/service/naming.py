"""Where the names in llmgw.toml lead: rules as the gateway takes them, targets that nobody has, what was meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from llmgw.domain.route import Tier
from llmgw.errors import GatewayError
from llmgw.providers.registry import providers
from llmgw.rules.planning import VIRTUAL, Plan, resolve
from llmgw.rules.tiering.conditions import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmgw.config.model import Settings
    from llmgw.providers.base import Upstream

ECHO = "echo"
"""The built-in provider, which answers where there is no other."""

RULES = "[[routes]]"
ADD = "`llmgw model list` shows what there is, `llmgw provider add` adds a provider"


class Stranger(NamedTuple):
    """A target that the file names and nobody has: where it stands, why, and what may help."""

    where: str
    name: str
    why: str
    hint: str


def declared_routes(settings: Settings, plan: Plan) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """The rules as the gateway takes them, and in words which of their names lead nowhere."""
    problems: list[str] = []
    rules = []
    for number, rule in enumerate(settings.routes, 1):
        kept = tuple(name for name in rule.to if name in Tier.__members__.values() or leads(plan, name))
        missing = [name for name in rule.to if name not in kept]
        problems += [f"{RULES} {number}: `{name}` is left out, nobody offers it" for name in missing]
        if rule.to and not kept:
            problems.append(f"{RULES} {number} refuses what fits it: nobody is behind its `to`")
            kept = rule.to
        rules.append(msgspec.convert({**msgspec.to_builtins(rule), "to": kept}, Rule))
    return tuple(rules), tuple(problems)


def leads(plan: Plan, name: str) -> bool:
    """Whether somebody is behind a name."""
    try:
        return bool(resolve(plan, name).targets)
    except GatewayError:
        return False


def strangers(settings: Settings, upstreams: Iterable[Upstream], plan: Plan) -> list[Stranger]:
    """Targets whose provider is neither in use nor known, or lists its models, and this is none of them.

    One that is known and not in use just now, for want of a credential or because it does not run, is no stranger.
    """
    listed = {upstream.name: upstream.models for upstream in upstreams}
    known = {*providers(), *settings.providers, *listed}
    found = []
    for where, name in targets_of(settings):
        provider, _, model = name.partition("/")
        if model and provider in known:
            models = listed.get(provider)
            if not models or model in models or f"{model}:latest" in models:
                continue
            why = f"`{provider}` has no model `{model}`"
        elif name in settings.models or (where.startswith(RULES) and _taken(plan, name)):
            continue
        else:
            why = f"there is no provider `{provider}`" if model else f"nobody offers `{name}`"
        near = _near(name, plan, known)
        hint = f"did you mean {' or '.join(f'`{each}`' for each in near)}?" if near else ADD
        found.append(Stranger(where, name, why, hint))
    return found


def targets_of(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every name in the file that should lead to somebody, and where it stands."""
    for tier in Tier:
        yield from ((f"[tiers] {tier}", name) for name in getattr(settings.tiers, tier))
    for asked, alias in settings.models.items():
        yield from ((f'[models."{asked}"]', name) for name in alias.targets if name not in VIRTUAL)
    for number, rule in enumerate(settings.routes, 1):
        yield from ((f"{RULES} {number}", name) for name in rule.to if name not in Tier.__members__.values())


def _taken(plan: Plan, name: str) -> bool:
    """Whether somebody takes what a rule names; that the built-in echo takes all does not make it a provider's model."""
    return leads(plan, name) and ("/" not in name or resolve(plan, name).targets[0].provider != ECHO)


def _near(name: str, plan: Plan, known: Iterable[str]) -> list[str]:
    """The names nearest to one that nobody has: its provider mended, or one of those that are offered."""
    provider, slash, model = name.partition("/")
    mended = get_close_matches(provider, known, n=2) if model else []
    offered = [f"{offer.upstream}/{each}" for offer in plan.offers for each in offer.models]
    likely = get_close_matches(name, offered if slash else (*Tier, *plan.names()))
    return list(dict.fromkeys([*(f"{each}/{model}" for each in mended if each != provider), *likely]))
