"""Check everything and suggest a fix for each finding."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmgw.cli import notices, options, output
from llmgw.cli.options import Format, given, styled

if TYPE_CHECKING:
    from llmgw.service.diagnosing import Check

PLACE = "GATEWAY", 6

MARKS = {"ok": ("✓", "32"), "warning": ("!", "33"), "failed": ("✗", "31")}


def command(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what needs no choice: folders, permissions.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also call every provider; costs a few tokens.")
    ] = False,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="Write a zip for a bug report, all secrets cut out.")
    ] = False,
) -> None:
    """Check everything and suggest a fix for each finding; exit 1 when something failed.

    Examples:
      llmgw doctor
      llmgw doctor --fix
      llmgw doctor --deep --json
      llmgw doctor --bundle
    """
    from llmgw.service.diagnosing import State, diagnose

    live = given.output is Format.TABLE and not given.quiet
    checks: list[Check] = []
    for check in diagnose(options.paths(), fix=fix):
        checks.append(check)
        if live:
            _line(check)
    if deep:
        for check in _deep():
            checks.append(check)
            if live:
                _line(check)
    failed = [check for check in checks if check.state is State.FAILED]
    if not live:
        rows = [
            {"check": each.name, "state": str(each.state), "message": each.message, "hint": each.hint}
            for each in checks
        ]
        columns = [output.Column(name) for name in ("check", "state", "message", "hint")]
        output.rows(
            rows if not given.quiet else [row for row in rows if row["state"] == "failed"],
            columns,
            noun="checks",
            ident="check",
        )
    if bundle:
        notices.say(f"wrote {_bundle(checks)}; look into it before you pass it on")
    if failed:
        raise typer.Exit(1)


def _line(check: Check) -> None:
    mark, color = MARKS[check.state]
    output.text(f"{styled(mark, color, sys.stdout)} {check.name:<12} {check.message}")
    if check.hint and check.state != "ok":
        output.text(f"  {'':<12} {check.hint}")


def _deep() -> list[Check]:
    from llmgw.cli.commands.provider import prove_all
    from llmgw.service.diagnosing import Check, State

    return [
        Check(
            "provider",
            State.FAILED if proof.error else State.OK,
            f"{proof.upstream}: {proof.error or f'{proof.model} answers, streams and is billed alike'}",
            proof.hint,
        )
        for proof in prove_all()
    ]


def _bundle(checks: list[Check]) -> Path:
    from llmgw.config.load import effective_config
    from llmgw.errors import GatewayError
    from llmgw.service.assemble import survey
    from llmgw.service.diagnosing import write_bundle

    paths = options.paths()
    secrets: list[str] = []
    try:
        settings = effective_config(paths)
        secrets.append(settings.server.secret)
        secrets += [upstream.credential for upstream in survey(settings, paths, look=False).upstreams]
    except GatewayError:
        pass  # a broken configuration is a reason for a report; what looks like a secret is cut out all the same
    target = Path(f"llmgw-doctor-{time.strftime('%Y%m%d-%H%M%S')}.zip").absolute()
    write_bundle(paths, checks, secrets, target)
    return target
