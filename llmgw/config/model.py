"""What may stand in ``llmgw.toml``: every option with its type, its default and one line of explanation.

The starter file, ``llmgw config schema`` and the reference are made from these structs, so an option is described
once. Whoever may call and what they may spend is not declared here but issued into the database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from llmgw.domain.route import Tier

Positive = Annotated[float, Meta(gt=0)]
Dollars = Annotated[float, Meta(ge=0)]
TargetName = Annotated[str, Meta(pattern=r"^[^/\s]+/\S.*$", title="`provider/model`")]
AliasTarget = Annotated[
    str,
    Meta(
        pattern=r"^(gateway-(auto|local|cheap|premium)|[^/\s]+/\S.*)$",
        title="`provider/model` or `gateway-auto`",
    ),
]
Duration = Annotated[str, Meta(pattern=r"^([1-9][0-9]*[smhdw])?$", title="a duration such as 90d")]
Url = Annotated[str, Meta(pattern=r"^(https?://[^\s/?#]+[^\s]*)?$", title="an http:// or https:// address")]
RuleTarget = Annotated[str, Meta(min_length=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Weekday = Annotated[
    Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], Meta(title="mon, tue, wed, thu, fri, sat, sun")
]
"""Titles are how error messages call a value of the type."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; a key it does not know is an error."""


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


class Alias(Section, frozen=True):
    """What one name or glob pattern that callers use stands for."""

    targets: Annotated[
        tuple[AliasTarget, ...],
        Meta(
            min_length=1,
            description="tried in this order, as provider/model; gateway-auto lets the router choose",
        ),
    ]


class Tiers(Section, frozen=True):
    """The targets of each price class, in the order they are tried; empty: chosen from what is there."""

    local: Annotated[tuple[TargetName, ...], Meta(description="models on your own machines")] = ()
    cheap: Annotated[tuple[TargetName, ...], Meta(description="hosted models for everyday work")] = ()
    premium: Annotated[tuple[TargetName, ...], Meta(description="hosted models for hard work")] = ()


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


class KeyDefaults(Section, frozen=True):
    models: Annotated[
        tuple[str, ...], Meta(description="patterns of models a new key may use; empty: all")
    ] = ()
    expires: Annotated[Duration, Meta(description="how long a new key lives, as 90d; empty: for ever")] = ""


class Keys(Section, frozen=True):
    defaults: KeyDefaults = KeyDefaults()


class Limits(Section, frozen=True):
    """What everybody together may do where `llmgw limit` has not set it; 0: no limit."""

    requests_per_minute: Annotated[
        int, Meta(ge=0, description="requests a minute of all callers together; 0: any number")
    ] = 0
    tokens_per_minute: Annotated[
        int, Meta(ge=0, description="tokens a minute of all callers together; 0: any number")
    ] = 0


class DailyBudget(Section, frozen=True):
    """A budget of everybody, which `llmgw budget set all` may change; once one is set, a 0 means 5, 15 and 50."""

    daily_soft: Annotated[
        Dollars, Meta(description="dollars a day from which a warning is given; all three 0: no daily budget")
    ] = 0
    daily_medium: Annotated[
        Dollars, Meta(description="dollars a day from which no premium model is used")
    ] = 0
    daily_hard: Annotated[
        Dollars, Meta(description="dollars a day that are never exceeded; local models go on")
    ] = 0
    wait_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="how long a call waits for room in a budget, or in a limit on tokens, that other calls only hold",
        ),
    ] = 2


class Ledger(Section, frozen=True):
    durability: Annotated[
        Literal["normal", "strict"],
        Meta(description="normal survives a crash of the process, strict also one of the power"),
    ] = "normal"


class KillSwitch(Section, frozen=True):
    """When the kill switch throws itself for whatever costs money; `llmgw kill off paid` lifts it."""

    error_rate: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="share of failed requests within a minute, from 10 on; 0: it never does for errors",
        ),
    ] = 0
    spend_rate: Annotated[
        Dollars, Meta(description="dollars spent within an hour; 0: it never does for money")
    ] = 0
    mode: Annotated[
        Literal["kill", "degrade"],
        Meta(
            description="kill refuses paid calls and ends running ones, degrade sends new ones to local models"
        ),
    ] = "degrade"


