"""Equations that an answer states and that do not hold, such as ``3 * 60 = 190``."""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = r"[$€£]?\d[\d,]*+(?:\.\d++)?+%?+"  # never given back: a part of a number is none
_EQUATION = re.compile(
    rf"(?<![\w.,/*+\-=<>^\u00d7\u00f7\u00b7)(%])({_NUMBER}(?:\s*[-+*/\u00d7\u00f7xX\u00b7]\s*{_NUMBER}){{1,5}})\s*=\s*(-?{_NUMBER})"
    r"(?![\w.,]*\d|\s*[*/\u00d7\u00f7^+(%])"
)
_TOKEN = re.compile(rf"{_NUMBER}|[-+*/\u00d7\u00f7xX\u00b7]")
_TIMES, _OVER = frozenset("*\u00d7xX\u00b7"), frozenset("/\u00f7")
TOLERANCE = Fraction(1, 100)
"""Share by which a result may be off, as rounded ones are."""
MOST = 200
"""Equations that are looked at."""
READ = 40_000
"""Characters that are looked at."""


def false_sums(text: str) -> list[str]:
    """The stated equations of plain numbers that are wrong by more than rounding."""
    found = []
    for count, each in enumerate(_EQUATION.finditer(text[:READ])):
        if count == MOST:
            break
        left, right = each.group(1), _value(each.group(2))
        if "%" in left or "%" in each.group(2):
            continue  # of what is not said
        value = _evaluate(left)
        if value is not None and right is not None and not _near(value, right):
            found.append(" ".join(each.group().split()))
    return found


def _near(value: Fraction, said: Fraction) -> bool:
    return abs(value - said) <= max(TOLERANCE * abs(value), Fraction(6, 1000))


def _value(text: str) -> Fraction | None:
    plain = text.replace(",", "").strip("$€£%")
    sign = -1 if plain.startswith("-") else 1
    try:
        return sign * Fraction(plain.lstrip("-").strip("$€£"))
    except ValueError:
        return None


def _evaluate(text: str) -> Fraction | None:
    """The value of numbers joined by signs, products before sums; None where it divides by nothing."""
    parts = _TOKEN.findall(text)
    total, product, sign = Fraction(0), _value(parts[0]), 1
    for operator, number in zip(parts[1::2], parts[2::2], strict=False):
        value = _value(number)
        if value is None or product is None:
            return None
        if operator in _TIMES:
            product *= value
        elif operator in _OVER:
            if not value:
                return None
            product /= value
        else:
            total += sign * product
            product, sign = value, 1 if operator == "+" else -1
    return None if product is None else total + sign * product
