"""Where requests go when their caller leaves that to the gateway."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import to_builtins

from llmgw.cli import completing, output, routing
from llmgw.cli.explaining import decision_lines
from llmgw.domain.money import format_usd
from llmgw.errors import BadRequest

PLACE = "CONTROL", 6
ELSEWHERE = ("list", "show", "test", "explain", "simulate", "regret", "forget")
STDIN = "-"

app = typer.Typer()
for name, verb in routing.VERBS.items():
    app.command(name)(verb)

Model = Annotated[
    str, typer.Option(help="The name asked for.", metavar="NAME", autocompletion=completing.models)
]
KeyName = Annotated[
    str | None,
    typer.Option("--key", help="As if this key asked.", metavar="NAME", autocompletion=completing.keys),
]
Tag = Annotated[
    list[str] | None, typer.Option("--tag", help="As if it carried this tag; may stand more than once.")
]
Tools = Annotated[bool, typer.Option("--tools", help="As if it offered tools.")]


@app.command("test")
def preview(
    prompt: Annotated[str | None, typer.Option(help="What the user says.", metavar="TEXT")] = None,
    file: Annotated[
        str | None, typer.Option("--file", help="A file that holds it; - reads stdin.", metavar="PATH")
    ] = None,
    model: Model = "gateway-auto",
    key: KeyName = None,
    tag: Tag = None,
    tools: Tools = False,
) -> None:
    """Tell where a request would go and why; nothing is sent to anybody.

    Examples:
      llmgw route test --prompt 'Translate to French: hello'
      llmgw route test --key ci --file question.txt --json
      git diff | llmgw route test --file -
    """
    if (prompt is None) is (file is None):
        raise BadRequest("one of --prompt and --file says what is asked")
    _test(prompt if prompt is not None else _read(str(file)), model, key, tag, tools=tools)


@app.command()
def explain(
    prompt: Annotated[str, typer.Argument(help="What the user says.", metavar="PROMPT", show_default=False)],
    model: Model = "gateway-auto",
    key: KeyName = None,
) -> None:
    """Tell where a request would go and why, as `route test --prompt`.

    Examples:
      llmgw route explain 'Prove that the square root of 2 is irrational'
    """
    _test(prompt, model, key, None, tools=False)


@app.command()
def simulate(
    quality: Annotated[
        float | None, typer.Option(min=0, max=1, help="Where the dial would stand.", metavar="0..1")
    ] = None,
    max_regret: Annotated[
        float | None, typer.Option(min=0, max=1, help="The most that one answer may lose.", metavar="0..1")
    ] = None,
    since: Annotated[
        str, typer.Option(help="From this time on: 24h, 7d, 2026-11-01.", metavar="TIME")
    ] = "7d",
) -> None:
    """Tell what past requests would have cost with the dial elsewhere; nothing is sent to anybody.

    Examples:
      llmgw route simulate --quality 0.9
      llmgw route simulate --since 30d --quality 0.5 --max-regret 0.1 --json
    """
    from llmgw.cli.ranges import parse_moment
    from llmgw.cli.reaching import gateway
    from llmgw.desk.routes import SimulateRoutes
    from llmgw.desk.wire import moment

    start = parse_moment(since, time.time_ns())
    with gateway() as there:
        ask = SimulateRoutes(quality=quality, max_regret=max_regret, since=moment(start))
        found = to_builtins(there.ask(ask))
    output.record(found, ident="changed", text="\n".join(_comparison(found)))


@app.command()
def regret(
    since: Annotated[
        str, typer.Option(help="From this time on: 24h, 7d, 2026-11-01.", metavar="TIME")
    ] = "7d",
) -> None:
    """Tell what shadow runs have found: what local models might have saved, and which of their answers were bad.

    Examples:
      llmgw route regret
      llmgw route regret --since 30d --json
    """
    from llmgw.cli.ranges import parse_moment
    from llmgw.cli.reaching import gateway
    from llmgw.desk.regret import MeasureRegret
    from llmgw.desk.wire import moment

    start = parse_moment(since, time.time_ns())
    with gateway() as there:
        found = to_builtins(there.ask(MeasureRegret(since=moment(start))))
    output.record(found, ident="saving_nanousd", text="\n".join(_regret(found)))


@app.command()
def forget() -> None:
    """Forget what feedback has taught; decisions start again from the score that is shipped.

    Examples:
      llmgw route forget
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.routes import ForgetOutcomes

    with gateway() as there:
        done = there.ask(ForgetOutcomes())
    output.record(to_builtins(done), ident="forgotten", text=f"{done.forgotten:,} outcomes are forgotten")


