"""What the caches do, in figures: where answers came from, what that saved, what is held."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct

from llmgw.client import local
from llmgw.client.meanings import Semantic, semantic
from llmgw.config.load import effective_config
from llmgw.domain.cache import Selector
from llmgw.domain.clock import Nanoseconds
from llmgw.domain.ledger import CacheVerdict
from llmgw.domain.money import NanoUSD
from llmgw.rules.windows import FOREVER, Window

if TYPE_CHECKING:
    from llmgw.config.paths import Paths
    from llmgw.storage.answers import AnswerStore
    from llmgw.storage.reports import Reports

MEGABYTE = 1_048_576


class Traffic(Struct, kw_only=True):
    """Requests by how the caches answered them, and what that saved; spans are microseconds."""

    tenant: str = ""
    exact: int = 0
    semantic: int = 0
    joined: int = 0
    miss: int = 0
    bypass: int = 0
    saved: NanoUSD = 0
    saved_us: int = 0

    @property
    def hits(self) -> int:
        return self.exact + self.semantic + self.joined

    @property
    def hit_rate(self) -> float | None:
        """Share of the requests that the caches were asked for; None before the first."""
        asked = self.hits + self.miss
        return self.hits / asked if asked else None


class Held(Struct, frozen=True, kw_only=True):
    """What the file holds now; ``size`` is all of it, ``cap`` what it may take."""

    entries: int
    pinned: int
    expired: int
    bytes: int
    size: int
    cap: int
    oldest_at: Nanoseconds | None


class Figures(Struct, frozen=True, kw_only=True):
    """Everything `cache stats` tells; ``went`` counts what was evicted, expired or damaged since then."""

    since: Nanoseconds
    whole: Traffic
    tenants: tuple[Traffic, ...]
    held: Held
    went: dict[str, int]
    semantic: Semantic


def figures(paths: Paths, since: Nanoseconds, tenant: str | None = None) -> Figures:
    """The figures from ``since`` on, of everybody or of one tenant; the ledger counts in quarters of an hour."""
    options = effective_config(paths).cache
    with local.reports(paths) as reports, local.answers(paths) as answers:
        tenants = _traffic(reports, answers, since, tenant)
        counters = answers.counters(since, tenant)
        went = {name: counters.get(name, 0) for name in ("evicted", "expired", "damaged")}
        return Figures(
            since=since,
            whole=_sum(tenants),
            tenants=tuple(tenants),
            held=_held(answers, int(options.size_mb * MEGABYTE), tenant),
            went=went,
            semantic=semantic(answers, options.semantic.mode, options.semantic.max_error, since, tenant),
        )


def _traffic(reports: Reports, answers: AnswerStore, since: Nanoseconds, tenant: str | None) -> list[Traffic]:
    found: dict[str, Traffic] = {}
    for line in reports.report(Window.TOTAL, ZoneInfo("UTC"), since, FOREVER, by="tenant", within="cache"):
        if tenant in {None, line.group} and line.part in CacheVerdict.__members__.values():
            traffic = found.setdefault(line.group, Traffic(tenant=line.group))
            setattr(traffic, line.part, line.totals.requests)
            traffic.saved += line.totals.saved
    for traffic in found.values():
        traffic.saved_us = answers.counters(since, traffic.tenant).get("saved_us", 0)
    return sorted(found.values(), key=lambda each: (-each.saved, each.tenant))


def _sum(parts: list[Traffic]) -> Traffic:
    whole = Traffic()
    for part in parts:
        for name in Traffic.__struct_fields__[1:]:
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
    return whole


def _held(answers: AnswerStore, cap: int, tenant: str | None) -> Held:
    holdings = answers.stats(tenant)
    oldest = answers.list(Selector(tenant=tenant), 1, "oldest")
    return Held(
        entries=sum(each.entries for each in holdings),
        pinned=sum(each.pinned for each in holdings),
        expired=sum(each.expired for each in holdings),
        bytes=sum(each.bytes for each in holdings),
        size=answers.bytes(),
        cap=cap,
        oldest_at=oldest[0].created_at if oldest else None,
    )
