"""What one model costs, in nano-dollars."""

from __future__ import annotations

from datetime import date, time

from msgspec import Struct


class Rates(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nano-dollars per million tokens of each kind, ``searches`` per thousand, ``request`` per call.

    None means that the provider has no price of its own for the kind: it is billed as what it is part of
    (``cache_write_1h`` as ``cache_write``, that as ``input``; ``reasoning`` as ``output``). A search then is free.
    """

    input: int = 0
    output: int = 0
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    output_audio: int | None = None
    reasoning: int | None = None
    searches: int | None = None
    request: int | None = None


class LongContext(Rates, frozen=True, kw_only=True, omit_defaults=True):
    """Rates of a WHOLE request whose input exceeds ``above`` tokens."""

    above: int


class Price(Rates, frozen=True, kw_only=True, omit_defaults=True, cache_hash=True):
    """What one model costs: its rates, dearer ones for long input (ascending), and where they come from.

    ``since`` is the first day (UTC) of the price, ``hours`` the part of each day (UTC, end exclusive, may cross
    midnight) in which it holds. ``checked`` is the day on which somebody last compared it with the provider's page.
    ``context_window`` is in tokens, None where the list does not say.
    """

    name: str = ""
    long: tuple[LongContext, ...] = ()
    since: date | None = None
    hours: tuple[time, time] | None = None
    context_window: int | None = None
    source: str = ""
    checked: date | None = None


FREE = Price(source="local")
"""The explicit zero of models that run on the operator's own machine."""
