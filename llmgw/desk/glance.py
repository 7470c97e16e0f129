"""A gateway's day at a glance: the few figures of a status line."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.budget_shapes import BudgetView, view
from llmgw.desk.kills import KillView
from llmgw.desk.overview import overview
from llmgw.desk.status import ShowStatus
from llmgw.domain.budget import Unit
from llmgw.rules.windows import HOUR, lately
from llmgw.storage.reports import Reports


class Glance(Struct, frozen=True, kw_only=True):
    """Figures of today, and of the budget of whose ceiling the largest part is used."""

    state: Annotated[str, Meta(description="`up`, `failing`, `silent` or `down`")]
    today_nanousd: int
    month_nanousd: int
    saved_today_nanousd: int
    burn_per_hour_nanousd: Annotated[int, Meta(description="what was spent an hour, over the last one")]
    requests_today: int
    errors_today: int
    hit_rate: float | None
    provider_cached_rate: float | None
    kills: tuple[KillView, ...]
    tightest: BudgetView | None


class ShowGlance(Ask[Glance], frozen=True, kw_only=True):
    """Tell the few figures that a status line shows."""

    at: ClassVar = Place("GET", "/admin/glance")
    answer: ClassVar = Glance

    def do(self, desk: Desk) -> Glance:
        now, status = desk.clock.now(), desk.ask(ShowStatus())
        burn, tightest = 0, None
        if desk.path.exists():
            since = lately(now)
            burn = Reports(desk.database).totals(since).cost * HOUR // (now - since)
            tightest = _tightest(desk, now)
        return Glance(
            state=status.state,
            today_nanousd=status.spend.today_nanousd,
            month_nanousd=status.spend.month_nanousd,
            saved_today_nanousd=status.spend.saved_today_nanousd,
            burn_per_hour_nanousd=burn,
            requests_today=status.requests.today,
            errors_today=status.requests.errors_today,
            hit_rate=status.cache.hit_rate,
            provider_cached_rate=status.cache.provider_cached_rate,
            kills=status.kills,
            tightest=tightest,
        )


def _tightest(desk: Desk, now: int) -> BudgetView | None:
    """The ceiling of which the largest part is used, those in money first."""
    ceilings = [each for each in overview(desk.control, desk.zone(), now) if each.used is not None]
    least = max(ceilings, key=lambda each: (each.budget.unit is Unit.MONEY, each.used or 0.0), default=None)
    return None if least is None else view(least)
