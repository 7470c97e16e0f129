"""Figures of routing: which tiers answered over time, what decided, and what premium models alone would have cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.rules.picture import HERE, TIERS, grouped, total
from llmgw.rules.planning import VIRTUAL
from llmgw.tui.figures.shares import Share, shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.money import NanoUSD
    from llmgw.domain.pulse import Line, Seen
    from llmgw.rules.picture import Picture


class WhatIf(NamedTuple):
    """What was paid, what tiers and caches saved of ``premium``, the price if a premium model had answered all."""

    real: NanoUSD
    tiers: NanoUSD
    cache: NanoUSD
    premium: NanoUSD


class Passages(NamedTuple):
    """Requests that did not simply go where they were meant to go first, of all that reached a target."""

    reached: int
    fallbacks: int
    downgraded: int
    escalated: int


def tiers(lines: Sequence[Line]) -> list[Share]:
    """The three tiers, cheapest first, by the requests that reached one."""
    return shares((tier, [line for line in lines if line.tier == tier]) for tier in TIERS)


def tier_series(picture: Picture) -> list[tuple[Nanoseconds, tuple[int, ...]]]:
    """Each step of the window: its beginning and the requests of each tier."""
    found = []
    for step in picture.series():
        counts = dict.fromkeys(TIERS, 0)
        for line in step.lines:
            if line.tier in counts:
                counts[line.tier] += line.counts.requests
        found.append((step.at, tuple(counts.values())))
    return found


def rules(lines: Sequence[Line]) -> list[Share]:
    """Declared routes by how often they decided, the busiest first; empty is the name where none did."""
    groups = grouped((line for line in lines if reached(line) and line.cache not in HERE), "rule")
    whole = sum(group.counts.requests for group in groups)
    found = [
        Share(each.name, each.counts, each.counts.requests / whole if whole else None) for each in groups
    ]
    return sorted(found, key=lambda each: (not each.name, -each.counts.requests, each.name))


def passages(lines: Sequence[Line]) -> Passages:
    sums = total(lines)
    asked = sum(line.counts.requests for line in lines if reached(line))
    return Passages(asked, sums.fallbacks, sums.downgraded, sums.escalated)


def what_if(lines: Sequence[Line]) -> WhatIf:
    sums = total(lines)
    return WhatIf(sums.cost, sums.saving - sums.saved, sums.saved, sums.premium_cost)


def decided(picture: Picture, most: int) -> list[Seen]:
    """The newest requests that reached a target, newest first."""
    found = [seen for seen in picture.seen if seen.tier and seen.cache not in HERE]
    return found[: -most - 1 : -1]


def why(seen: Seen) -> str:
    """In a few words what sent a request where it went; the request's own page tells it whole."""
    return seen.reason or (
        "its caller asked for the tier" if seen.model_asked in VIRTUAL else "its caller named it"
    )


def reached(line: Line) -> bool:
    """Whether a model answered, or was to."""
    return bool(line.tier)