class Loops(Section, frozen=True):
    """When an agent that sends the same call over and over is paused; any other call of its key goes on."""

    watch: Annotated[
        Literal["agents", "all", "off"],
        Meta(description="agents: calls that offer tools; all: plain ones too, also of a benchmark; off"),
    ] = "agents"
    repeats: Annotated[
        int,
        Meta(ge=3, description="so many repeats of one call in a row, with one key and model, are a loop"),
    ] = 10
    within_minutes: Annotated[Positive, Meta(description="minutes in which they must come")] = 5
    pause_minutes: Annotated[Positive, Meta(description="minutes after which the pause ends by itself")] = 5
    exempt: Annotated[
        tuple[str, ...], Meta(description="names of keys, or patterns of them, that may repeat themselves")
    ] = ()


class Breaker(Section, frozen=True):
    """When a target that keeps failing is asked after all others, and for how long."""

    failures: Annotated[
        int, Meta(ge=0, description="failures in a row that open its breaker; 0: however many")
    ] = 5
    error_rate: Annotated[
        float, Meta(ge=0, le=1, description="share of failures within the window, from 20 calls on; 0: any")
    ] = 0.5
    window_seconds: Annotated[Positive, Meta(description="seconds that the share is taken of")] = 60
    open_seconds: Annotated[
        Positive, Meta(description="seconds until a single call tries it again; doubled each time that fails")
    ] = 5
    longest_seconds: Annotated[Positive, Meta(description="most seconds between two such calls")] = 300
    probe: Annotated[
        Literal["local", "all", "off"],
        Meta(
            description="servers that are asked for their models every two seconds while nobody can connect to them"
        ),
    ] = "local"


class Retry(Section, frozen=True):
    """When a call is sent once more because no target could answer it just now."""

    attempts: Annotated[
        int, Meta(ge=0, le=10, description="more rounds over the targets that failed for the moment; 0: none")
    ] = 1
    wait_seconds: Annotated[Positive, Meta(description="shortest wait before another round")] = 0.1
    longest_seconds: Annotated[
        Positive,
        Meta(description="longest wait; a provider that asks for a longer one is not asked again"),
    ] = 5
    budget: Annotated[
        float, Meta(ge=0, le=1, description="share of calls that may be retried, beyond ten at once")
    ] = 0.2


class Hedge(Section, frozen=True):
    """Asking the next target as well where the first is slow; both may cost money."""

    after_ms: Annotated[
        float,
        Meta(ge=0, description="milliseconds without a first byte after which that is done; 0: never"),
    ] = 0


class Alerts(Section, frozen=True):
    """Who is told when a budget passes a mark, the kill switch throws itself or a loop is paused."""

    webhook: Annotated[Url, Meta(description="address that each alert is posted to, best as ${VAR}")] = ""
    format: Annotated[
        Literal["json", "slack", "discord", "ntfy"], Meta(description="what the webhook understands")
    ] = "json"
    secret: Annotated[
        str, Meta(description="sent to the webhook as `Authorization: Bearer`, best as ${VAR}")
    ] = ""
    command: Annotated[
        tuple[str, ...],
        Meta(description="a program and its arguments; it is run without a shell and reads JSON from stdin"),
    ] = ()


class ExactCache(Section, frozen=True):
    """Answers to the very same request: which are remembered, and for how long."""

    enabled: Annotated[bool, Meta(description="remember answers and give them again")] = True
    ttl: Annotated[Duration, Meta(min_length=2, description="how long an answer lives")] = "24h"
    ttl_deterministic: Annotated[
        Duration, Meta(min_length=2, description="how long one asked for with temperature 0 lives")
    ] = "7d"
    ttl_dated: Annotated[
        Duration, Meta(min_length=2, description="how long one to a prompt that speaks of today lives")
    ] = "1h"
    max_temperature: Annotated[
        float, Meta(ge=0, description="no answer asked for with a higher temperature is remembered")
    ] = 1.0
    tools: Annotated[bool, Meta(description="remember answers to requests that offer tools")] = False
    images: Annotated[
        bool, Meta(description="remember answers to requests that hold pictures or documents")
    ] = True
    join: Annotated[
        bool, Meta(description="let equal requests under way at one time share one upstream call")
    ] = True


class Idempotency(Section, frozen=True):
    ttl: Annotated[
        Duration, Meta(description="how long an answer is kept under its idempotency key; empty: not at all")
    ] = "24h"


class SemanticCache(Section, frozen=True):
    """Answers to requests that mean the same."""

    mode: Annotated[
        Literal["off", "shadow", "on"],
        Meta(description="shadow watches and shows what it would have answered, on answers"),
    ] = "shadow"
    max_error: Annotated[
        float,
        Meta(gt=0, lt=1, description="the promise: at most this share of its answers is wrong"),
    ] = 0.01
    ttl: Annotated[Duration, Meta(min_length=2, description="how long an answer serves other wordings")] = (
        "3d"
    )
    audit: Annotated[
        float, Meta(ge=0, le=1, description="share of its answers that are checked against a fresh one")
    ] = 0.03
    embedder: Annotated[
        str,
        Meta(
            description="auto, static, minilm, or a `provider/model` that makes embeddings; auto: the best there is"
        ),
    ] = "auto"
    candidates: Annotated[
        int, Meta(ge=1, le=64, description="how many remembered prompts are looked at closely")
    ] = 8


