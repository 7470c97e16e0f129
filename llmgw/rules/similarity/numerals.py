"""The numbers that a text names, in digits and in English and German words, each in one spelling."""

from __future__ import annotations

import re
from decimal import Decimal

from llmgw.rules.similarity.lexicon import FRACTIONS, NUMBERS, ORDINALS, SCALES, TENS

_NEGATIVE = re.compile(r"(?<![\w)\].,])[-−](\d+)")  # noqa: RUF001
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"(?:0|[1-9]\d*)(?:\.\d+)?")
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}\.\d{3}")
MOST_DIGITS = 24
ONES = {"one": Decimal(1), "eins": Decimal(1)}
"""A number only behind tens: else as often a pronoun."""


def numbers(text: str, tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Every number in order of appearance: ``twenty-one`` and ``2.5 million`` are one number each.

    What is no plain number (a time, an address, a version, leading noughts) stays as it is written.
    """
    found: list[str] = []
    running: Decimal | None = None
    tens = False
    for part in (part for token in tokens for part in token.split("-")):
        value: Decimal | None = None
        if part[0].isdigit():
            value = _plain(part)
            if value is None:
                found.extend(_spelt(running))
                found.append(part)
                running = None
                continue
        elif (
            tens
            and running is not None
            and (ones := ONES.get(part) or NUMBERS.get(part) or ORDINALS.get(part))
            and ones < 10
        ):
            running, tens = running + ones, False
            continue
        elif part in SCALES and (running is not None or len(part) > 1):
            running, tens = (running or Decimal(1)) * SCALES[part], False
            continue
        else:
            value = NUMBERS.get(part) or TENS.get(part) or ORDINALS.get(part) or FRACTIONS.get(part)
        found.extend(_spelt(running))
        running, tens = value, part in TENS
    found.extend(_spelt(running))
    found.extend(f"-{digits}" for digits in _NEGATIVE.findall(text))
    return tuple(found)


def _spelt(value: Decimal | None) -> list[str]:
    return [] if value is None else [format(value.normalize(), "f")]


def _plain(token: str) -> Decimal | None:
    """``1,000`` is a thousand, ``2,5`` two and a half; ``1.000`` is a thousand to some and one to others, so it is neither."""
    if _AMBIGUOUS.fullmatch(token) or len(token) > MOST_DIGITS:
        return None
    plain = token.replace(",", "") if _THOUSANDS.fullmatch(token) else token.replace(",", ".")
    return Decimal(plain) if _DECIMAL.fullmatch(plain) else None
