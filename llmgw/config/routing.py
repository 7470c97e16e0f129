"""The tables of ``llmgw.toml`` about who answers: names, tiers, the choice of one, and what happens when it fails."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from llmgw.config.section import (
    AliasTarget,
    Count,
    Duration,
    Positive,
    RuleTarget,
    Section,
    Share,
    TargetName,
    Weekday,
)
from llmgw.domain.route import Tier


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


class ContextBudgets(Section, frozen=True):
    """Tokens of a conversation that are sent to a tier; older turns stay behind. 0: nothing is cut."""

    local: Annotated[int, Meta(ge=0, description="tokens that a local model is sent at most; 0: all")] = 0
    cheap: Annotated[int, Meta(ge=0, description="tokens that a cheap model is sent at most; 0: all")] = 0
    premium: Annotated[int, Meta(ge=0, description="tokens that a premium model is sent at most; 0: all")] = 0


class Cascade(Section, frozen=True):
    """A cheap tier answers first, and its answer is looked at before it is passed on; off unless enabled."""

    enabled: Annotated[bool, Meta(description="whether gateway-auto begins with a cheap tier")] = False
    tiers: Annotated[
        tuple[Tier, ...],
        Meta(min_length=1, description="tiers whose answers are looked at; the cheapest of them begins"),
    ] = (Tier.LOCAL,)
    stream: Annotated[
        Literal["whole", "first"],
        Meta(description="how much of a streamed answer is held back: all of it, or its first tokens"),
    ] = "whole"
    first_tokens: Annotated[int, Meta(ge=1, description="tokens that are looked at with `first`")] = 40
    max_hold: Annotated[
        Duration, Meta(min_length=2, description="how long a streamed answer is held back at most")
    ] = "30s"
    samples: Annotated[
        int,
        Meta(
            ge=0,
            le=5,
            description="times that a local model is asked again where results can be compared; half must agree",
        ),
    ] = 1
    judge: Annotated[
        str,
        Meta(
            pattern=r"^(|local|[^/\s]+/\S.*)$",
            title="local or a `provider/model`",
            description="a model that is asked whether the answer is good: local or a `provider/model`; empty: none",
        ),
    ] = ""
    max_gain: Annotated[
        float,
        Meta(
            ge=-1,
            le=1,
            description="requests that a premium model is expected to answer better by more begin where the score says",
        ),
    ] = 1
    conversations: Annotated[
        bool, Meta(description="whether later turns begin with the cheap tier again")
    ] = False
    tools: Annotated[bool, Meta(description="whether requests that offer tools do")] = False


class Shadow(Section, frozen=True):
    """Answering calls that were paid for on a local model as well, while it is idle, to see what it would have done."""

    share: Annotated[
        float, Meta(ge=0, le=1, description="share of calls to cheap and premium targets; 0: none")
    ] = 0
    judge: Annotated[
        str,
        Meta(
            pattern=r"^(|local|[^/\s]+/\S.*)$",
            title="local or a `provider/model`",
            description="a model that compares answers whose words do not settle it: local or a `provider/model`",
        ),
    ] = ""


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
    learn: Annotated[
        Literal["all", "feedback", "off"],
        Meta(
            description="what it learns from: feedback and what callers do after an answer, feedback alone, or nothing"
        ),
    ] = "all"
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
    cascade: Cascade = Cascade()
    shadow: Shadow = Shadow()


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
