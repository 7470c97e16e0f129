"""The tables of ``llmgw.toml`` about who may how much, and what is watched: keys, limits, budgets, switches, alerts."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from llmgw.config.section import Dollars, Duration, Positive, Section, Url


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


class Alerts(Section, frozen=True):
    """Who is told when a budget passes a mark, the kill switch throws itself or a loop is paused."""

    webhook: Annotated[Url, Meta(description="address that each alert is posted to, best as ${VAR}")] = ""
    format: Annotated[
        Literal["json", "slack", "discord", "ntfy"], Meta(description="what the webhook understands")
    ] = "json"
    secret: Annotated[
        str, Meta(description="sent to the webhook as `Authorization: Bearer`, best as ${VAR}")
    ] = ""
    apprise: Annotated[
        str, Meta(description="addresses of Apprise, comma separated, best as ${APPRISE_URLS}")
    ] = ""
    command: Annotated[
        tuple[str, ...],
        Meta(description="a program and its arguments; it is run without a shell and reads JSON from stdin"),
    ] = ()
