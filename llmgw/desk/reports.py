"""What was spent by hour, day, week or month, by whom or at whom."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.requests import Moment
from llmgw.desk.scopes import ZoneName
from llmgw.desk.wire import nanoseconds
from llmgw.domain.budget import Window
from llmgw.storage.reports import Line, Reports, Session, Totals

NO_END = 2**63 - 1
Name = str | UnsetType | None


class Group(StrEnum):
    MODEL = "model"
    KEY = "key"
    TIER = "tier"
    TAG = "tag"
    PROVIDER = "provider"


class ReportLine(Struct, frozen=True, kw_only=True):
    """Sums of one period, of one group in it where the report is split, of one part of that with ``within``."""

    period: str
    starts_at: int
    ends_at: int
    model: Name = UNSET
    key: Name = UNSET
    tier: Name = UNSET
    tag: Name = UNSET
    provider: Name = UNSET
    within: str | None
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_nanousd: Annotated[int | None, Meta(description="null where no price is known")]
    unpriced_requests: int
    estimated_requests: int
    premium_cost_nanousd: int
    saving_nanousd: int
    cache_saved_nanousd: int
    mean_latency_us: int | None
    mean_ttft_us: int | None


class Report(Struct, frozen=True):
    lines: tuple[ReportLine, ...]


class ShowReport(Ask[Report], frozen=True, kw_only=True):
    """Report what was spent in each hour, day, week or month."""

    at: ClassVar = Place("GET", "/admin/report")
    answer: ClassVar = Report
    window: Window = Window.DAY
    by: Annotated[Group | None, Meta(description="split each period")] = None
    within: Annotated[Group | None, Meta(description="split each of those again")] = None
    since: Annotated[Moment | None, Meta(description="from this time on")] = None
    until: Annotated[Moment | None, Meta(description="before this time")] = None
    tz: ZoneName = None

    def do(self, desk: Desk) -> Report:
        since = 0 if self.since is None else nanoseconds(self.since)
        until = NO_END if self.until is None else nanoseconds(self.until)
        lines = Reports(desk.database).report(
            self.window, desk.zone(self.tz), since, until, self.by, within=self.within
        )
        return Report(tuple(_line(line, self.by) for line in lines))


class SessionLine(Struct, frozen=True, kw_only=True):
    """What one key did with one set of tags, without a long pause."""

    starts_at: int
    ends_at: Annotated[int, Meta(description="the end of its last quarter of an hour")]
    running: Annotated[bool, Meta(description="whether its next call would still belong to it")]
    key: str
    tags: tuple[str, ...]
    models: Annotated[tuple[str, ...], Meta(description="the dearest first")]
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_nanousd: Annotated[int | None, Meta(description="null where no price is known")]
    unpriced_requests: int
    saving_nanousd: int
    cache_saved_nanousd: int


class SessionReport(Struct, frozen=True):
    sessions: tuple[SessionLine, ...]


class ShowSessions(Ask[SessionReport], frozen=True, kw_only=True):
    """Report sessions: stretches in which one key called with one set of tags without a long pause, newest first."""

    at: ClassVar = Place("GET", "/admin/sessions")
    answer: ClassVar = SessionReport
    gap_seconds: Annotated[int, Meta(ge=900, description="a pause of so many seconds ends one")] = 3600
    key: Annotated[str | None, Meta(description="only of this key")] = None
    since: Annotated[Moment | None, Meta(description="from this time on")] = None
    until: Annotated[Moment | None, Meta(description="before this time")] = None

    def do(self, desk: Desk) -> SessionReport:
        since = 0 if self.since is None else nanoseconds(self.since)
        until = NO_END if self.until is None else nanoseconds(self.until)
        gap, now = self.gap_seconds * 10**9, desk.clock.now()
        sessions = Reports(desk.database).sessions(since, until, gap)
        return SessionReport(
            tuple(
                _session(each, now - each.end < gap)
                for each in sessions
                if self.key is None or each.key == self.key
            )
        )


def _session(session: Session, running: bool) -> SessionLine:
    totals = session.totals
    return SessionLine(
        starts_at=session.start,
        ends_at=session.end,
        running=running,
        key=session.key,
        tags=tuple(session.tags.split(",")) if session.tags else (),
        models=tuple(sorted(session.models, key=lambda name: (-session.models[name], name))),
        requests=totals.requests,
        errors=totals.errors,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cache_read_tokens=totals.cache_read_tokens,
        cache_write_tokens=totals.cache_write_tokens,
        cost_nanousd=_cost(totals),
        unpriced_requests=totals.unknown_cost,
        saving_nanousd=totals.saving,
        cache_saved_nanousd=totals.saved,
    )


def _cost(totals: Totals) -> int | None:
    return None if totals.requests == totals.unknown_cost > 0 else totals.cost


def _line(line: Line, by: Group | None) -> ReportLine:
    totals = line.totals
    return ReportLine(
        period=line.period,
        starts_at=line.start,
        ends_at=line.end,
        **({by.value: line.group or None} if by else {}),
        within=line.part or None,
        requests=totals.requests,
        errors=totals.errors,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cache_read_tokens=totals.cache_read_tokens,
        cache_write_tokens=totals.cache_write_tokens,
        reasoning_tokens=totals.reasoning_tokens,
        cost_nanousd=_cost(totals),
        unpriced_requests=totals.unknown_cost,
        estimated_requests=totals.estimated,
        premium_cost_nanousd=totals.premium_cost,
        saving_nanousd=totals.saving,
        cache_saved_nanousd=totals.saved,
        mean_latency_us=totals.mean_latency_us,
        mean_ttft_us=totals.mean_ttft_us,
    )
