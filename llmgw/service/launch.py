"""What a gateway is started with; apart from the gateway, which whoever starts one need not import."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from llmgw.config.caching import Cache
from llmgw.config.control import Alerts, KeyDefaults
from llmgw.config.telemetry import Metrics, Otel
from llmgw.domain.budget import Budget
from llmgw.domain.limit import Limit
from llmgw.gates.resilience import Resilient
from llmgw.providers.base import Upstream
from llmgw.rules.backoff import Retrying
from llmgw.rules.looping import Loops
from llmgw.rules.planning import Plan
from llmgw.rules.tiering.options import Options
from llmgw.rules.tripping import Trips


class Launch(Struct, frozen=True, kw_only=True):
    """All a gateway needs to start, as it travels over a pipe: credentials are in it, so never argv, never a file."""

    database: str
    lock: str
    run_file: str
    log_file: str
    host: str
    port: int
    upstreams: tuple[Upstream, ...]
    plan: Plan
    secret: str = ""
    prices: dict[str, dict[str, float]] = {}
    max_body_mb: float = 40
    max_answer_mb: float = 64
    write_timeout: float = 60
    drain_seconds: float = 10
    cors_origins: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "text"
    durability: str = "normal"
    timezone: str = "UTC"
    daily_budget: Budget | None = None
    """What the configuration declares; an operator's own budget of that name wins."""
    limits: tuple[Limit, ...] = ()
    key_defaults: KeyDefaults = KeyDefaults()
    sources: dict[str, str] = {}
    """Where each upstream's credential was found; the credentials are in the upstreams."""
    wait_seconds: float = 2
    trips: Trips = Trips()
    loops: Loops = Loops(watch="off")
    resilience: Resilient = Resilient(retrying=Retrying(attempts=0))
    probe: str = "local"
    """Which upstreams are looked at while nobody can connect to them: local, all or off."""
    alerts: Alerts = Alerts()
    metrics: Metrics = Metrics()
    otel: Otel = Otel()
    cache: Cache = Cache()
    router: Options = Options()
    lost: tuple[str, ...] = ()
    """In words, which names of the configuration lead nowhere."""
    simulated: bool = False
    """Whether nothing in it is real, which every screen says."""
    flags: dict[str, Any] = {}
    """What was typed at `serve`, so that `restart` can repeat it."""
