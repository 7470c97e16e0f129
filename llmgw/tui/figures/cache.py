"""Figures of the caches: where answers came from, what that saved, and how close others came."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain.ledger import CacheVerdict
from llmgw.rules.picture import HERE, total
from llmgw.tui.figures.shares import Share, shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.domain.money import NanoUSD
    from llmgw.domain.pulse import CacheNow, Line
    from llmgw.rules.picture import Picture


class Sources(NamedTuple):
    """Where answers came from, as parts of the requests that the caches were asked for.

    ``bypassed`` counts the others; ``provider_cached`` is the part of the input sent upstream that the provider had
    cached, None where nothing was sent.
    """

    parts: list[Share]
    bypassed: int
    provider_cached: float | None


class Class(NamedTuple):
    """Lookups whose nearest remembered prompt was at least that similar; ``passes`` from the threshold on."""

    floor: float
    lookups: int
    passes: bool


def sources(lines: Sequence[Line]) -> Sources:
    asked = [(name, [line for line in lines if line.cache == name]) for name in (*HERE, CacheVerdict.MISS)]
    sent = total(line for line in lines if line.cache not in HERE)
    bypassed = total(line for line in lines if line.cache == CacheVerdict.BYPASS).requests
    cached = sent.cache_read_tokens / sent.input_tokens if sent.input_tokens else None
    return Sources(shares(asked), bypassed, cached)


def saved(picture: Picture) -> tuple[NanoUSD, NanoUSD]:
    """What answers from a cache would have cost, today and in this month."""
    return total(picture.today()).saved, total(picture.month()).saved


def hit_series(picture: Picture) -> list[float | None]:
    """The part that was answered here of what the caches were asked for, by step of the window; None without any."""
    found = []
    for step in picture.series():
        here = sum(line.counts.requests for line in step.lines if line.cache in HERE)
        sent = sum(line.counts.requests for line in step.lines if line.cache == CacheVerdict.MISS)
        found.append(here / (here + sent) if here + sent else None)
    return found


def carried(rates: list[float | None]) -> list[float]:
    """The same as a curve: where nothing was asked it stays where it was."""
    found, last = [], next((rate for rate in rates if rate is not None), 0.0)
    for rate in rates:
        last = last if rate is None else rate
        found.append(last)
    return found


def similarities(cache: CacheNow) -> list[Class]:
    """How similar the nearest remembered prompts were, from the least to the most."""
    bar = cache.threshold
    return [
        Class(floor, count, passes=bar is not None and floor >= bar)
        for floor, count in sorted(cache.similarities)
    ]
