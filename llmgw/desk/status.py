"""How a gateway is, and what today has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta, Struct

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.failing import FailingView, failing
from llmgw.desk.headroom import HeadroomView, headrooms
from llmgw.desk.kills import KillView, view
from llmgw.domain.budget import Window
from llmgw.rules.windows import bucket
from llmgw.storage.kills import Kills
from llmgw.storage.reports import Reports

if TYPE_CHECKING:
    from llmgw.storage.reports import Line

HITS = {"exact", "semantic", "joined"}


class Spend(Struct, frozen=True, kw_only=True):
    today_nanousd: int
    month_nanousd: int
    saved_today_nanousd: int
    unpriced_requests_today: int


class Counted(Struct, frozen=True, kw_only=True):
    today: int
    errors_today: int


class TokensToday(Struct, frozen=True, kw_only=True):
    input_today: int
    output_today: int


class Cached(Struct, frozen=True, kw_only=True):
    hits_today: int
    hit_rate: float | None
    provider_cached_tokens_today: int
    provider_cached_rate: float | None


class Status(Struct, frozen=True, kw_only=True):
    """A gateway's process and its figures of today."""

    running: bool
    state: Annotated[str, Meta(description="`up`, `failing`, `silent` or `down`")]
    url: str | None
    pid: int | None
    version: str | None
    started_at: int | None
    uptime_seconds: int | None
    log_file: str
    timezone: str
    kills: tuple[KillView, ...]
    spend: Spend
    requests: Counted
    tokens: TokensToday
    cache: Cached
    headroom: tuple[HeadroomView, ...]
    failing: tuple[FailingView, ...]
    lost: Annotated[
        tuple[str, ...], Meta(description="in words, which names of the configuration lead nowhere")
    ] = ()


class ShowStatus(Ask[Status], frozen=True, kw_only=True):
    """Tell whether the gateway is well, since when it runs, and what today has cost."""

    at: ClassVar = Place("GET", "/admin/status")
    answer: ClassVar = Status

    def do(self, desk: Desk) -> Status:
        process, now = desk.process(), desk.clock.now()
        began = process.started_at
        stored = desk.path.exists()
        return Status(
            running=process.pid is not None,
            state=process.state,
            url=process.url,
            pid=process.pid,
            version=process.version,
            started_at=began,
            uptime_seconds=None if began is None else (now - began) // 10**9,
            log_file=process.log_file,
            timezone=desk.zone().key,
            headroom=headrooms(desk),
            failing=failing(desk),
            lost=process.lost,
            kills=tuple(map(view, Kills(desk.control).list())) if stored else (),
            **_figures(*_read(desk, now)) if stored else _figures([], 0),
        )


def _read(desk: Desk, now: int) -> tuple[list[Line], int]:
    """Today's lines by cache verdict, and what the month has cost."""
    zone, reports = desk.zone(), Reports(desk.database)
    day = bucket(Window.DAY, now, zone)
    today = reports.report(Window.DAY, zone, day.start_ns, day.end_ns, "cache")
    return today, reports.current(Window.MONTH, now, zone).cost


def _figures(today: list[Line], month: int) -> dict[str, Any]:
    totals = [line.totals for line in today]
    requests = sum(each.requests for each in totals)
    read = sum(each.input_tokens for each in totals)
    cached = sum(each.cache_read_tokens for each in totals)
    hits = sum(line.totals.requests for line in today if line.group in HITS)
    return {
        "spend": Spend(
            today_nanousd=sum(each.cost for each in totals),
            month_nanousd=month,
            saved_today_nanousd=sum(each.saving for each in totals),
            unpriced_requests_today=sum(each.unknown_cost for each in totals),
        ),
        "requests": Counted(today=requests, errors_today=sum(each.errors for each in totals)),
        "tokens": TokensToday(input_today=read, output_today=sum(each.output_tokens for each in totals)),
        "cache": Cached(
            hits_today=hits,
            hit_rate=hits / requests if requests else None,
            provider_cached_tokens_today=cached,
            provider_cached_rate=cached / read if read else None,
        ),
    }
