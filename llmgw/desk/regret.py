"""What sending requests elsewhere than to a local model has brought, and what sending them there has cost."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.requests import Moment
from llmgw.desk.wire import nanoseconds
from llmgw.domain.route import Tier
from llmgw.rules.proportions import Interval, interval
from llmgw.storage.shadows import Judged, Shadows, Tally

WEEK = 7 * 86_400 * 10**9


class Sampled(Struct, frozen=True, kw_only=True):
    """Calls that a tier answered and a local model answered again.

    ``low`` and ``high`` hold the true share of good ones with 95 in 100: 'low' as if every open one were bad, 'high' as if it
    were good. Savings are of ``calls``, those of the time looked at that could have been chosen, and their
    bounds go by what calls cost, not by how many they are.
    """

    tier: str
    sampled: int
    good: Annotated[int, Meta(description="served as well")]
    bad: int
    open: Annotated[int, Meta(description="neither words nor a judge settled it")]
    share: Annotated[float | None, Meta(description="of good ones among those that are settled")]
    low: float
    high: float
    calls: int
    cost_nanousd: Annotated[int, Meta(description="of these calls")]
    saving_nanousd: Annotated[int | None, Meta(description="had the good ones gone to a local model")]
    saving_low_nanousd: int
    saving_high_nanousd: int


class SentDown(Struct, frozen=True, kw_only=True):
    """Calls that the router sent to local models; ``known`` are those of which was said or seen how good they were."""

    calls: int
    known: int
    bad: int
    share: float | None
    low: float
    high: float


class Regret(Struct, frozen=True, kw_only=True):
    """Both sides: calls that might have been free, and free calls that were bad."""

    saving_nanousd: Annotated[int, Meta(description="the sum over tiers, as far as it is known")]
    sampled: tuple[Sampled, ...]
    local: SentDown


class MeasureRegret(Ask[Regret], frozen=True, kw_only=True):
    """Tell what shadow runs have found: money that local models might have saved, and local answers that were bad."""

    at: ClassVar = Place("GET", "/admin/routes/regret")
    answer: ClassVar = Regret
    since: Annotated[Moment | None, Meta(description="from this time on; a week without it")] = None

    def do(self, desk: Desk) -> Regret:
        since = desk.clock.now() - WEEK if self.since is None else nanoseconds(self.since)
        stored = Shadows(desk.database)
        sampled = tuple(map(_sampled, stored.tallies(since)))
        return Regret(
            saving_nanousd=sum(each.saving_nanousd or 0 for each in sampled),
            sampled=sampled,
            local=_sent_down(stored.judged(Tier.LOCAL, since)),
        )


def _sampled(tally: Tally) -> Sampled:
    settled = tally.sampled - tally.open
    settled_cost = tally.cost - tally.open_cost
    low = interval(tally.good, tally.sampled).low
    high = interval(tally.good + tally.open, tally.sampled).high
    return Sampled(
        tier=tally.tier,
        sampled=tally.sampled,
        good=tally.good,
        bad=settled - tally.good,
        open=tally.open,
        share=round(tally.good / settled, 4) if settled else None,
        low=round(low, 4),
        high=round(high, 4),
        calls=tally.calls,
        cost_nanousd=tally.spent,
        saving_nanousd=tally.spent * tally.good_cost // settled_cost if settled_cost else None,
        saving_low_nanousd=int(tally.spent * _part(tally, tally.good_cost).low),
        saving_high_nanousd=int(tally.spent * _part(tally, tally.good_cost + tally.open_cost).high),
    )


def _part(tally: Tally, cost: int) -> Interval:
    """The part of the cost that is likely to be of such calls as these, of which few may be dear and many cheap."""
    if not tally.cost:
        return Interval(0.0, 1.0)
    return interval(tally.weight * (cost / tally.cost), tally.weight)


def _sent_down(judged: Judged) -> SentDown:
    low, high = interval(judged.bad, judged.known)
    return SentDown(
        calls=judged.calls,
        known=judged.known,
        bad=judged.bad,
        share=round(judged.bad / judged.known, 4) if judged.known else None,
        low=round(low, 4),
        high=round(high, 4),
    )
