"""Rows of the ledger as a pulse tells them: sums by kind and by when they began, how long they took, one by one."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from msgspec.structs import replace

from llmgw.domain.ledger import show_id
from llmgw.domain.pulse import BOUNDS, GRAIN, REST, Counts, Line, Pulse, Seen, Spread
from llmgw.domain.route import DOWNGRADED, ESCALATED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.ledger import RequestRow

SECOND = 10**9
MINUTE = 60 * SECOND
SEEN = 100
"""Requests that a pulse tells one by one."""
CALLERS = 300
"""Callers told one by one; all others stand together under `REST`."""
NOTHING = Counts()


class Callers:
    """Which callers are told one by one: those that were met first, as many as there is room for."""

    def __init__(self, most: int = CALLERS) -> None:
        self._most = most
        self._named: set[tuple[str, str, str, str]] = set()

    @property
    def full(self) -> bool:
        """Whether nobody else will be told by name."""
        return len(self._named) >= self._most

    def names(self, tenant: str, user: str, key: str, tags: str) -> bool:
        """Whether a caller is told by name; from now on, if there is room."""
        caller = tenant, user, key, tags
        if caller not in self._named:
            if self.full:
                return False
            self._named.add(caller)
        return True

    def fold(self, lines: Iterable[Line]) -> tuple[Line, ...]:
        """The lines, those of callers that are too many as one for each kind."""
        told: list[Line] = []
        rest: dict[Line, Counts] = {}
        for line in lines:
            if self.names(line.tenant, line.user, line.key, line.tags):
                told.append(line)
            else:
                kind = replace(line, tenant=REST, user=REST, key=REST, tags=REST, counts=NOTHING)
                rest[kind] = rest.get(kind, NOTHING) + line.counts
        return (*told, *(replace(kind, counts=counts) for kind, counts in rest.items()))


def sum_of(rows: Iterable[RequestRow]) -> Counts:
    """Requests, at least one, as sums."""
    return Counts(*map(sum, zip(*map(_values, rows), strict=True)))


def counts_of(row: RequestRow) -> Counts:
    """One request as sums, as the roll-ups would have it."""
    return Counts(*_values(row))


def _values(row: RequestRow) -> tuple[int, ...]:
    usage, cost, premium, ttft, decision = row.usage, row.cost, row.premium_cost, row.ttft_us, row.decision
    reason = "" if decision is None else decision.reason
    return (
        1,
        int(row.error != ""),
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        int(usage.estimated),
        cost or 0,
        premium or 0,
        premium - cost if premium is not None and cost is not None else 0,
        int(cost is None),
        row.latency_us,
        ttft or 0,
        int(ttft is not None),
        row.saved,
        int(row.attempts > 1),
        int(reason.startswith(DOWNGRADED)),
        int(reason.startswith(ESCALATED)),
    )


def lines_of(rows: Iterable[RequestRow], grain: Nanoseconds = GRAIN) -> tuple[Line, ...]:
    """Sums of the rows by kind and by the stretch of ``grain`` in which they began."""
    sums: dict[tuple[int | str, ...], Counts] = {}
    for row in rows:
        kind = (
            row.started_at - row.started_at % grain,
            row.tenant,
            row.user,
            row.key_name,
            row.tags,
            row.surface,
            row.provider,
            row.model,
            row.tier,
            row.cache,
            "" if row.decision is None else row.decision.rule,
        )
        known, counts = sums.get(kind), counts_of(row)
        sums[kind] = counts if known is None else known + counts
    return tuple(line_of(kind, counts) for kind, counts in sums.items())


def line_of(kind: tuple[int | str, ...], counts: Counts) -> Line:
    """The line of a kind: its fields in their order, but for the counts."""
    return Line(**dict(zip(Line.__struct_fields__, kind, strict=False)), counts=counts)  # type: ignore[arg-type]


def spreads_of(rows: Iterable[RequestRow]) -> tuple[Spread, ...]:
    """How long the requests took that reached a target, by target and by the minute in which they began."""
    sums: dict[tuple[int, str, str], tuple[dict[int, int], dict[int, int]]] = {}
    for row in rows:
        if not row.model:
            continue
        ttft, latency = sums.setdefault(
            (row.started_at - row.started_at % MINUTE, row.provider, row.model), ({}, {})
        )
        place = bisect_left(BOUNDS, row.latency_us)
        latency[place] = latency.get(place, 0) + 1
        if row.ttft_us is not None:
            place = bisect_left(BOUNDS, row.ttft_us)
            ttft[place] = ttft.get(place, 0) + 1
    return tuple(
        Spread(
            began=began,
            provider=provider,
            model=model,
            ttft=tuple(sorted(ttft.items())),
            latency=tuple(sorted(latency.items())),
        )
        for (began, provider, model), (ttft, latency) in sums.items()
    )


def seen_of(row: RequestRow) -> Seen:
    """One request for the live tail."""
    usage = row.usage
    return Seen(
        id=show_id(row.id),
        started_at=row.started_at,
        tenant=row.tenant,
        key=row.key_name,
        tags=row.tags,
        surface=row.surface,
        stream=row.stream,
        model_asked=row.model_asked,
        provider=row.provider,
        model=row.model,
        tier=row.tier,
        cache=row.cache,
        status=row.status,
        error=row.error,
        attempts=row.attempts,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        estimated=usage.estimated,
        cost=row.cost,
        saved=row.saved,
        ttft_us=row.ttft_us,
        latency_us=row.latency_us,
        rule="" if row.decision is None else row.decision.rule,
        reason="" if row.decision is None else row.decision.reason,
        conversation=0 if row.decision is None else row.decision.conversation,
    )


def seconds_of(
    rows: Iterable[tuple[int, RequestRow]], since: Nanoseconds, until: Nanoseconds
) -> tuple[list[Pulse], bool]:
    """Rows in the order of their numbers as pulses, one for each second after ``since`` in which some of them ended.

    Also whether they reach to ``until``, which ends the last second. What was under way, and how things stood, is not
    in the ledger.
    """
    seconds: dict[Nanoseconds, list[tuple[int, RequestRow]]] = {}
    at = since
    for seq, row in rows:
        ended = row.started_at + row.latency_us * 1000
        if ended > until:
            return [_pulse(*second) for second in seconds.items()], True
        second = since - (since - ended) // SECOND * SECOND
        at = max(at, min(second, until))  # none goes before one that was written earlier
        seconds.setdefault(at, []).append((seq, row))
    return [_pulse(*second) for second in seconds.items()], False


def _pulse(at: Nanoseconds, numbered: list[tuple[int, RequestRow]]) -> Pulse:
    rows = [row for _, row in numbered]
    return Pulse(
        at=at,
        seq=numbered[-1][0],
        span_us=1_000_000,
        lines=lines_of(rows),
        spreads=spreads_of(rows),
        seen=tuple(map(seen_of, rows[-SEEN:])),
        unseen=max(0, len(rows) - SEEN),
        under_way=(),
        in_flight=0,
        gate_us=None,
    )
