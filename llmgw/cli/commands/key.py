"""Callers' keys: what programs send to the gateway."""

from __future__ import annotations

import sys
import time
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmgw.cli import completing, notices, options, output, prompts
from llmgw.cli.amounts import parse_rate
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_moment, parse_span
from llmgw.domain.budget import Budget
from llmgw.domain.scope import Scope, ScopeKind
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from llmgw.domain.identity import Key

PLACE = "CONTROL", 3

app = typer.Typer()

MIN_LENGTH = 16
"""Characters a key that somebody brings along must have."""

Name = Annotated[
    str, typer.Argument(help="Name of the key.", autocompletion=completing.keys, show_default=False)
]


@app.command("list")
def list_keys(
    revoked: Annotated[bool, typer.Option("--all", help="Revoked and expired ones too.")] = False,
    tag: Annotated[str | None, typer.Option(help="Only keys with this tag.", metavar="TAG")] = None,
) -> None:
    """List keys.

    Examples:
      llmgw key list
      llmgw key list --tag nightly --json
      llmgw key list -q
    """
    from llmgw.client import local

    with local.control(options.paths()) as control:
        found = [describe(key) for key in control.load_keys() if tag is None or tag in key.tags]
    columns = [
        Column("name"),
        Column("shown", "KEY"),
        Column("models"),
        Column("tags", wide=True),
        Column("state"),
        Column("expires_at"),
        Column("last_used_at"),
        Column("created_at", wide=True),
    ]
    output.rows([key for key in found if revoked or key["state"] == "active"], columns, noun="keys")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the new key.", show_default=False)],
    tenant: Annotated[str, typer.Option(help="Whom it belongs to.", metavar="NAME")] = "default",
    user: Annotated[str, typer.Option(help="Who in the tenant uses it.", metavar="NAME")] = "",
    budget: Annotated[
        str | None, typer.Option(help="What it may spend: 20/month, 0.50/day.", metavar="AMOUNT/WINDOW")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="Model it may use, as gpt-5-*, cheap/* or ollama/*; repeatable.", metavar="PATTERN"
        ),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Tag its requests carry; repeatable.", metavar="TAG")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 90d, 2027-01-01 or never.", metavar="TIME")
    ] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help="It may also use /admin/... of the gateway.")
    ] = False,
    from_stdin: Annotated[bool, typer.Option("--from-stdin", help="Take the key from stdin.")] = False,
    from_file: Annotated[
        Path | None,
        typer.Option(help="Take the key from a file.", exists=True, dir_okay=False, metavar="FILE"),
    ] = None,
) -> None:
    """Create a key and show it once.

    Examples:
      llmgw key create ci
      llmgw key create ci --models 'cheap/*' --tag nightly --expires 90d
      llmgw key create ci --tenant ml --budget 20/month
      llmgw key create ci -q > ci.key
    """
    from llmgw.client import local
    from llmgw.config.load import effective_config
    from llmgw.storage.budgets import Budgets

    paths = options.paths()
    defaults = effective_config(paths).keys.defaults
    ceiling = None if budget is None else _ceiling(name, budget)
    with local.control(paths) as control:
        key, token = control.create(
            name,
            tenant=tenant,
            user=user,
            models=tuple(models or defaults.models),
            tags=tuple(tag or ()),
            expires_at=_end(expires or defaults.expires, time.time_ns()),
            admin=admin,
            token=_brought(from_stdin, from_file),
        )
        if ceiling is not None:  # nobody has seen the key yet, so no call of it was without
            Budgets(control).set(ceiling)
    _show_once(key, token)


@app.command()
def show(name: Name) -> None:
    """Show what is known of a key; the key itself is not.

    Examples:
      llmgw key show ci
      llmgw key show ci --json
    """
    from llmgw.client import local

    with local.control(options.paths()) as control:
        output.record(describe(control.show(name)))


@app.command()
def rotate(
    name: Name,
    grace: Annotated[str, typer.Option(help="How long the old key still works.", metavar="SPAN")] = "0s",
) -> None:
    """Give a key a new value and show it once.

    Examples:
      llmgw key rotate ci --grace 24h
    """
    from llmgw.client import local

    span = parse_span(grace)
    with local.control(options.paths()) as control:
        key, token = control.rotate(name, grace=span)
    _show_once(key, token)


@app.command()
def revoke(name: Name, yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False) -> None:
    """Close the gateway to a key for good.

    Examples:
      llmgw key revoke ci -y
    """
    from llmgw.client import local

    with local.control(options.paths()) as control:
        key = control.show(name)
        if key.revoked_at is None:
            prompts.confirm(f"Revoke key `{name}`?", yes=yes)
            key = control.revoke(name)
    output.record(describe(key), text=f"key `{name}` is revoked")


def describe(key: Key) -> dict[str, Any]:
    """What commands show of a key."""
    now = time.time_ns()
    state = "active"
    if key.revoked_at is not None:
        state = "revoked"
    elif key.expires_at is not None and key.expires_at <= now:
        state = "expired"
    return {
        "name": key.name,
        "id": key.id,
        "shown": key.shown,
        "state": state,
        "tenant": key.tenant,
        "user": key.user or None,
        "models": list(key.models),
        "tags": list(key.tags),
        "admin": key.admin,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
        "grace_ends_at": key.grace_until if (key.grace_until or 0) > now else None,
    }


def _show_once(key: Key, token: str) -> None:
    notices.say(f"key `{key.name}`, shown only now:")
    output.record({"key": token, **describe(key)}, ident="key", text=token)


def _ceiling(name: str, text: str) -> Budget:
    """Read the budget of a new key."""
    from llmgw.storage.budgets import check

    unit, hard, window = parse_rate(text)
    budget = Budget(scope=Scope(ScopeKind.KEY, name), window=window, unit=unit, hard=hard)
    check(budget)
    return budget


def _end(text: str, now: int) -> int | None:
    """Read when a key ends: a span from now on, a moment to come, or never."""
    if not text or text == "never":
        return None
    if text[-1] in "smhdw" and text[:1].isdecimal():
        return now + parse_span(text)
    moment = parse_moment(text, now)
    if moment <= now:
        raise BadRequest(f"`{text}` is past", hint="give a span as 90d, a day to come, or never")
    return moment


def _brought(from_stdin: bool, from_file: Path | None) -> str | None:
    if from_stdin and from_file:
        raise BadRequest("a key comes from stdin or from a file, not both")
    if not (from_stdin or from_file):
        return None
    token = (from_file.read_text(encoding="utf-8") if from_file else sys.stdin.read()).strip()
    if len(token) < MIN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise BadRequest(
            f"a key has at least {MIN_LENGTH} printable characters and no blanks",
            hint="`openssl rand -hex 32` makes a good one",
        )
    return token
