"""The kill switch: stop everything, somebody, or whatever costs money."""

from __future__ import annotations

from typing import Annotated

import typer
from msgspec import to_builtins

from llmgw.cli import notices, output
from llmgw.cli.output import Column
from llmgw.domain.killswitch import Mode

PLACE = "CONTROL", 1
ELSEWHERE = ("on", "off", "throttle", "degrade", "status")

app = typer.Typer()

DOES = {
    Mode.OFF: "open",
    Mode.PAUSE: "the same call is not sent again",
    Mode.THROTTLE: "each call waits 2 s",
    Mode.DEGRADE: "only local models answer",
    Mode.KILL: "nothing answers",
}

Scope = Annotated[
    str,
    typer.Argument(
        metavar="[SCOPE]",
        help="all; paid: whatever costs money; or one tenant, user, key, tag, tier, provider or model, as key:NAME; request:ID: one call.",
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
    from llmgw.cli.reaching import gateway
    from llmgw.desk.kills import LiftKill, ListKills

    with gateway() as there:
        done = there.ask(LiftKill(scope=scope))
        others = [kill.scope for kill in there.ask(ListKills()).kills]
    text = f"{scope} is open again" if done.lifted else f"the kill switch was not on for {scope}"
    output.record(to_builtins(done), ident="scope", text=text)
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
    from llmgw.cli.reaching import gateway
    from llmgw.desk.kills import ListKills

    with gateway() as there:
        found = there.ask(ListKills()).kills
    if not found:
        notices.note("no kill switch is on")
    columns = [Column("scope"), Column("mode"), Column("reason"), Column("by"), Column("thrown_at", "SINCE")]
    output.rows(map(to_builtins, found), columns, noun="kills", ident="scope")


def _throw(scope: str, mode: Mode, reason: str) -> None:
    from llmgw.cli.reaching import gateway, known_key
    from llmgw.desk.kills import ThrowKill

    with gateway() as there:
        done = there.ask(ThrowKill(scope=scope, mode=mode, reason=reason))
        kind, _, name = scope.partition(":")
        if kind == "key" and not known_key(there, name):
            notices.warn(f"there is no key `{name}`; `llmgw key list` shows what there is")
    text = f"{'everything' if scope == 'all' else scope}: {DOES[mode]}; `llmgw kill off {scope}` lifts it"
    if kind == "request":
        text = f"{name} is ended"
    output.record(to_builtins(done), ident="scope", text=text)
