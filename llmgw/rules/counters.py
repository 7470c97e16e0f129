"""What was committed to the ledger since the gateway began, as counters that only rise: for machines that scrape.

A sum has few dimensions, all of them bounded: names of models that callers make up are never one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from llmgw.domain.pulse import BOUNDS, Counts
from llmgw.rules.picture import HERE
from llmgw.rules.tallying import sum_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.ledger import RequestRow
    from llmgw.domain.money import NanoUSD

Name = TypeVar("Name")

OTHER = "other"
"""The model of requests for names that are neither configured nor have ever been answered."""
MOST_MODELS = 100
"""Models beyond those of the configuration that are told apart; later ones stand together."""

SECOND = 1_000_000
LATENCY = tuple(
    round(each * SECOND) for each in (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
)
"""Upper bounds, in microseconds, of how long requests took."""
DURATION = tuple(SECOND // 100 * 2**step for step in range(14))
"""The same by the bounds that OpenTelemetry asks for of ``gen_ai.server.request.duration``."""
FIRST_TOKEN = tuple(
    round(each * SECOND)
    for each in (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
)
"""And of ``gen_ai.server.time_to_first_token``."""
TOKENS = tuple(4**step for step in range(14))
"""And of ``gen_ai.client.token.usage``."""

STRETCH = 5 * 10**9
WINDOW = 60
"""So many stretches are the window of `Counters.lately`: five minutes."""


class Kind(NamedTuple):
    """What a sum is of. ``status`` is a class as ``2xx``, ``error`` one of our codes or empty."""

    surface: str
    provider: str
    model: str
    tier: str
    cache: str
    status: str
    error: str


class Histogram:
    """How many values fell up to each bound, the last class above them all, and their sum."""

    __slots__ = ("bounds", "classes", "sum")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.classes = [0] * (len(bounds) + 1)
        self.sum = 0

    def take(self, values: Collection[int]) -> None:
        """Count values."""
        bounds, classes = self.bounds, self.classes
        for value in values:
            classes[bisect_left(bounds, value)] += 1
        self.sum += sum(values)

    def __add__(self, other: Histogram) -> Histogram:
        both = Histogram(self.bounds)
        both.classes = [mine + theirs for mine, theirs in zip(self.classes, other.classes, strict=True)]
        both.sum = self.sum + other.sum
        return both

    def up_to(self) -> list[int]:
        """Counts that include those of every lower bound; the last one is of all."""
        whole, found = 0, []
        for count in self.classes:
            whole += count
            found.append(whole)
        return found


class Lately(NamedTuple):
    """The last minutes: spans are microseconds, None without a request."""

    seconds: int
    requests: int
    cost: NanoUSD
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    mean_us: int | None


class _Stretch:
    __slots__ = ("at", "classes", "cost", "latency_us", "requests")

    def __init__(self, at: Nanoseconds) -> None:
        self.at = at
        self.requests = 0
        self.cost = 0
        self.latency_us = 0
        self.classes = [0] * (len(BOUNDS) + 1)


class Counters:
    """Counters since ``began``. Used on one thread."""

    def __init__(self, began: Nanoseconds, models: Collection[tuple[str, str]] = ()) -> None:
        """``models`` are those of the configuration, as provider and model."""
        self.began = began
        self.sums: dict[Kind, Counts] = {}
        self.blocked: dict[str, int] = {}
        """Requests that the gateway itself refused, by error code."""
        self.latency: dict[str, Histogram] = {}
        """How long requests took, by tier; empty where no target was reached."""
        self.duration: dict[tuple[str, str, str, str], Histogram] = {}
        """How long requests took that reached a target, by surface, provider, model and error code."""
        self.first_token: dict[tuple[str, str, str], Histogram] = {}
        """By surface, provider and model."""
        self.tokens: dict[tuple[str, str, str, str], Histogram] = {}
        """Tokens of a request, by surface, provider, model, and ``input`` or ``output``."""
        self._models = set(models)
        self._room = MOST_MODELS
        self._stretches: deque[_Stretch] = deque(maxlen=WINDOW + 1)

    def take(self, rows: Iterable[RequestRow], now: Nanoseconds) -> None:
        """Count requests whose rows were committed, each of them once."""
        alike: dict[tuple[str | int, ...], list[RequestRow]] = {}
        for row in rows:
            name = row.surface, row.provider, row.model, row.tier, row.cache, row.status, row.error
            known = alike.get(name)
            if known is None:
                alike[name] = [row]
            else:
                known.append(row)
        stretch = self._stretch(now)
        for group in alike.values():
            self._take(group, stretch)

    def _take(self, rows: list[RequestRow], stretch: _Stretch) -> None:
        """Count requests of one kind: each sum is touched once, however many there are."""
        row = rows[0]
        model = self._model(row)
        kind = Kind(
            row.surface, row.provider, model, row.tier, row.cache.value, f"{row.status // 100}xx", row.error
        )
        counts = sum_of(rows)
        known = self.sums.get(kind)
        self.sums[kind] = counts if known is None else known + counts
        if row.error and (blocked := sum(not each.attempts for each in rows)):
            self.blocked[row.error] = self.blocked.get(row.error, 0) + blocked
        latencies = [each.latency_us for each in rows]
        _of(self.latency, row.tier, LATENCY).take(latencies)
        if model:
            self._target((row.surface, row.provider, model), row.error, rows, latencies)
        stretch.requests += len(rows)
        stretch.cost += counts.cost
        stretch.latency_us += counts.latency_us
        for latency in latencies:
            stretch.classes[bisect_left(BOUNDS, latency)] += 1

    def total(self) -> Counts:
        """Everything."""
        return sum(self.sums.values(), Counts())

    def by(self, field: str) -> dict[str, Counts]:
        """Sums by one field of `Kind`."""
        found: dict[str, Counts] = {}
        for kind, counts in self.sums.items():
            name = getattr(kind, field)
            known = found.get(name)
            found[name] = counts if known is None else known + counts
        return found

    def hit_rate(self) -> float | None:
        """The part that a cache of ours answered, of all whom one was asked for; None without any."""
        asked = self.by("cache")
        hits = sum(asked[name].requests for name in HERE if name in asked)
        misses = asked["miss"].requests if "miss" in asked else 0
        return hits / (hits + misses) if hits + misses else None

    def lately(self, now: Nanoseconds) -> Lately:
        """The last minutes; percentiles are exact to the class of `BOUNDS`."""
        since = now - WINDOW * STRETCH
        stretches = [each for each in self._stretches if each.at > since]
        requests = sum(each.requests for each in stretches)
        classes = [sum(column) for column in zip(*(each.classes for each in stretches), strict=True)]

        def percentile(part: float) -> int | None:
            rank = part * requests
            for place, count in enumerate(classes):
                rank -= count
                if count and rank <= 0:
                    return BOUNDS[min(place, len(BOUNDS) - 1)]
            return None

        return Lately(
            WINDOW * STRETCH // 10**9,
            requests,
            sum(each.cost for each in stretches),
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            sum(each.latency_us for each in stretches) // requests if requests else None,
        )

    def _stretch(self, now: Nanoseconds) -> _Stretch:
        at = now - now % STRETCH
        if not self._stretches or self._stretches[-1].at != at:
            self._stretches.append(_Stretch(at))
        return self._stretches[-1]

    def knows(self, provider: str, model: str) -> bool:
        """Whether that model is told apart from others."""
        return (provider, model) in self._models

    def _target(
        self, target: tuple[str, str, str], error: str, rows: list[RequestRow], latencies: list[int]
    ) -> None:
        _of(self.duration, (*target, error), DURATION).take(latencies)
        firsts = [each.ttft_us for each in rows if each.ttft_us is not None]
        if firsts:
            _of(self.first_token, target, FIRST_TOKEN).take(firsts)
        if not error:
            usages = [each.usage for each in rows]
            _of(self.tokens, (*target, "input"), TOKENS).take([usage.input_tokens for usage in usages])
            _of(self.tokens, (*target, "output"), TOKENS).take([usage.output_tokens for usage in usages])

    def _model(self, row: RequestRow) -> str:
        """The name that the row's model is counted under; a new one earns its own by an answer."""
        if not row.model or self.knows(row.provider, row.model):
            return row.model
        if row.error or not self._room:
            return OTHER
        self._room -= 1
        self._models.add((row.provider, row.model))
        return row.model


def _of(histograms: dict[Name, Histogram], name: Name, bounds: tuple[int, ...]) -> Histogram:
    histogram = histograms.get(name)
    if histogram is None:
        histogram = histograms[name] = Histogram(bounds)
    return histogram