def _test(prompt: str, model: str, key: str | None, tags: list[str] | None, *, tools: bool) -> None:
    from llmgw.cli.reaching import gateway
    from llmgw.desk.routes import TestRoute

    with gateway() as there:
        ask = TestRoute(prompt=prompt, model=model, key=key, tags=tuple(tags or ()), tools=tools)
        found = to_builtins(there.ask(ask))
    output.record(found, ident="model", text="\n".join(_words(found)))


def _comparison(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{found['requests']:,} requests, {found['changed']:,} would go to another tier",
        f"{'':10}{'local':>9}{'cheap':>9}{'premium':>9}{'cost':>14}{'good answers':>14}",
    ]
    for name, side in (("as it was", found["before"]), (f"at {found['quality']:g}", found["after"])):
        tiers = "".join(f"{side[tier]:>9,}" for tier in ("local", "cheap", "premium"))
        lines.append(f"{name:10}{tiers}{format_usd(side['cost_nanousd']):>14}{side['good']:>14.1%}")
    saved = found["saved_nanousd"]
    lines.append(f"{format_usd(abs(saved))} {'saved' if saved >= 0 else 'more'}")
    if found["fixed"]:
        lines.append(f"{found['fixed']:,} were decided by a rule or a classifier and stay")
    if found["unpriced"]:
        lines.append(f"{found['unpriced']:,} have no known price and are in neither cost")
    return lines


def _regret(found: dict[str, Any]) -> list[str]:
    lines = []
    for each in found["sampled"]:
        lines.append(
            f"{each['tier']}: {each['sampled']:,} calls were answered by a local model as well:"
            f" {each['good']:,} served as well, {each['bad']:,} did not, {each['open']:,} are open"
        )
        if each["share"] is not None:
            lines.append(
                f"  {each['share']:.0%} of those settled; {each['low']:.0%} to {each['high']:.0%} of all"
            )
        saving = "" if each["saving_nanousd"] is None else f"about {format_usd(each['saving_nanousd'])}, "
        lines.append(
            f"  of {format_usd(each['cost_nanousd'])} for {each['calls']:,} calls that could have been chosen {saving}"
            f"{format_usd(each['saving_low_nanousd'])} to {format_usd(each['saving_high_nanousd'])},"
            " would have been saved"
        )
    if not lines:
        lines.append(
            "no call has been answered by a local model as well; [router.shadow] share = 0.02 begins with that"
        )
    local = found["local"]
    lines.append(
        f"local: {local['calls']:,} calls were sent there, of {local['known']:,} is known how good they were"
    )
    if local["known"]:
        lines.append(
            f"  {local['bad']:,} were bad: {local['share']:.0%}, with 95 in 100 between {local['low']:.0%} and"
            f" {local['high']:.0%}"
        )
    return lines


def _words(found: dict[str, Any]) -> list[str]:
    first, *others = found["targets"]
    lines = ["would be asked back, as too vague"] if found["asked_back"] else [f"{found['model']} → {first}"]
    lines += [f"  if that fails: {', '.join(others)}"] if others and not found["asked_back"] else []
    return lines + (decision_lines(found["decision"]) if found["decision"] else [f"  {found['reason']}"])


def _read(path: str) -> str:
    if path == STDIN:
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read: {error}") from None
