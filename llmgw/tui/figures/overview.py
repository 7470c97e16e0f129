"""Figures of the overview: what today amounts to, the window by step, and what changed in it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain import spelling
from llmgw.rules.picture import HERE, MINUTE, WINDOWS, grouped, percentile, total
from llmgw.rules.windows import HOUR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmgw.domain.pulse import BudgetNow, Counts, Line
    from llmgw.rules.picture import Picture

SPARK_SECONDS = 60


class Figures(NamedTuple):
    """What the overview says, added up once a beat."""

    today: Counts
    here: dict[str, int]
    rate: float
    rates: list[float]
    in_flight: int
    month: BudgetNow | None
    month_cost: int
    burn: int
    ttft_us: int | None
    gate_us: int | None

    @property
    def hit(self) -> float | None:
        return sum(self.here.values()) / self.today.requests if self.today.requests else None

    @property
    def saved(self) -> int:
        """Against the premium tier; where that has no known price, what the caches saved."""
        return self.today.saving if self.today.premium_cost else self.today.saved

    @property
    def errors(self) -> float | None:
        return self.today.errors / self.today.requests if self.today.requests else None

    def of(self, verdict: str) -> float | None:
        return self.here[verdict] / self.today.requests if self.today.requests else None


def figures_of(picture: Picture, lines: list[Line]) -> Figures:
    """Added up once a beat; ``lines`` are those of today."""
    pulses = list(picture.pulses)[-SPARK_SECONDS:]
    month = next(
        (
            each
            for each in picture.standing.budgets or ()
            if (each.scope, each.window, each.unit) == ("all", "month", "money")
        ),
        None,
    )
    return Figures(
        today=total(lines),
        here={verdict: total(each for each in lines if each.cache == verdict).requests for verdict in HERE},
        rate=picture.rate(),
        rates=[
            sum(each.counts.requests for each in pulse.lines) * 1e6 / (pulse.span_us or 1) for pulse in pulses
        ],
        in_flight=picture.last.in_flight if picture.last else 0,
        month=month,
        month_cost=total(picture.month()).cost,
        burn=picture.burn(),
        ttft_us=percentile(picture.spreads(), 0.95, ttft=True),
        gate_us=picture.last.gate_us[1] if picture.last and picture.last.gate_us else None,
    )


def curve(picture: Picture, units: str) -> tuple[list[float], str, Callable[[float], str]]:
    """The window by step, a minute, with what it counts."""
    minutes = WINDOWS[picture.window][1] / MINUTE
    sums = [total(bucket.lines) for bucket in picture.series()]
    if units == "requests":
        return (
            [each.requests / minutes for each in sums],
            "requests",
            lambda value: spelling.tokens(round(value)),
        )
    if units == "tokens":
        tokens = [(each.input_tokens + each.output_tokens) / minutes for each in sums]
        return tokens, "tokens", lambda value: spelling.tokens(round(value))
    return (
        [each.cost / minutes for each in sums],
        "$",
        lambda value: f"{value / 1e9:.2f}" if value >= 1e7 or not value else f"{value / 1e9:.1g}",
    )


def ends(picture: Picture) -> tuple[str, ...]:
    """Moments along the window, days where it is long."""
    length = WINDOWS[picture.window][0]
    moments = [picture.now - length * part // 3 for part in (3, 2, 1, 0)]
    if length > 24 * HOUR:
        return tuple(f"{datetime.fromtimestamp(at // 10**9, picture.zone):%d %b}" for at in moments)
    return tuple(spelling.clock(at, picture.zone, seconds=False) for at in moments)


class Entry(NamedTuple):
    """One of a group today; ``hit`` is the part that a cache answered, ``now`` and ``before`` requests in halves of the window."""

    name: str
    counts: Counts
    hit: float | None
    ttft_us: int | None
    now: int
    before: int


def entries(picture: Picture, lines: Iterable[Line], axis: str) -> list[Entry]:
    """Today by one of ``rules.picture.AXES``."""
    lines, series = list(lines), picture.series()
    here = _requests((line for line in lines if line.cache in HERE), axis)
    half = len(series) // 2
    before, now = (
        _requests((line for step in part for line in step.lines), axis)
        for part in (series[:half], series[half:])
    )
    return [
        Entry(
            name=group.name,
            counts=group.counts,
            hit=here.get(group.name, 0) / group.counts.requests if group.counts.requests else None,
            ttft_us=group.counts.ttft_us // group.counts.ttft_count if group.counts.ttft_count else None,
            now=now.get(group.name, 0),
            before=before.get(group.name, 0),
        )
        for group in grouped(lines, axis)
    ]


def tightest(budgets: Iterable[BudgetNow]) -> dict[str, BudgetNow]:
    """Of each key that has budgets in money the one that leaves least, by the key's name."""
    found: dict[str, BudgetNow] = {}
    for budget in budgets:
        kind, _, name = budget.scope.partition(":")
        if kind == "key" and budget.hard and budget.unit == "money":
            known = found.get(name)
            if known is None or (budget.left or 0) < (known.left or 0):
                found[name] = budget
    return found


def _requests(lines: Iterable[Line], axis: str) -> dict[str, int]:
    return {group.name: group.counts.requests for group in grouped(lines, axis)}
