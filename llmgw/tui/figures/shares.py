"""Parts of a whole: how many requests of a kind there were, and which part of all of them that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.rules.picture import total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmgw.domain.pulse import Counts, Line
    from llmgw.rules.picture import Picture

SECOND = 10**9


class Share(NamedTuple):
    """Requests of one kind; ``part`` is 0 to 1 of all that were compared, None where there were none."""

    name: str
    counts: Counts
    part: float | None


def shares(parts: Iterable[tuple[str, Iterable[Line]]]) -> list[Share]:
    """Named groups of lines, each as a part of all their requests; the order stays."""
    sums = [(name, total(lines)) for name, lines in parts]
    whole = sum(counts.requests for _, counts in sums)
    return [Share(name, counts, counts.requests / whole if whole else None) for name, counts in sums]


def lately(picture: Picture, seconds: int) -> tuple[list[Line], float]:
    """What was written in the last seconds, and how many seconds that are: fewer after a start, 0.0 without a pulse."""
    since = picture.now - seconds * SECOND
    pulses = [pulse for pulse in picture.pulses if pulse.at > since]
    return [line for pulse in pulses for line in pulse.lines], sum(pulse.span_us for pulse in pulses) / 1e6
