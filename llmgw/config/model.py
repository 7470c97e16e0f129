"""What may stand in ``llmgw.toml``: every option with its type, its default and one line of explanation.

The starter file, ``llmgw config schema`` and the reference are made from these structs, so an option is described
once. Whoever may call and what they may spend is not declared here but issued into the database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from llmgw.config.caching import Cache
from llmgw.config.control import Alerts, DailyBudget, Keys, KillSwitch, Limits, Loops
from llmgw.config.dash import Dash
from llmgw.config.routing import Alias, Breaker, Hedge, Retry, Router, RouteRule, Tiers
from llmgw.config.section import Dollars, Positive, Section, Url
from llmgw.config.telemetry import Metrics, Otel
from llmgw.domain.route import Tier


class Server(Section, frozen=True):
    host: Annotated[
        str, Meta(description="address to listen on; 0.0.0.0 opens the gateway to the network")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to listen on; 0 takes a free one")] = 8000
    secret: Annotated[
        str,
        Meta(description="a key that opens everything, best as ${GATEWAY_SECRET}; empty: only issued keys"),
    ] = ""
    discover: Annotated[
        bool, Meta(description="look for Ollama, LM Studio, LocalAI and vLLM on this machine at start")
    ] = True
    max_body_mb: Annotated[Positive, Meta(description="largest request body, in megabytes")] = 40
    max_answer_mb: Annotated[
        Positive, Meta(description="largest plain answer that is taken from a provider, in megabytes")
    ] = 64
    write_timeout: Annotated[
        Positive, Meta(description="seconds that a caller may leave its answer unread before it is cut off")
    ] = 60
    drain_seconds: Annotated[
        float, Meta(ge=0, description="how long `stop` waits for requests in flight")
    ] = 10
    cors_origins: Annotated[
        tuple[str, ...], Meta(description='origins of web pages that may call the gateway; ["*"] for all')
    ] = ()
    timezone: Annotated[
        str,
        Meta(
            description="whose midnight ends a day in budgets and reports, as Europe/Berlin; empty: this machine's"
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severity that is logged")
    ] = "info"
    log_format: Annotated[Literal["text", "json"], Meta(description="how log lines look")] = "text"
    log_file: Annotated[
        str, Meta(description="where the log goes; empty: gateway.log in the state folder")
    ] = ""


class ProviderOptions(Section, frozen=True):
    enabled: Annotated[
        bool, Meta(description="false takes the provider out without deleting its settings")
    ] = True
    kind: Annotated[
        str,
        Meta(
            description="which known provider this is; empty: its name, or openai_compatible with a base_url"
        ),
    ] = ""
    base_url: Annotated[Url, Meta(description="address of its API; empty: the provider's own")] = ""
    tier: Annotated[Tier | None, Meta(description="price class: local, cheap or premium")] = None
    models: Annotated[
        tuple[str, ...], Meta(description="models it offers; empty: those it lists itself")
    ] = ()
    credential: Annotated[
        str, Meta(description="its API key, only as ${VAR}; better: `llmgw provider add NAME`")
    ] = ""
    timeout: Annotated[Positive, Meta(description="seconds between two pieces of an answer")] = 600
    connect_timeout: Annotated[Positive, Meta(description="seconds for the connection")] = 5
    slots: Annotated[
        int, Meta(ge=0, description="calls that it answers at one time, others stand in line; 0: any number")
    ] = 0
    queue_wait: Annotated[
        Positive, Meta(description="seconds that a call stands in line; one that would longer goes elsewhere")
    ] = 30
    options: Annotated[dict[str, Any], Meta(description="settings only this provider knows")] = {}


class Price(Section, frozen=True):
    """What one model costs where the shipped table is wrong or silent; an option left out keeps the table's figure."""

    input: Annotated[Dollars | None, Meta(description="dollars per million fresh input tokens")] = None
    output: Annotated[Dollars | None, Meta(description="dollars per million output tokens")] = None
    cache_read: Annotated[
        Dollars | None, Meta(description="per million tokens read from the provider's cache")
    ] = None
    cache_write: Annotated[Dollars | None, Meta(description="per million tokens written to it")] = None
    cache_write_1h: Annotated[
        Dollars | None, Meta(description="per million of those that stay for an hour")
    ] = None
    input_audio: Annotated[Dollars | None, Meta(description="per million audio input tokens")] = None
    output_audio: Annotated[Dollars | None, Meta(description="per million audio output tokens")] = None
    reasoning: Annotated[
        Dollars | None, Meta(description="per million reasoning tokens, if unlike output")
    ] = None
    searches: Annotated[Dollars | None, Meta(description="per thousand web searches by the provider")] = None
    request: Annotated[Dollars | None, Meta(description="per request, on top of its tokens")] = None


class Ledger(Section, frozen=True):
    durability: Annotated[
        Literal["normal", "strict"],
        Meta(description="normal survives a crash of the process, strict also one of the power"),
    ] = "normal"


class Config(Section, frozen=True):
    """The whole file."""

    server: Server = Server()
    providers: dict[str, ProviderOptions] = {}
    models: dict[str, Alias] = {}
    tiers: Tiers = Tiers()
    router: Router = Router()
    routes: Annotated[tuple[RouteRule, ...], Meta(description="rules that are looked at first")] = ()
    prices: dict[str, Price] = {}
    keys: Keys = Keys()
    limits: Limits = Limits()
    killswitch: KillSwitch = KillSwitch()
    loops: Loops = Loops()
    breaker: Breaker = Breaker()
    retry: Retry = Retry()
    hedge: Hedge = Hedge()
    alerts: Alerts = Alerts()
    metrics: Metrics = Metrics()
    otel: Otel = Otel()
    dash: Dash = Dash()
    budgets: DailyBudget = DailyBudget()
    ledger: Ledger = Ledger()
    cache: Cache = Cache()


class Settings(Config, frozen=True):
    """What is in force after flags, environment, file and defaults.

    ``origins`` maps a dotted option (``server.port``) to where its value came from; options at their default are
    absent. ``notes`` are things worth saying that are no errors. ``path`` is the file that was read, if there is one.
    """

    origins: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    path: Path | None = None


SECRET_OPTIONS = frozenset({"secret", "credential", "webhook", "headers", "apprise"})
"""Options whose values are never shown whole."""
