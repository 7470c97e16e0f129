"""The switch that stops everything, or everything of somebody, or everything that costs money."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

PAID = "paid"
"""The scope of whatever costs money."""

REQUEST = "request:"
"""How the scope of a single call under way begins; its switch ends the call and is lifted again."""

AUTOMATIC = "auto"
"""Who has thrown a switch that threw itself."""


class Mode(StrEnum):
    """From open to shut: nothing, no repeats, a wait before each call, local targets only, nothing at all."""

    OFF = "off"
    PAUSE = "pause"
    THROTTLE = "throttle"
    DEGRADE = "degrade"
    KILL = "kill"


class Kill(Struct, frozen=True, kw_only=True):
    """One switch that is thrown. ``scope`` is a scope's text, or ``paid`` for whatever costs money.

    ``at`` is UTC nanoseconds, ``by`` who threw it: a person's name, ``api``, or ``auto``.
    """

    scope: str
    mode: Mode
    reason: str = ""
    by: str = ""
    at: int = 0
