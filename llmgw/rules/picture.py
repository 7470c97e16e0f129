"""What a feed has told so far, as figures: pulses added to the history before them, by window and by group.

Every way of looking at a gateway (dashboard, `watch`, `top`, replay) draws from one of these, so they cannot disagree.
A request counts where it began, as in reports.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import asdict, astuple, replace

from llmgw.domain.pulse import BOUNDS, Bucket, Counts, History, Line, Pulse, Spread, Standing
from llmgw.rules.tallying import line_of
from llmgw.rules.windows import HOUR, Window, bucket, lately

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.money import NanoUSD
    from llmgw.domain.pulse import Beat, Seen, Under

MINUTE = HOUR // 60
SECOND = MINUTE // 60
WINDOWS: dict[str, tuple[Nanoseconds, Nanoseconds]] = {
    "5m": (5 * MINUTE, 5 * MINUTE // 60),
    "1h": (HOUR, MINUTE),
    "24h": (24 * HOUR, HOUR // 4),
    "7d": (7 * 24 * HOUR, 2 * HOUR),
    "30d": (30 * 24 * HOUR, 8 * HOUR),
}
"""The windows that can be looked at: how long, and in which steps."""

HERE = ("exact", "semantic", "joined")
"""Verdicts of the caches that spare an upstream call."""
TIERS = ("local", "cheap", "premium")
SEEN = 5000
"""Requests that the tail remembers."""
PULSES = 600
"""Seconds of which the pulses themselves are remembered."""

AXES = ("key", "tenant", "user", "tag", "provider", "model", "tier", "cache", "surface", "rule")
"""What figures can be grouped by; a model is named with its provider, a request counts for each of its tags."""

NOTHING = Counts()

Kind = tuple[str, ...]
"""All of a `Line` but when and how much."""
Sums = dict[Kind, Counts]
Classes = tuple[tuple[int, int], ...]


class Group(Struct, frozen=True):
    """Requests that have one thing in common; ``name`` is empty where they have none of it, as without a tag."""

    name: str
    counts: Counts


def total(lines: Iterable[Line]) -> Counts:
    """All lines as one."""
    columns = [astuple(line.counts) for line in lines]
    return Counts(*map(sum, zip(*columns, strict=True))) if columns else NOTHING


def grouped(lines: Iterable[Line], axis: str) -> list[Group]:
    """Lines by one of `AXES`, the dearest first, then the busiest."""
    parts: dict[str, list[Line]] = {}
    for line in lines:
        for name in _names(line, axis):
            parts.setdefault(name, []).append(line)
    found = [Group(name, total(part)) for name, part in parts.items()]
    return sorted(found, key=lambda each: (-each.counts.cost, -each.counts.requests, each.name))


def hit_rate(lines: Iterable[Line]) -> float | None:
    """The part of requests that a cache of ours answered, as `status` has it; None without a request."""
    requests = here = 0
    for line in lines:
        requests += line.counts.requests
        here += line.counts.requests if line.cache in HERE else 0
    return here / requests if requests else None


def percentile(spreads: Iterable[Spread], part: float, *, ttft: bool) -> int | None:
    """Microseconds below which that part of requests lies, exact to the class of `BOUNDS`; None without any."""
    sums = [0] * (len(BOUNDS) + 1)
    for spread in spreads:
        for place, count in spread.ttft if ttft else spread.latency:
            sums[place] += count
    rank = part * sum(sums)
    for place, count in enumerate(sums):
        rank -= count
        if count and rank <= 0:
            return BOUNDS[min(place, len(BOUNDS) - 1)]
    return None


class Picture:
    """Fed with the beats of one feed, in their order. A new history begins it anew."""

    def __init__(self) -> None:
        self.history: History | None = None
        self.last: Pulse | None = None
        self.standing = Standing()
        self.pulses: deque[Pulse] = deque(maxlen=PULSES)
        self.seen: deque[Seen] = deque(maxlen=SEEN)
        self.unseen = 0
        """Requests that the tail was not told one by one."""
        self._today: Sums = {}
        self._month: Sums = {}
        self._whole: Sums = {}
        self._steps: deque[_Step] = deque()
        self._hour: dict[Nanoseconds, NanoUSD] = {}
        self._spreads: dict[tuple[Nanoseconds, str, str], Spread] = {}
        self._day = self._month_began = 0

    @property
    def now(self) -> Nanoseconds:
        """The moment that the figures are of; 0 before the first beat."""
        beat = self.last or self.history
        return 0 if beat is None else beat.at

    @property
    def seq(self) -> int:
        """The last row of the ledger that is in the figures."""
        beat = self.last or self.history
        return 0 if beat is None else beat.seq

    @property
    def zone(self) -> ZoneInfo:
        """Whose days are meant."""
        process = self.standing.process
        return ZoneInfo(process.timezone if process else "UTC")

    @property
    def window(self) -> str:
        return self.history.window if self.history else "1h"

    @property
    def under_way(self) -> tuple[Under, ...]:
        return self.last.under_way if self.last else ()

    def take(self, beat: Beat) -> None:
        """Add what a beat tells; a pulse of rows that are known already is passed over."""
        if isinstance(beat, History):
            self._begin(beat)
        elif self.history is not None and (beat.seq > self.seq or (beat.seq == self.seq and not beat.lines)):
            self._go_on(beat)

    def today(self) -> list[Line]:
        """Sums of the running day, by caller."""
        return _lines(self._today)

    def month(self) -> list[Line]:
        """Sums of the running month, by caller."""
        return _lines(self._month)

    def in_window(self) -> list[Line]:
        """Sums of the window that is looked at, by caller."""
        return _lines(self._whole)

    def series(self) -> list[Bucket]:
        """The window in its steps, the running one last; steps in which nothing happened are there."""
        return [step.bucket() for step in self._steps]

    def spreads(self) -> list[Spread]:
        """How long the requests of the last hour took."""
        return list(self._spreads.values())

    def rate(self, seconds: int = 10) -> float:
        """Requests a second, over the last few."""
        if self.history is None:
            return 0.0
        since = max(self.now - seconds * SECOND, self.history.at)
        requests = sum(
            line.counts.requests for pulse in self.pulses if pulse.at > since for line in pulse.lines
        )
        return requests * SECOND / max(self.now - since, SECOND)

    def burn(self) -> NanoUSD:
        """What an hour costs, by the last one: as `report`, `budget list` and the status line count it."""
        return sum(self._hour.values()) * HOUR // (self.now - lately(self.now))

    def projection(self) -> NanoUSD:
        """What the month will have cost if it goes on as it has gone so far."""
        if not self.now:
            return 0
        month = bucket(Window.MONTH, self.now, self.zone)
        gone = max(1, self.now - month.start_ns)
        return total(self.month()).cost * (month.end_ns - month.start_ns) // gone

    def _begin(self, history: History) -> None:
        self.__init__()  # type: ignore[misc]
        self.history = history
        self.standing = history.standing
        self.seen.extend(history.seen)
        self._hour.update(history.hour)
        for line in history.today:
            _add(self._today, line)
        for line in history.month:
            _add(self._month, line)
        self._turn(history.at)
        for each in history.buckets:
            for line in each.lines:
                self._place(line, each.at)
        for spread in history.spreads:
            self._spread(spread)

    def _go_on(self, pulse: Pulse) -> None:
        self.last = pulse
        self.pulses.append(pulse)
        self.seen.extend(pulse.seen)
        self.unseen += pulse.unseen
        told = {name: part for name, part in asdict(pulse.standing).items() if part is not None}
        if told:
            self.standing = replace(self.standing, **told)
        self._turn(pulse.at)
        since = lately(pulse.at)
        for line in pulse.lines:
            if line.began >= self._day:
                _add(self._today, line)
            if line.began >= self._month_began:
                _add(self._month, line)
            self._place(line, line.began)
            minute = line.began - line.began % MINUTE
            if minute >= since:
                self._hour[minute] = self._hour.get(minute, 0) + line.counts.cost
        for spread in pulse.spreads:
            self._spread(spread)

    def _place(self, line: Line, at: Nanoseconds) -> None:
        """Count it in the step of the window in which it began; what began before the window counts in none."""
        place = (at - self._steps[0].at) // WINDOWS[self.window][1]
        if place >= 0:
            self._steps[min(place, len(self._steps) - 1)].add(line)
            _add(self._whole, line)

    def _spread(self, spread: Spread) -> None:
        if spread.began <= self.now - HOUR:
            return
        name = spread.began, spread.provider, spread.model
        if (known := self._spreads.get(name)) is not None:
            spread = replace(
                spread, ttft=_more(known.ttft, spread.ttft), latency=_more(known.latency, spread.latency)
            )
        self._spreads[name] = spread

    def _turn(self, now: Nanoseconds) -> None:
        """Leave behind what is over: a day, a month, the oldest steps, what an hour ago took and cost."""
        day, month = (bucket(each, now, self.zone).start_ns for each in (Window.DAY, Window.MONTH))
        if self._day and day > self._day:
            self._today = {}
        if self._month_began and month > self._month_began:
            self._month = {}
        self._day, self._month_began = day, month
        length, step = WINDOWS[self.window]
        last = now - now % step
        first = last - length + step
        while self._steps and self._steps[0].at < first:
            for kind, counts in self._steps.popleft().sums.items():
                left = self._whole[kind] - counts
                if left.requests:
                    self._whole[kind] = left
                else:
                    del self._whole[kind]
        at = self._steps[-1].at + step if self._steps else first
        self._steps.extend(map(_Step, range(at, last + 1, step)))
        since = lately(now)
        for minute in [each for each in self._hour if each < since]:
            del self._hour[minute]
        for name in [each for each in self._spreads if each[0] <= now - HOUR]:
            del self._spreads[name]


class _Step:
    """One step of a window; what it held is made into lines once, and again when something came to it."""

    __slots__ = ("_bucket", "at", "sums")

    def __init__(self, at: Nanoseconds) -> None:
        self.at = at
        self.sums: Sums = {}
        self._bucket: Bucket | None = None

    def add(self, line: Line) -> None:
        _add(self.sums, line)
        self._bucket = None

    def bucket(self) -> Bucket:
        if self._bucket is None:
            self._bucket = Bucket(at=self.at, lines=tuple(_lines(self.sums)))
        return self._bucket


def _more(known: Classes, new: Classes) -> Classes:
    sums = dict(known)
    for place, count in new:
        sums[place] = sums.get(place, 0) + count
    return tuple(sorted(sums.items()))


def _names(line: Line, axis: str) -> tuple[str, ...]:
    if axis == "model":
        return (f"{line.provider}/{line.model}" if line.model else "",)
    if axis == "tag":
        return tuple(line.tags.split(","))
    return (getattr(line, axis),)


def _add(sums: Sums, line: Line) -> None:
    kind = astuple(line)[1:-1]
    known = sums.get(kind)
    sums[kind] = line.counts if known is None else known + line.counts


def _lines(sums: Sums) -> list[Line]:
    return [line_of((0, *kind), counts) for kind, counts in sums.items()]
