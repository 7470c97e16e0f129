"""Remembered answers: what they save, what is held, and how to be rid of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.cache_shapes import (
    AnswerView,
    CacheStats,
    Cleared,
    Entries,
    Holdings,
    Pinned,
    Sources,
    TenantTraffic,
    Traffic,
    Verified,
    fields,
    tell,
    view,
)
from llmgw.desk.meanings import semantic
from llmgw.desk.requests import Moment
from llmgw.desk.wire import nanoseconds
from llmgw.domain.cache import Order, Selector
from llmgw.domain.ledger import CacheVerdict
from llmgw.domain.spans import parse_span
from llmgw.errors import BadRequest
from llmgw.rules.windows import FOREVER, Window
from llmgw.storage.answers_schema import FILE_NAME
from llmgw.storage.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.storage.answers import AnswerStore

MEGABYTE = 1_048_576
Words = Annotated[str, Meta(min_length=1, max_length=4096)]
Ident = Annotated[int, Meta(ge=1, description="number of an entry")]


class Chosen(Struct, frozen=True, kw_only=True):
    """Which answers are meant: those that fit every condition."""

    tenant: Annotated[Words | None, Meta(description="only of this tenant")] = None
    key: Annotated[Words | None, Meta(description="only asked by this key")] = None
    tag: Annotated[Words | None, Meta(description="only with this tag")] = None
    model: Annotated[Words | None, Meta(description="only of this model; may hold * and ?")] = None
    older: Annotated[str | None, Meta(description="only older than this, as `7d`")] = None
    text: Annotated[Words | None, Meta(description="only where the prompt holds this text")] = None
    unused: Annotated[bool, Meta(description="only those that were never given again")] = False

    def selector(self, **more: Any) -> Selector:
        """The same for the store; BadRequest for an empty word, which would fit every answer."""
        for name in ("tenant", "key", "tag", "model", "text"):
            if getattr(self, name) == "":
                raise BadRequest(f"`{name}` is empty", hint="leave it out to mean every answer", param=name)
        if "" in (more.get("files") or ()):
            raise BadRequest("one of the files has no name", param="files")
        return Selector(
            tenant=self.tenant,
            key=self.key,
            tag=self.tag,
            model=self.model,
            older_than=None if self.older is None else parse_span(self.older),
            text=self.text,
            unused=self.unused,
            **more,
        )


class ShowCache(Ask[CacheStats], frozen=True, kw_only=True):
    """Tell where answers came from, what that saved, what is held, and whether the semantic cache keeps its promise."""

    at: ClassVar = Place("GET", "/admin/cache")
    answer: ClassVar = CacheStats
    since: Annotated[Moment | None, Meta(description="from this time on")] = None
    tenant: Annotated[Words | None, Meta(description="only of this tenant")] = None

    def do(self, desk: Desk) -> CacheStats:
        since, options = 0 if self.since is None else nanoseconds(self.since), desk.declared.cache
        with _answers(desk) as answers:
            tenants = _traffic(Reports(desk.database), answers, since, self.tenant)
            went = answers.counters(since, self.tenant)
            whole = _sum(tenants)
            return CacheStats(
                since_at=since,
                requests=whole.requests,
                hit_rate=whole.hit_rate,
                saved_nanousd=whole.saved_nanousd,
                saved_us=whole.saved_us,
                held=_held(answers, int(options.size_mb * MEGABYTE), self.tenant),
                evicted=went.get("evicted", 0),
                expired=went.get("expired", 0),
                damaged=went.get("damaged", 0),
                semantic=semantic(
                    answers, options.semantic.mode, options.semantic.max_error, since, self.tenant
                ),
                tenants=tuple(tenants),
            )


class ListEntries(Ask[Entries], Chosen, frozen=True, kw_only=True):
    """List remembered answers."""

    at: ClassVar = Place("GET", "/admin/cache/entries")
    answer: ClassVar = Entries
    newer: Annotated[str | None, Meta(description="only newer than this, as `24h`")] = None
    sort: Annotated[Order, Meta(description="what comes first")] = Order.NEWEST
    limit: Annotated[int, Meta(ge=1, le=100_000, description="how many at most")] = 50

    def do(self, desk: Desk) -> Entries:
        wanted = self.selector(newer_than=None if self.newer is None else parse_span(self.newer))
        with _answers(desk) as answers:
            total, _ = answers.measure(wanted)
            return Entries(tuple(map(view, answers.list(wanted, self.limit, self.sort.value))), total)


class ShowEntry(Ask[AnswerView], frozen=True, kw_only=True):
    """Show a remembered answer, and what was asked."""

    at: ClassVar = Place("GET", "/admin/cache/entries/{id}")
    answer: ClassVar = AnswerView
    id: Ident

    def do(self, desk: Desk) -> AnswerView:
        with _answers(desk) as answers:
            stored = answers.show(self.id)
        return AnswerView(**fields(stored.entry), answer=tell(stored.answer))


class ClearCache(Ask[Cleared], Chosen, frozen=True, kw_only=True):
    """Forget remembered answers, pinned ones too; all there are without any condition."""

    at: ClassVar = Place("POST", "/admin/cache/clear")
    answer: ClassVar = Cleared
    ids: Annotated[tuple[Ident, ...] | None, Meta(description="only these entries")] = None
    files: Annotated[
        tuple[Words, ...] | None,
        Meta(description="only answers about these files"),
    ] = None
    dry_run: Annotated[bool, Meta(description="only tell how much would go")] = False

    def do(self, desk: Desk) -> Cleared:
        wanted = self.selector(ids=self.ids, files=self.files)
        with _answers(desk) as answers:
            count, size = answers.measure(wanted)
            removed = 0 if self.dry_run else answers.remove(wanted)
        return Cleared(removed=removed, would_remove=count, bytes=size, dry_run=self.dry_run)


class PinEntries(Ask[Pinned], frozen=True, kw_only=True):
    """Keep answers whatever their age and the size of the cache, or let them grow old like others."""

    at: ClassVar = Place("POST", "/admin/cache/pin")
    answer: ClassVar = Pinned
    ids: tuple[Ident, ...]
    pinned: bool = True

    def do(self, desk: Desk) -> Pinned:
        with _answers(desk) as answers:
            return Pinned(tuple(view(answers.pin(ident, self.pinned)) for ident in self.ids))


class VerifyCache(Ask[Verified], frozen=True, kw_only=True):
    """Check the checksum of every remembered answer and drop what is damaged."""

    at: ClassVar = Place("POST", "/admin/cache/verify")
    answer: ClassVar = Verified

    def do(self, desk: Desk) -> Verified:
        with _answers(desk) as answers:
            found = answers.verify()
        return Verified(ok=not found.damaged, checked=found.checked, damaged=found.damaged)


@contextmanager
def _answers(desk: Desk) -> Iterator[AnswerStore]:
    """Remembered answers; the file is made where there is none."""
    from llmgw.storage.answers import AnswerStore  # noqa: PLC0415 (other asks do without its compressor)

    with AnswerStore.open(desk.path.with_name(FILE_NAME), clock=desk.clock) as store:
        yield store


def _traffic(reports: Reports, answers: AnswerStore, since: int, tenant: str | None) -> list[TenantTraffic]:
    found: dict[str, TenantTraffic] = {}
    for line in reports.report(Window.TOTAL, ZoneInfo("UTC"), since, FOREVER, by="tenant", within="cache"):
        if tenant in {None, line.group} and line.part in CacheVerdict.__members__.values():
            traffic = found.setdefault(line.group, TenantTraffic(tenant=line.group, requests=Sources()))
            setattr(traffic.requests, line.part, line.totals.requests)
            traffic.saved_nanousd += line.totals.saved
    for traffic in found.values():
        traffic.saved_us = answers.counters(since, traffic.tenant).get("saved_us", 0)
        traffic.hit_rate = _hit_rate(traffic.requests)
    return sorted(found.values(), key=lambda each: (-each.saved_nanousd, each.tenant))


def _hit_rate(requests: Sources) -> float | None:
    hits = requests.exact + requests.semantic + requests.joined
    asked = hits + requests.miss
    return round(hits / asked, 4) if asked else None


def _sum(parts: list[TenantTraffic]) -> Traffic:
    requests = Sources()
    for part in parts:
        for name in Sources.__struct_fields__:
            setattr(requests, name, getattr(requests, name) + getattr(part.requests, name))
    return Traffic(
        requests=requests,
        hit_rate=_hit_rate(requests),
        saved_nanousd=sum(part.saved_nanousd for part in parts),
        saved_us=sum(part.saved_us for part in parts),
    )


def _held(answers: AnswerStore, cap: int, tenant: str | None) -> Holdings:
    holdings = answers.stats(tenant)
    oldest = answers.list(Selector(tenant=tenant), 1, "oldest")
    return Holdings(
        entries=sum(each.entries for each in holdings),
        pinned=sum(each.pinned for each in holdings),
        expired=sum(each.expired for each in holdings),
        bytes=sum(each.bytes for each in holdings),
        file_bytes=answers.bytes(),
        cap_bytes=cap,
        oldest_at=oldest[0].created_at if oldest else None,
    )
