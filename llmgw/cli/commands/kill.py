"""The kill switch: stop everything, somebody, or whatever costs money."""

from __future__ import annotations

import getpass
import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.output import Column
from llmgw.domain.killswitch import Kill, Mode

if TYPE_CHECKING:
    from llmgw.storage.control import Control

PLACE = "CONTROL", 1

app = typer.Typer()

DOES = {
    Mode.OFF: "open",
    Mode.THROTTLE: "each call waits 2 s",
    Mode.DEGRADE: "only local models answer",
    Mode.KILL: "nothing answers",
}

Scope = Annotated[
    str,
    typer.Argument(
        metavar="[SCOPE]",
        help="all; paid: whatever costs money; or one tenant, user, key, tag, tier, provider or model, as key:NAME.",
    ),
]
Reason = Annotated[str, typer.Option(help="Why; whoever is refused reads it.", metavar="TEXT")]


@app.command()
def on(scope: Scope = "all", reason: Reason = "") -> None:
    """Refuse new calls, and end those under way within a second.

    With `paid` calls to local models go on.

    Examples:
      llmgw kill on
      llmgw kill on paid --reason "the bill looks wrong"
      llmgw kill on key:ci --reason "runs in a loop"
    """
    _throw(scope, Mode.KILL, reason)


@app.command()
def off(scope: Scope = "all") -> None:
    """Open a scope again.

    Examples:
      llmgw kill off
      llmgw kill off paid
    """
    from llmgw.client import local
    from llmgw.storage.kills import Kills

    with local.control(options.paths()) as control:
        kills = Kills(control)
        lifted = kills.remove(scope)
        others = [kill.scope for kill in kills.list()]
    text = f"the kill switch was not on for {scope}" if lifted is None else f"{scope} is open again"
    output.record(describe(Kill(scope=scope, mode=Mode.OFF)), ident="scope", text=text)
    if others:
        notices.note(f"the kill switch is still on for {', '.join(others)}")


@app.command()
def throttle(scope: Scope = "all", reason: Reason = "") -> None:
    """Let each new call wait two seconds.

    Examples:
      llmgw kill throttle key:ci
    """
    _throw(scope, Mode.THROTTLE, reason)


@app.command()
def degrade(scope: Scope = "all", reason: Reason = "") -> None:
    """Let local models answer new calls, whatever was asked for; calls under way go on.

    Examples:
      llmgw kill degrade
      llmgw kill degrade tag:nightly --reason "month is nearly over"
    """
    _throw(scope, Mode.DEGRADE, reason)


@app.command()
def status() -> None:
    """Show every switch that is thrown, why and by whom.

    Examples:
      llmgw kill status
      llmgw kill status --json | jq -r '.kills[].scope'
    """
    from llmgw.client import local
    from llmgw.storage.kills import Kills

    with local.control(options.paths()) as control:
        found = Kills(control).list()
    if not found:
        notices.note("no kill switch is on")
    columns = [Column("scope"), Column("mode"), Column("reason"), Column("by"), Column("thrown_at", "SINCE")]
    output.rows([describe(kill) for kill in found], columns, noun="kills", ident="scope")


def describe(kill: Kill) -> dict[str, Any]:
    """What commands show of a switch."""
    return {
        "scope": kill.scope,
        "mode": kill.mode.value,
        "reason": kill.reason,
        "by": kill.by,
        "thrown_at": kill.at or None,
    }


def _throw(scope: str, mode: Mode, reason: str) -> None:
    from llmgw.client import local
    from llmgw.storage.kills import Kills

    kill = Kill(scope=scope, mode=mode, reason=reason, by=_whoever(), at=time.time_ns())
    with local.control(options.paths()) as control:
        Kills(control).set(kill)
        _hint_at_typo(control, scope)
    text = f"{'everything' if scope == 'all' else scope}: {DOES[mode]}"
    output.record(describe(kill), ident="scope", text=f"{text}; `llmgw kill off {scope}` lifts it")


def _hint_at_typo(control: Control, scope: str) -> None:
    """A slip in the name of a key would stop nobody, and go unnoticed."""
    kind, _, name = scope.partition(":")
    if kind == "key" and all(key.name != name for key in control.load_keys()):
        notices.warn(f"there is no key `{name}`; `llmgw key list` shows what there is")


def _whoever() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"uid {os.getuid()}"
