"""Figures of callers: each key and each tenant with what it spent and does just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.rules.picture import NOTHING, grouped
from llmgw.tui.figures.shares import lately

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.pulse import BudgetNow, Counts, KeyNow, KillNow, Line
    from llmgw.rules.picture import Picture

MINUTE = 60
SOON = 7 * 86_400 * 10**9
"""A key that ends within this is said to."""


class Caller(NamedTuple):
    """A key; ``key`` is None for one that only the ledger remembers. ``per_minute`` is its rate of the last minute.

    ``budget`` is its own of which the largest part is used, ``kill`` the switch that stops it, ``trend`` its requests
    in the steps of the window.
    """

    name: str
    key: KeyNow | None
    today: Counts
    month: Counts
    per_minute: float
    budget: BudgetNow | None
    kill: KillNow | None
    trend: list[int]


class Tenant(NamedTuple):
    """A tenant with its keys counted."""

    name: str
    keys: int
    today: Counts
    month: Counts
    budget: BudgetNow | None


def callers(picture: Picture) -> list[Caller]:
    """Every living key, and those gone that were used in this month; who spent most in it comes first."""
    today, month = (_by(lines, "key") for lines in (picture.today(), picture.month()))
    lines, span = lately(picture, MINUTE)
    rates = _by(lines, "key")
    known = {key.name: key for key in picture.standing.keys or ()}
    steps = [_requests(step.lines) for step in picture.series()]
    found = [
        Caller(
            name=name,
            key=known.get(name),
            today=today.get(name, NOTHING),
            month=month.get(name, NOTHING),
            per_minute=rates.get(name, NOTHING).requests * MINUTE / span if span else 0.0,
            budget=_tightest(picture, f"key:{name}"),
            kill=next((kill for kill in picture.standing.kills or () if kill.scope == f"key:{name}"), None),
            trend=[step.get(name, 0) for step in steps],
        )
        for name in dict.fromkeys((*known, *month))
        if name
    ]
    return sorted(found, key=lambda each: (-each.month.cost, -each.month.requests, each.name))


def tenants(picture: Picture) -> list[Tenant]:
    """Every tenant that has a key or was used in this month."""
    today, month = (_by(lines, "tenant") for lines in (picture.today(), picture.month()))
    keys = picture.standing.keys or ()
    found = [
        Tenant(
            name,
            sum(key.tenant == name for key in keys),
            today.get(name, NOTHING),
            month.get(name, NOTHING),
            _tightest(picture, f"tenant:{name}"),
        )
        for name in dict.fromkeys((*(key.tenant for key in keys), *month))
        if name
    ]
    return sorted(found, key=lambda each: (-each.month.cost, -each.month.requests, each.name))


def state(key: KeyNow | None, now: Nanoseconds) -> str:
    """``live``, ``paused``, ``expiring``, ``expired`` or ``gone``."""
    if key is None:
        return "gone"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    if key.paused:
        return "paused"
    return "expiring" if key.expires_at is not None and key.expires_at <= now + SOON else "live"


def _requests(lines: Iterable[Line]) -> dict[str, int]:
    """Requests by key."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.key] = counts.get(line.key, 0) + line.counts.requests
    return counts


def _by(lines: list[Line], axis: str) -> dict[str, Counts]:
    return {group.name: group.counts for group in grouped(lines, axis)}


def _tightest(picture: Picture, scope: str) -> BudgetNow | None:
    """The budget of that very scope that is used up most; None where it has no ceiling of its own."""
    mine = [each for each in picture.standing.budgets or () if each.scope == scope and each.used is not None]
    return max(mine, key=lambda each: each.used or 0, default=None)
