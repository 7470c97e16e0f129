"""From what was declared and what was found to the upstreams in use and the plan that routes to them.

Configured providers come first, in the order of the file; then servers found on this machine; then providers whose
credential lies in the environment. With none of them the built-in ``echo`` answers.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from llmgw.config.prices import load_prices
from llmgw.domain.route import Target, Tier
from llmgw.errors import ConfigInvalid
from llmgw.providers.base import Provider, Upstream
from llmgw.providers.registry import providers
from llmgw.rules.planning import VIRTUAL, Offer, Plan
from llmgw.service.discover import PATIENCE, discover, list_models
from llmgw.service.naming import ECHO, declared_routes
from llmgw.storage.secrets import find_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmgw.config.model import ProviderOptions, Settings
    from llmgw.config.paths import Paths
    from llmgw.config.pricebook import PriceBook
    from llmgw.domain.clock import Nanoseconds
    from llmgw.storage.secrets import Credential

GENERIC = "openai_compatible"
"""The kind of a provider that is known by nothing but its address."""

CHEAP_OUTPUT = 6_000_000_000
"""Nano-dollars per million output tokens below which a model counts as cheap when nobody has said."""


class Survey(Struct, frozen=True):
    """All that a start needs to know: upstreams, the plan, where credentials came from, and in words what is wrong.

    ``problems`` keep providers out, ``lost`` are names that lead nowhere.
    """

    upstreams: tuple[Upstream, ...]
    plan: Plan
    sources: dict[str, str]
    problems: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class Assembly(Struct, frozen=True):
    """The upstreams in use, where each credential came from, and in words what keeps others out."""

    upstreams: tuple[Upstream, ...]
    sources: dict[str, str] = {}
    problems: tuple[str, ...] = ()


def survey(
    settings: Settings, paths: Paths, environ: Mapping[str, str] = os.environ, *, look: bool = True
) -> Survey:
    """What the configuration, this machine and its environment offer together; ConfigInvalid where that is senseless.

    Reads credentials, from the keyring too, and with ``look`` asks local servers which models they have.
    """
    known = providers()
    findings = find_credentials(
        credential_variables(settings, known), paths, environ, own=settings.server.secret
    )
    servers = (
        discover(known, environ, own_port=settings.server.port) if look and settings.server.discover else ()
    )
    assembly = build_upstreams(settings, known, findings.credentials, servers)
    upstreams = tuple(map(_with_models, assembly.upstreams)) if look else assembly.upstreams
    plan, missing = build_plan(
        settings, upstreams, load_prices(settings.prices, paths.prices), time.time_ns()
    )
    lost = (*missing, *declared_routes(settings, plan)[1])
    return Survey(upstreams, plan, assembly.sources, (*findings.problems, *assembly.problems), lost)


def _with_models(upstream: Upstream) -> Upstream:
    """A configured local server with the models it lists; others are trusted to have what they are asked for."""
    if upstream.tier is not Tier.LOCAL or upstream.models or upstream.provider.default_models:
        return upstream
    models = list_models(upstream.base_url.rstrip("/") + upstream.provider.models_path, PATIENCE)
    return replace(upstream, models=models) if models else upstream


def credential_variables(settings: Settings, known: Mapping[str, Provider]) -> dict[str, tuple[str, ...]]:
    """The environment variables of every provider that may have a credential, configured or only known.

    A configured one has a variable of its own name. It shares its kind's variables only as long as it sends them to
    the address they are meant for.
    """
    wanted = {name: provider.credentials for name, provider in known.items() if provider.credentials}
    for name, options in settings.providers.items():
        provider = known.get(_kind(name, options, known))
        own = re.sub(r"[^A-Za-z0-9]", "_", name).upper() + "_API_KEY"
        shared = provider.credentials if provider and options.base_url in {"", provider.base_url} else ()
        if provider and name == provider.name:
            shared = provider.credentials
        wanted[name] = tuple(dict.fromkeys((own, *shared)))
    return wanted


def build_upstreams(
    settings: Settings,
    known: Mapping[str, Provider],
    credentials: Mapping[str, Credential],
    discovered: Iterable[Upstream] = (),
) -> Assembly:
    """Every upstream that can be used; ConfigInvalid when a configured one makes no sense."""
    upstreams: dict[str, Upstream] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    found = {upstream.name: upstream for upstream in discovered}
    for name, options in settings.providers.items():
        if not options.enabled:
            continue
        upstream = _configured(name, options, known)
        credential, source = _credential(name, settings, credentials)
        if (
            not credential
            and upstream.provider.credentials
            and upstream.base_url == upstream.provider.base_url
        ):
            problems.append(f"{name} has no credential; `llmgw provider add {name}` stores one")
            continue
        listed = found[name].models if name in found and not upstream.models else upstream.models
        upstreams[name] = replace(upstream, credential=credential, models=listed)
        if source:
            sources[name] = source
    addresses = {_address(upstream.base_url) for upstream in upstreams.values()}
    unspoken = known.keys() & credentials.keys() - settings.providers.keys()
    upstreams |= {
        name: upstream
        for name, upstream in found.items()
        if name not in settings.providers and _address(upstream.base_url) not in addresses
    }
    upstreams |= {
        name: _plain(provider, credentials[name].value)
        for name, provider in known.items()
        if name in unspoken
    }
    sources |= {name: credentials[name].source for name in unspoken}
    return Assembly(tuple(upstreams.values()) or (_plain(known[ECHO]),), sources, tuple(problems))


def build_plan(
    settings: Settings, upstreams: Iterable[Upstream], prices: PriceBook, now: Nanoseconds
) -> tuple[Plan, tuple[str, ...]]:
    """The plan, and in words which of its targets name a provider that is not in use and were left out."""
    by_name = {upstream.name: upstream for upstream in upstreams}
    missing: list[str] = []

    def usable(names: Iterable[str], where: str) -> tuple[str, ...]:
        kept = []
        for name in names:
            provider = name.partition("/")[0]
            if provider in by_name or name in VIRTUAL:
                kept.append(name)
                continue
            near = get_close_matches(provider, by_name, n=1)
            missing.append(
                f"{where}: `{name}` is left out, provider `{provider}` is not in use"
                + (f"; did you mean `{near[0]}`?" if near else "")
            )
        return tuple(kept)

    declared = {
        Tier.LOCAL: settings.tiers.local,
        Tier.CHEAP: settings.tiers.cheap,
        Tier.PREMIUM: settings.tiers.premium,
    }
    chosen = _default_tiers(by_name.values(), prices, now)
    plan = Plan(
        offers=tuple(_offer(upstream) for upstream in by_name.values()),
        aliases={
            name: kept
            for name, alias in settings.models.items()
            if (kept := usable(alias.targets, f'[models."{name}"]'))
        },
        tiers={
            tier: usable(names, f"[tiers] {tier}") if names else chosen[tier]
            for tier, names in declared.items()
        },
        declared=tuple(tier for tier, names in declared.items() if names),
    )
    return plan, tuple(missing)


def _kind(name: str, options: ProviderOptions, known: Mapping[str, Provider]) -> str:
    return options.kind or (name if name in known or not options.base_url else GENERIC)


def _configured(name: str, options: ProviderOptions, known: Mapping[str, Provider]) -> Upstream:
    kind = _kind(name, options, known)
    provider = known.get(kind)
    if provider is None:
        near = get_close_matches(kind, known, n=1)
        option = f"providers.{name}.kind" if options.kind else f"providers.{name}"
        raise ConfigInvalid(
            f"`{option}`: there is no provider `{kind}`",
            hint=f"did you mean `{near[0]}`?"
            if near
            else "give it a base_url, or a kind that `llmgw provider list --all` knows",
        )
    base_url = (options.base_url or provider.base_url).rstrip("/")
    if not base_url:
        raise ConfigInvalid(
            f"`providers.{name}` needs a base_url", hint='base_url = "http://127.0.0.1:8080/v1"'
        )
    tier = options.tier or (Tier.CHEAP if kind == GENERIC and not _nearby(base_url) else provider.tier)
    return Upstream(
        name=name,
        provider=provider,
        base_url=base_url,
        tier=tier,
        models=options.models,
        closed=bool(options.models),
        connect_timeout=options.connect_timeout,
        timeout=options.timeout,
        slots=options.slots,
        queue_wait=options.queue_wait,
        options=options.options,
    )


def _credential(name: str, settings: Settings, credentials: Mapping[str, Credential]) -> tuple[str, str]:
    """A configured provider's credential and its source; what the file says goes before what was found."""
    if own := settings.providers[name].credential:
        return own, settings.origins.get(f"providers.{name}.credential", "")
    return (credentials[name].value, credentials[name].source) if name in credentials else ("", "")


