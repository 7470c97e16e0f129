"""Figures of providers: how fast and how reliably each answers, and what it leaves us of its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.rules.picture import NOTHING, grouped, percentile

if TYPE_CHECKING:
    from llmgw.domain.pulse import Counts, Room, UpstreamNow
    from llmgw.rules.picture import Picture


class Upstream(NamedTuple):
    """A provider; spans are microseconds of the last hour, counts those of the window.

    ``now`` is None for one that is no longer in use.
    """

    name: str
    now: UpstreamNow | None
    counts: Counts
    ttft: tuple[int | None, int | None]
    latency: tuple[int | None, int | None]

    @property
    def errors(self) -> float | None:
        """The part of its requests that failed; None without any."""
        return self.counts.errors / self.counts.requests if self.counts.requests else None

    @property
    def least(self) -> Room | None:
        """The limit of its own that it leaves us the smallest part of."""
        rooms = [room for room in (self.now.rooms if self.now else ()) if room.limit]
        return min(rooms, key=lambda room: room.remaining / (room.limit or 1), default=None)


def upstreams(picture: Picture) -> list[Upstream]:
    """Every provider in use in the gateway's own order, then those that only the window remembers."""
    counts = {group.name: group.counts for group in grouped(picture.in_window(), "provider")}
    known = {upstream.name: upstream for upstream in picture.standing.upstreams or ()}
    spreads = picture.spreads()
    found = []
    for name in dict.fromkeys((*known, *counts)):
        if not name:
            continue
        mine = [spread for spread in spreads if spread.provider == name]
        ttft, latency = (
            (percentile(mine, 0.5, ttft=kind), percentile(mine, 0.95, ttft=kind)) for kind in (True, False)
        )
        found.append(Upstream(name, known.get(name), counts.get(name, NOTHING), ttft, latency))
    return found


def models(picture: Picture, provider: str) -> list[tuple[str, Counts, tuple[int | None, int | None]]]:
    """The targets of a provider that were used in the window, with p50 and p95 of their time to first token."""
    lines = [line for line in picture.in_window() if line.provider == provider]
    found = []
    for group in grouped(lines, "model"):
        mine = [each for each in picture.spreads() if f"{each.provider}/{each.model}" == group.name]
        found.append(
            (group.name, group.counts, (percentile(mine, 0.5, ttft=True), percentile(mine, 0.95, ttft=True)))
        )
    return found
