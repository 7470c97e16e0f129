"""Callers' keys: what programs send to the gateway."""

from __future__ import annotations

import sys
import time
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import UNSET, to_builtins

from llmgw.cli import completing, notices, output, prompts
from llmgw.cli.output import Column
from llmgw.cli.ranges import parse_moment
from llmgw.domain.amounts import parse_rate
from llmgw.domain.spans import NANO, parse_span
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from llmgw.desk.budget_shapes import Amounts
    from llmgw.desk.keys import NewKey

PLACE = "CONTROL", 3
ELSEWHERE = ("list", "create", "show", "set", "rotate", "revoke")

app = typer.Typer()

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
    from llmgw.cli.reaching import gateway
    from llmgw.desk.keys import ListKeys

    with gateway() as there:
        found = there.ask(ListKeys(all=revoked, tag=tag)).keys
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
    output.rows(map(to_builtins, found), columns, noun="keys")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the new key.", show_default=False)],
    tenant: Annotated[str, typer.Option(help="Whom it belongs to.", metavar="NAME")] = "default",
    user: Annotated[str, typer.Option(help="Who in the tenant uses it.", metavar="NAME")] = "",
    plan: Annotated[
        str,
        typer.Option(help="enterprise and pro go first where calls stand in line.", metavar="PLAN"),
    ] = "",
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
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Whether caches answer it and remember its answers.")
    ] = True,
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
    from llmgw.cli.reaching import gateway
    from llmgw.desk.keys import CreateKey

    ask = CreateKey(
        name=name,
        tenant=tenant,
        user=user,
        plan=plan,
        models=tuple(models) if models else UNSET,
        tags=tuple(tag or ()),
        expires_at=_end(expires, time.time_ns()) if expires else UNSET,
        admin=admin,
        cache=cache,
        key=_brought(from_stdin, from_file),
        budget=_ceiling(budget) if budget else None,
    )
    with gateway() as there:
        _show_once(there.ask(ask))


@app.command()
def show(name: Name) -> None:
    """Show what is known of a key; the key itself is not.

    Examples:
      llmgw key show ci
      llmgw key show ci --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.keys import ShowKey

    with gateway() as there:
        output.record(to_builtins(there.ask(ShowKey(name=name))))


@app.command("set")
def set_key(
    name: Name,
    cache: Annotated[
        bool | None,
        typer.Option(
            "--cache/--no-cache",
            help="Whether caches answer it and remember its answers.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Change what holds for a key, from its next request on.

    Examples:
      llmgw key set chat --no-cache
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.keys import ChangeKey

    if cache is None:
        raise BadRequest("change what of it?", hint="as `llmgw key set NAME --no-cache`")
    with gateway() as there:
        output.record(to_builtins(there.ask(ChangeKey(name=name, cache=cache))))


@app.command()
def rotate(
    name: Name,
    grace: Annotated[str, typer.Option(help="How long the old key still works.", metavar="SPAN")] = "0s",
) -> None:
    """Give a key a new value and show it once.

    Examples:
      llmgw key rotate ci --grace 24h
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.keys import RotateKey

    span = parse_span(grace)
    with gateway() as there:
        _show_once(there.ask(RotateKey(name=name, grace_seconds=span / NANO)))


@app.command()
def revoke(name: Name, yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False) -> None:
    """Close the gateway to a key for good.

    Examples:
      llmgw key revoke ci -y
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.keys import RevokeKey, ShowKey

    with gateway() as there:
        key = there.ask(ShowKey(name=name))
        if key.revoked_at is None:
            prompts.confirm(f"Revoke key `{name}`?", yes=yes)
            key = there.ask(RevokeKey(name=name))
    output.record(to_builtins(key), text=f"key `{name}` is revoked")


def _show_once(made: NewKey) -> None:
    notices.say(f"key `{made.name}`, shown only now:")
    output.record({"key": made.key, **to_builtins(made)}, ident="key", text=made.key)


def _ceiling(text: str) -> Amounts:
    """Read the budget of a new key."""
    from llmgw.desk.budget_shapes import Amounts
    from llmgw.domain.budget import Unit

    unit, hard, window = parse_rate(text)
    if unit is Unit.MONEY:
        return Amounts(window=window, hard_nanousd=hard)
    return Amounts(window=window, hard_tokens=hard)


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
    return (from_file.read_text(encoding="utf-8") if from_file else sys.stdin.read()).strip()