def _plain(provider: Provider, credential: str = "") -> Upstream:
    return Upstream(
        name=provider.name,
        provider=provider,
        base_url=provider.base_url,
        credential=credential,
        tier=provider.tier,
    )


def _nearby(url: str) -> bool:
    """Whether an address is on this machine or its own network."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".internal", ".localhost", ".lan"))


def _address(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    return host, parts.port


def _offer(upstream: Upstream) -> Offer:
    patterns = () if upstream.models else upstream.provider.model_patterns
    return Offer(
        upstream=upstream.name,
        tier=upstream.tier,
        models=upstream.models or upstream.provider.default_models,
        patterns=patterns,
        open=not upstream.models and not patterns,
    )


def _default_tiers(
    upstreams: Iterable[Upstream], prices: PriceBook, now: Nanoseconds
) -> dict[Tier, tuple[str, ...]]:
    """Tiers nobody declared: local models as found, hosted ones by what they cost, the cheap tier cheapest first."""
    tiers: dict[Tier, list[tuple[int, str]]] = {tier: [] for tier in Tier}
    for upstream in upstreams:
        for model in upstream.models or upstream.provider.default_models:
            target = Target(upstream.name, model, upstream.tier)
            price = prices.find(upstream.name, upstream.provider.price_id, target, now)
            if upstream.tier is Tier.LOCAL or price is None:
                tiers[upstream.tier].append((0, target.name))
            else:
                tier = Tier.CHEAP if price.output < CHEAP_OUTPUT else Tier.PREMIUM
                tiers[tier].append((price.output if tier is Tier.CHEAP else 0, target.name))
    return {
        tier: tuple(name for _, name in sorted(found, key=lambda each: each[0]))
        for tier, found in tiers.items()
    }
