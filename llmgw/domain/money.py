"""Money is a whole number of nano-dollars; nothing here or above is a float."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

NanoUSD = int
NANO = 1_000_000_000


def parse_usd(text: str) -> NanoUSD:
    """Nano-dollars of a decimal amount such as ``20``, ``$0.05`` or ``1e-4``; ValueError on anything else."""
    try:
        amount = Decimal(text.strip().removeprefix("$").replace("_", ""))
    except InvalidOperation:
        raise ValueError(f"not an amount of dollars: {text!r}") from None
    nano = amount * NANO
    if not amount.is_finite() or nano != nano.to_integral_value():
        raise ValueError(f"not a whole number of nano-dollars: {text!r}")
    return int(nano)


def decimal_usd(nano: NanoUSD) -> str:
    """Exact dollars without an exponent: ``68000`` is ``"0.000068"``; for JSON and CSV."""
    sign, whole = ("-", -nano) if nano < 0 else ("", nano)
    text = f"{whole // NANO}.{whole % NANO:09d}".rstrip("0").rstrip(".")
    return sign + text


def format_usd(nano: NanoUSD) -> str:
    """Dollars for people: cents above one cent, four significant digits below, never rounded to ``$0.00``."""
    if nano < 0:
        return "-" + format_usd(-nano)
    if nano == 0 or nano >= NANO // 100:
        cents = (nano + NANO // 200) // (NANO // 100)
        return f"${cents // 100:,}.{cents % 100:02d}"
    return f"${Decimal(nano).scaleb(-9):.4g}" if nano >= 100_000 else "$" + decimal_usd(nano)
