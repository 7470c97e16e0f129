"""Why a request went where it did, and what it cost."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from msgspec import to_builtins

from llmgw.cli import output
from llmgw.cli.explaining import decision_lines
from llmgw.domain.money import format_usd

PLACE = "WATCH", 6
ELSEWHERE = ("why",)


def command(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST", help="Its id, as req_01j....")],
) -> None:
    """Tell why a request went where it did: decision, attempts, prices, limits and budgets.

    Examples:
      llmgw why req_06bq3k5xj0000
      llmgw why req_06bq3k5xj0000 --json
    """
    from llmgw.cli.reaching import gateway
    from llmgw.desk.routes import ExplainRequest

    with gateway() as there:
        found = to_builtins(there.ask(ExplainRequest(id=request_id)))
    request = found["request"]
    output.record({"id": request["id"], **found}, ident="id", text="\n".join(_story(found)))


def _story(found: dict[str, Any]) -> list[str]:
    request, decision, outcome = found["request"], found["decision"], found["outcome"]
    lines = [request["id"]]
    if "key" in request:
        said = request["error"]["code"] if request["error"] else request["status"]
        lines += [
            f"key       {request['key']}" + "".join(f" #{tag}" for tag in request["tags"]),
            f"asked     {request['model_asked']} by {request['surface']}",
            f"answered  {request['target'] or 'by nobody'}, {said}, {request['latency_us'] / 1000:,.0f} ms",
        ]
    lines += [f"limit     {each['amount']:,}/{each['measure']}" for each in found["limits"]]
    lines += [
        f"budget    {each['scope']} {each['window']}: {_spent(each)} of {each['amount']}"
        for each in found["budgets"]
    ]
    lines += ["", "decision"]
    lines += decision_lines(decision) if decision else ["  the caller named it; nothing was left to decide"]
    if "cache" in request:
        lines += ["", f"cache     {request['cache']}"]
    for each in request["attempts"]:
        lines += ["", *_attempt(each)]
    if "cost_nanousd" in request:
        premium = request["premium_cost_nanousd"]
        cost = request["cost_nanousd"]
        lines += ["", f"cost      {'unknown' if cost is None else format_usd(cost)}"]
        lines += [] if premium is None else [f"premium   {format_usd(premium)} for the same tokens"]
    if outcome:
        lines += ["", f"outcome   {outcome['score']:g} by {outcome['source']} {outcome['comment']}".rstrip()]
    if shadow := found["shadow"]:
        said = {None: "is open", 1: "would have served as well"}.get(shadow["score"], "would not have served")
        lines += [
            "",
            f"shadow    {shadow['target']} {said}" + (f" ({shadow['how']})" if shadow["how"] else ""),
        ]
    return lines


def _spent(budget: dict[str, Any]) -> str:
    money = budget.get("spent_nanousd")
    return f"{budget.get('spent_tokens', 0):,} tokens" if money is None else format_usd(money)


def _attempt(attempt: dict[str, Any]) -> list[str]:
    said = attempt["error"]["code"] if attempt["error"] else attempt["status"] or attempt["state"]
    usage = attempt["usage"]
    lines = [f"attempt {attempt['attempt']}  {attempt['target']} ({attempt['tier']}): {said}"]
    if attempt["latency_us"] is not None:
        first = f", first token {attempt['ttft_us'] / 1000:,.0f} ms" if attempt["ttft_us"] is not None else ""
        lines.append(f"  took     {attempt['latency_us'] / 1000:,.0f} ms{first}")
    if usage["input_tokens"] or usage["output_tokens"]:
        lines.append(f"  tokens   {usage['input_tokens']:,} in, {usage['output_tokens']:,} out")
    if attempt["held_nanousd"]:
        lines.append(f"  held     {format_usd(attempt['held_nanousd'])}")
    if attempt["cost_nanousd"] is not None:
        lines.append(f"  cost     {format_usd(attempt['cost_nanousd'])}{_rates(attempt['price'])}")
    return lines


def _rates(price: dict[str, Any] | None) -> str:
    """What a million tokens of each kind cost."""
    rates = [
        f"{name} {format_usd(rate)}"
        for name, rate in (price or {}).items()
        if name in {"input", "output"} and rate
    ]
    return f" at {', '.join(rates)} per million tokens" if rates else ""
