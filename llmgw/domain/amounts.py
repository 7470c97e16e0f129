"""Amounts as people type them: ``200/month``, ``$0.50/day``, ``250k-tokens/day``, ``1.5m-tokens``."""

from __future__ import annotations

import re
from decimal import Decimal

from llmgw.domain.budget import Unit, Window
from llmgw.domain.money import parse_usd
from llmgw.errors import BadRequest

HINT = "write it as 20/month, 0.50/day or 250k-tokens/day; windows are hour day week month total"
TOKENS = re.compile(r"(\d[\d_]*(?:\.\d+)?)([km]?)-tokens")
NONE = "none"
TIMES = {"": 1, "k": 1_000, "m": 1_000_000}


def parse_amount(text: str) -> tuple[Unit, int]:
    """Nano-dollars of ``2.50`` or ``$2.50``, tokens of ``250k-tokens``; BadRequest for anything else."""
    if match := TOKENS.fullmatch(text):
        tokens = Decimal(match[1]) * TIMES[match[2]]
        if tokens == tokens.to_integral_value():
            return Unit.TOKENS, int(tokens)
        raise BadRequest(f"`{text}` is no whole number of tokens")
    try:
        amount = parse_usd(text)
    except ValueError:
        amount = -1
    if amount < 0:
        raise BadRequest(
            f"`{text}` is not an amount", hint="write dollars as 20 or 0.50, tokens as 250k-tokens"
        )
    return Unit.MONEY, amount


def parse_rate(text: str) -> tuple[Unit, int | None, Window]:
    """An amount for each window; None of ``none/day`` or ``none-tokens/day``, where there is no ceiling."""
    amount, slash, window = text.partition("/")
    if not slash or window not in Window.__members__.values():
        raise BadRequest(f"`{text}` is not an amount for a window", hint=HINT)
    if amount in {NONE, f"{NONE}-tokens"}:
        return (Unit.MONEY if amount == NONE else Unit.TOKENS), None, Window(window)
    return *parse_amount(amount), Window(window)


def read_mark(text: str, unit: Unit, option: str) -> int | None:
    """An amount in the budget's own unit; None takes the mark away."""
    if text == NONE:
        return None
    found, amount = parse_amount(text)
    if found is not unit:
        raise BadRequest(f"`{option} {text}` is not counted in {unit.value}, as the budget is")
    return amount


def read_percents(text: str) -> tuple[int, ...]:
    """Percentages as ``80,95``, sorted; BadRequest when they are none."""
    if text == NONE:
        return ()
    try:
        return tuple(sorted({int(each.strip().removesuffix("%")) for each in text.split(",")}))
    except ValueError:
        raise BadRequest(f"`--warn {text}` are not percentages", hint="write them as 80,95") from None