class Cache(Section, frozen=True):
    """Remembered answers, in cache.db beside the ledger's database."""

    size_mb: Annotated[Positive, Meta(description="largest size of cache.db; the least used goes first")] = (
        1024
    )
    memory_mb: Annotated[
        float, Meta(ge=0, description="memory for answers that are given often, in megabytes")
    ] = 64
    exact: ExactCache = ExactCache()
    idempotency: Idempotency = Idempotency()
    semantic: SemanticCache = SemanticCache()


class ContextBudgets(Section, frozen=True):
    """Tokens of a conversation that are sent to a tier; older turns stay behind. 0: nothing is cut."""

    local: Annotated[int, Meta(ge=0, description="tokens that a local model is sent at most; 0: all")] = 0
    cheap: Annotated[int, Meta(ge=0, description="tokens that a cheap model is sent at most; 0: all")] = 0
    premium: Annotated[int, Meta(ge=0, description="tokens that a premium model is sent at most; 0: all")] = 0


class Router(Section, frozen=True):
    """How `gateway-auto` chooses a tier."""

    quality: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="share of what the best tier is better by that is wanted: 0 the cheapest tier, 1 the best",
        ),
    ] = 0.8
    max_regret: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="most that one answer may be expected to lose against the best tier's; 1: any loss",
        ),
    ] = 1
    explore: Annotated[
        float,
        Meta(ge=0, le=1, description="share of requests that try another tier to learn, within max_regret"),
    ] = 0
    sticky: Annotated[
        Duration,
        Meta(description="how long a conversation that pauses stays with its model; empty: each turn anew"),
    ] = "30m"
    clarify: Annotated[
        bool, Meta(description="ask back, at no cost, where a request is too vague for any model")
    ] = False
    classifier: Annotated[
        str,
        Meta(
            pattern=r"^(|local|groq|[^/\s]+/\S.*)$",
            title="local, groq or a `provider/model`",
            description="a model that is asked for the tier: local, groq or a `provider/model`; empty: the score decides",
        ),
    ] = ""
    balance: Annotated[
        Literal["order", "cost", "latency"],
        Meta(
            description="which of equal targets is asked first: as listed, the cheapest, or the quickest of late"
        ),
    ] = "order"
    context: ContextBudgets = ContextBudgets()


class RouteRule(Section, frozen=True, omit_defaults=True):
    """Which requests go where; of several rules the first that fits decides, and all its conditions must hold."""

    key: Annotated[str, Meta(description="name of the key, or a pattern of names")] = ""
    tag: Annotated[str, Meta(description="one of the request's tags, or a pattern")] = ""
    tenant: Annotated[str, Meta(description="tenant of the key, or a pattern")] = ""
    model: Annotated[
        str,
        Meta(description="the name asked for, or a pattern; without it a rule is for gateway-auto alone"),
    ] = ""
    min_tokens: Annotated[Count | None, Meta(description="about so many tokens of prompt, or more")] = None
    max_tokens: Annotated[Count | None, Meta(description="about so many tokens of prompt, or fewer")] = None
    tools: Annotated[bool | None, Meta(description="whether the request offers tools")] = None
    hours: Annotated[
        str,
        Meta(
            pattern=r"^(([01]?\d|2[0-3])-([01]?\d|2[0-4]))?$",
            title="hours of the day such as 22-6",
            description="hours of the day from and to, in the gateway's time zone: 22-6",
        ),
    ] = ""
    weekdays: Annotated[
        tuple[Weekday, ...], Meta(description="days of the week: mon, tue, wed, thu, fri, sat, sun")
    ] = ()
    language: Annotated[
        Literal["", "en", "de", "code"],
        Meta(description="what the last question is written in: en, de or code"),
    ] = ""
    to: Annotated[
        tuple[RuleTarget, ...],
        Meta(description="tiers, aliases or targets, in order; nobody else is asked"),
    ] = ()
    tier: Annotated[
        Tier | None, Meta(description="the tier to begin with; the others follow if it fails")
    ] = None
    quality: Annotated[Share | None, Meta(description="another router.quality for these requests")] = None


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


SECRET_OPTIONS = frozenset({"secret", "credential", "webhook"})
"""Options whose values are never shown whole."""
