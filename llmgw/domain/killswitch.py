"""The switch that stops everything, or everything of somebody, or everything that costs money."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

PAID = "paid"
"""The scope of whatever costs money."""


class Mode(StrEnum):
    """From open to shut: nothing, a pause before each call, local targets only, nothing at all."""

    OFF = "off"
    THROTTLE = "throttle"
    DEGRADE = "degrade"
    KILL = "kill"


class Kill(Struct, frozen=True, kw_only=True):
    """One switch that is thrown. ``scope`` is a scope's text, or ``paid`` for whatever costs money.

    ``at`` is UTC nanoseconds, ``by`` who threw it: a person's name, ``api``, or ``auto`` for a trip.
    """

    scope: str
    mode: Mode
    reason: str = ""
    by: str = ""
    at: int = 0
