"""Requests in the ledger: what each cost, how long it took, who answered."""

from __future__ import annotations

import time
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.wire import nanoseconds
from llmgw.domain.killswitch import REQUEST, Kill, Mode
from llmgw.domain.ledger import AttemptState, CacheVerdict, RequestRow, read_id, show_id
from llmgw.errors import BadRequest, Conflict, not_running
from llmgw.storage.kills import Kills
from llmgw.storage.requests import AttemptRow, Filter
from llmgw.storage.requests import Requests as Stored

if TYPE_CHECKING:
    from llmgw.domain.usage import Usage

Moment = Annotated[datetime, Meta(tz=True)]

END_SECONDS, LOOK_SECONDS = 5.0, 0.02
"""How long a request that is ended may take to do so, and how often that is looked at."""


class Sort(StrEnum):
    TIME = "time"
    COST = "cost"
    LATENCY = "latency"
    TTFT = "ttft"
    TOKENS = "tokens"


class Tokens(Struct, frozen=True, kw_only=True):
    """What a call consumed; input includes cached tokens, output reasoning, cache writes those for an hour."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    searches: int
    estimated: bool
    complete: bool


class ErrorCode(Struct, frozen=True):
    code: str


class RequestView(Struct, frozen=True, kw_only=True):
    """One request; a cost that is null is not known, which is not the same as 0."""

    id: str
    started_at: int
    key: str
    tags: tuple[str, ...]
    surface: str
    stream: bool
    model_asked: str
    target: str | None
    provider: str | None
    model: str | None
    tier: str | None
    cache: CacheVerdict
    status: int
    error: ErrorCode | None
    finish_reason: str | None
    attempt_count: int
    usage: Tokens
    cost_nanousd: int | None
    premium_cost_nanousd: int | None
    saved_nanousd: int
    ttft_us: int | None
    latency_us: int


class AttemptView(Struct, frozen=True, kw_only=True):
    """One call of a provider; ``price`` is the price line it was billed by."""

    attempt: int
    state: AttemptState
    target: str
    tier: str
    started_at: int
    ended_at: int | None
    status: int | None
    error: ErrorCode | None
    finish_reason: str | None
    usage: Tokens
    held_nanousd: int | None
    cost_nanousd: int | None
    premium_cost_nanousd: int | None
    price: dict[str, Any] | None
    ttft_us: int | None
    latency_us: int | None
    upstream_id: str | None


class Done(RequestView, frozen=True, kw_only=True, tag_field="state", tag="done"):
    """A request that has ended, with its attempts."""

    attempts: tuple[AttemptView, ...]


class InFlight(Struct, frozen=True, kw_only=True, tag_field="state", tag="in_flight"):
    """A request that is under way, with its attempts so far."""

    id: str
    attempts: tuple[AttemptView, ...]


class Requests(Struct, frozen=True, kw_only=True):
    """``total`` is how many match, ``cursor`` from where on a list of those that ended later goes on."""

    requests: tuple[RequestView, ...]
    total: int
    cursor: int


class ListRequests(Ask[Requests], frozen=True, kw_only=True):
    """List requests, the newest first; with `after` those that have ended since, the first first."""

    at: ClassVar = Place("GET", "/admin/requests")
    answer: ClassVar = Requests
    key: Annotated[str | None, Meta(description="only of this key")] = None
    model: Annotated[str | None, Meta(description="only this model; may hold * and ?")] = None
    provider: Annotated[str | None, Meta(description="only by this provider")] = None
    tier: Annotated[str | None, Meta(description="`local`, `cheap` or `premium`")] = None
    tag: Annotated[str | None, Meta(description="only with this tag")] = None
    status: Annotated[str | None, Meta(description="`ok`, `error`, an HTTP status or an error code")] = None
    min_cost_nanousd: Annotated[int | None, Meta(description="only those that cost at least this")] = None
    since: Annotated[Moment | None, Meta(description="from this time on")] = None
    until: Annotated[Moment | None, Meta(description="before this time")] = None
    sort: Annotated[Sort, Meta(description="most of this first")] = Sort.TIME
    limit: Annotated[int, Meta(ge=1, le=100_000, description="how many at most")] = 50
    after: Annotated[int | None, Meta(description="a cursor")] = None

    def do(self, desk: Desk) -> Requests:
        wanted = Filter(
            key=self.key,
            model=self.model,
            provider=self.provider,
            tier=self.tier,
            tag=self.tag,
            status=self.status,
            min_cost=self.min_cost_nanousd,
            since=None if self.since is None else nanoseconds(self.since),
            until=None if self.until is None else nanoseconds(self.until),
        )
        stored = Stored(desk.database)
        if self.after is None:
            page = stored.newest(wanted, self.limit, self.sort)
        else:
            page = stored.ended_after(self.after, wanted, self.limit)
        return Requests(requests=tuple(map(view, page.rows)), total=page.total, cursor=page.cursor)


class ShowRequest(Ask[Done | InFlight], frozen=True, kw_only=True):
    """Show one request with its attempts and what each cost."""

    at: ClassVar = Place("GET", "/admin/requests/{id}")
    answer: ClassVar = Done | InFlight
    id: str

    def do(self, desk: Desk) -> Done | InFlight:
        number = _number(self.id)
        detail = Stored(desk.database).show(number)
        attempts = tuple(map(_attempt, detail.attempts))
        if detail.request is None:
            return InFlight(id=show_id(number), attempts=attempts)
        return Done(**msgspec.structs.asdict(view(detail.request)), attempts=attempts)


class EndRequest(Ask[Done], frozen=True, kw_only=True):
    """End a request that is under way; what was written of its answer is billed, and its caller is told."""

    at: ClassVar = Place("DELETE", "/admin/requests/{id}")
    answer: ClassVar = Done
    id: str
    reason: Annotated[str, Meta(description="its caller reads it")] = ""

    def do(self, desk: Desk) -> Done:
        number, kills = _number(self.id), Kills(desk.control)
        stored, scope = Stored(desk.database), f"{REQUEST}{show_id(number)}"
        if stored.ended(number):
            raise Conflict(f"{show_id(number)} has ended already", hint=f"`llmgw request show {self.id}`")
        if desk.process().pid is None:
            raise not_running()
        at = desk.clock.now()
        kills.set(Kill(scope=scope, mode=Mode.KILL, reason=self.reason, by=desk.by, at=at))
        try:
            # of a call that waits for its first attempt the ledger knows nothing yet
            patience = 1.0 if stored.ended(number) is None else END_SECONDS
            end = time.monotonic() + patience
            while not stored.ended(number) and time.monotonic() < end:
                time.sleep(LOOK_SECONDS)
        finally:
            kills.remove(scope)
        shown = ShowRequest(id=self.id).do(desk)
        if not isinstance(shown, Done):
            raise Conflict(f"{show_id(number)} does not end", hint="see `llmgw logs`")
        return shown


def _number(shown: str) -> int:
    try:
        return read_id(shown)
    except ValueError:
        raise BadRequest(
            f"`{shown}` is not the id of a request", hint="see `llmgw request list`", param="id"
        ) from None


def view(row: RequestRow) -> RequestView:
    """A request as operators see it."""
    return RequestView(
        id=show_id(row.id),
        started_at=row.started_at,
        key=row.key_name,
        tags=tuple(row.tags.split(",")) if row.tags else (),
        surface=row.surface,
        stream=row.stream,
        model_asked=row.model_asked,
        target=f"{row.provider}/{row.model}" if row.model else None,
        provider=row.provider or None,
        model=row.model or None,
        tier=row.tier or None,
        cache=row.cache,
        status=row.status,
        error=ErrorCode(row.error) if row.error else None,
        finish_reason=row.finish_reason or None,
        attempt_count=row.attempts,
        usage=_tokens(row.usage),
        cost_nanousd=row.cost,
        premium_cost_nanousd=row.premium_cost,
        saved_nanousd=row.saved,
        ttft_us=row.ttft_us,
        latency_us=row.latency_us,
    )


def _attempt(attempt: AttemptRow) -> AttemptView:
    return AttemptView(
        attempt=attempt.attempt,
        state=attempt.state,
        target=f"{attempt.provider}/{attempt.model}",
        tier=attempt.tier,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        status=attempt.status,
        error=ErrorCode(attempt.error) if attempt.error else None,
        finish_reason=attempt.finish_reason or None,
        usage=_tokens(attempt.usage),
        held_nanousd=attempt.held_cost,
        cost_nanousd=attempt.cost,
        premium_cost_nanousd=attempt.premium_cost,
        price=msgspec.json.decode(attempt.price) if attempt.price else None,
        ttft_us=attempt.ttft_us,
        latency_us=attempt.latency_us,
        upstream_id=attempt.upstream_id or None,
    )


def _tokens(usage: Usage) -> Tokens:
    return msgspec.convert(usage, Tokens, from_attributes=True)
