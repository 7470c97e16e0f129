"""All a gateway needs to start, gathered by whoever starts it: options, credentials, servers found here, the plan.

Credentials are read here and not in the gateway itself, since a background process may be unable to open a keyring.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from llmgw.config.budgets import daily_budget
from llmgw.config.limits import default_limits
from llmgw.config.load import effective_config
from llmgw.config.model import Settings
from llmgw.config.prices import load_prices
from llmgw.config.zones import read_zone
from llmgw.domain.clock import SYSTEM_CLOCK, Clock
from llmgw.domain.route import Tier
from llmgw.errors import NotAllowed
from llmgw.gates.resilience import Resilient
from llmgw.providers.registry import providers
from llmgw.rules.backoff import Retrying
from llmgw.rules.balancing import Balance
from llmgw.rules.breaker import Breaking
from llmgw.rules.looping import Loops
from llmgw.rules.tripping import Trips
from llmgw.service.assemble import Survey, build_plan, build_upstreams, survey
from llmgw.service.launch import Launch
from llmgw.service.tiering import router_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmgw.config.paths import Paths
    from llmgw.storage.control import Control

DEMO = "demo"


class Prepared(Struct, frozen=True):
    """A launch, where each upstream's credential came from, and in words what is worth knowing of the rest."""

    launch: Launch
    sources: dict[str, str]
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def example(self) -> str:
        """A model to try first: the cheapest there is."""
        tiers = self.launch.plan.tiers
        return next((names[0] for tier in Tier if (names := tiers.get(tier))), "gateway-auto")


def prepare(paths: Paths, flags: Mapping[str, Any], clock: Clock = SYSTEM_CLOCK) -> Prepared:
    """Gather everything for the home at ``paths``.

    ``flags`` are command-line values by dotted option (None: not given); ``demo`` asks for the built-in echo alone.
    ConfigInvalid when what was declared makes no sense.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    options = {name: value for name, value in given.items() if name != DEMO}
    settings = effective_config(paths, options)
    found = _echo_alone(clock) if given.get(DEMO) else survey(settings, paths)
    own_prices = {
        name: {field: rate for field, rate in msgspec.to_builtins(price).items() if rate is not None}
        for name, price in settings.prices.items()
    }
    server = settings.server
    router, missing = router_options(settings, found.plan)
    lost = (*found.lost, *missing)
    launch = Launch(
        database=str(paths.database),
        lock=str(paths.lock),
        run_file=str(paths.run),
        log_file=str(Path(server.log_file).expanduser().absolute() if server.log_file else paths.log),
        host=server.host,
        port=server.port,
        upstreams=found.upstreams,
        plan=found.plan,
        secret=server.secret,
        prices=own_prices,
        max_body_mb=server.max_body_mb,
        max_answer_mb=server.max_answer_mb,
        write_timeout=server.write_timeout,
        drain_seconds=server.drain_seconds,
        cors_origins=server.cors_origins,
        log_level=server.log_level,
        log_format=server.log_format,
        durability=settings.ledger.durability,
        timezone=read_zone(server.timezone).key,
        limits=default_limits(settings),
        key_defaults=settings.keys.defaults,
        sources=found.sources,
        trips=msgspec.convert(msgspec.to_builtins(settings.killswitch), Trips),
        loops=msgspec.convert(msgspec.to_builtins(settings.loops), Loops),
        resilience=resilience_of(settings),
        probe=settings.breaker.probe,
        alerts=settings.alerts,
        metrics=settings.metrics,
        otel=settings.otel,
        router=router,
        daily_budget=daily_budget(settings),
        wait_seconds=settings.budgets.wait_seconds,
        cache=settings.cache,
        lost=lost,
        flags=given,
    )
    return Prepared(launch, found.sources, settings.notes, (*found.problems, *lost))


def resilience_of(settings: Settings) -> Resilient:
    """What the configuration says of breakers, retries, hedging and the choice among equals."""
    return Resilient(
        balance=Balance(settings.router.balance),
        breaking=msgspec.convert(msgspec.to_builtins(settings.breaker), Breaking),
        retrying=msgspec.convert(msgspec.to_builtins(settings.retry), Retrying),
        hedge_seconds=settings.hedge.after_ms / 1000,
    )


def refuse_open_door(launch: Launch, control: Control, clock: Clock = SYSTEM_CLOCK) -> None:
    """NotAllowed when others could reach a gateway that has no key yet."""
    now = clock.now()
    living = (
        key for key in control.load_keys() if key.revoked_at is None and (key.expires_at or now + 1) > now
    )
    if loopback(launch.host) or launch.secret or next(living, None):
        return
    raise NotAllowed(
        f"not listening on {launch.host} as long as there is no key",
        hint="make one with `llmgw key create NAME`, or set GATEWAY_SECRET",
    )


def loopback(host: str) -> bool:
    """Whether only programs on this machine reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _echo_alone(clock: Clock) -> Survey:
    upstreams = build_upstreams(Settings(), providers(), {}).upstreams
    plan, _ = build_plan(Settings(), upstreams, load_prices(), clock.now())
    return Survey(upstreams, plan, {})
