"""How much may be spent by whom in which stretch of time."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from llmgw.domain.scope import Scope


class Window(StrEnum):
    """The calendar stretches in which money, tokens and reports are counted; ``total`` never ends."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class Unit(StrEnum):
    """What a budget counts: nano-dollars, or input and output tokens together."""

    MONEY = "money"
    TOKENS = "tokens"


class Budget(Struct, frozen=True, kw_only=True):
    """One ceiling; a scope has at most one for each window and unit.

    ``hard`` is never exceeded. From ``medium`` on no premium target is used, at ``soft`` and at each of the ``warn``
    percentages of ``hard`` one notice is given in each window. ``on_exceed`` says what happens to a call that does not
    fit under ``hard``: ``stop`` refuses it, ``downgrade:TIER`` sends it to that tier's targets instead (a local one
    always fits), ``cache`` lets only cached answers through. Amounts are nano-dollars or tokens, None: no such mark.
    """

    scope: Scope
    window: Window
    unit: Unit = Unit.MONEY
    hard: int | None = None
    medium: int | None = None
    soft: int | None = None
    warn: tuple[int, ...] = ()
    on_exceed: str = "stop"

    @property
    def name(self) -> tuple[Scope, Window, Unit]:
        """What tells it from every other budget."""
        return self.scope, self.window, self.unit
