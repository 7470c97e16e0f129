"""What a dashboard is told: a history to begin with, then a pulse a second of what was written to the ledger since.

Figures are those of the ledger and add up: a history and all pulses after it, by ``seq``, hold each request once. Money
is nano-dollars, spans are microseconds, moments UTC nanoseconds.
"""

from __future__ import annotations

from operator import add, sub
from typing import Self

from msgspec import Struct
from msgspec.structs import astuple

from llmgw.domain.clock import Nanoseconds
from llmgw.domain.money import NanoUSD

REST = "…"
"""The key under which callers stand together that are too many to be told one by one."""

BOUNDS = tuple(round(10 ** (exponent / 10)) for exponent in range(20, 81))
"""Upper bounds of the classes of a `Spread`: 100 µs to 100 s, ten to each power of ten."""


GRAIN = 5 * 10**9
"""The stretches of time that lines tell apart, 5 s in nanoseconds: the finest step of a window."""


class Counts(Struct, frozen=True, omit_defaults=True, gc=False):
    """Sums over requests, with the names and meanings of ``storage.reports.Totals``.

    ``fallbacks`` counts requests that took more than one attempt, ``downgraded`` those that a budget or the kill switch
    moved to a lower tier, ``escalated`` those that a cascade passed upwards.
    """

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: int = 0
    cost: NanoUSD = 0
    premium_cost: NanoUSD = 0
    saving: NanoUSD = 0
    unknown_cost: int = 0
    latency_us: int = 0
    ttft_us: int = 0
    ttft_count: int = 0
    saved: NanoUSD = 0
    fallbacks: int = 0
    downgraded: int = 0
    escalated: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*map(sub, astuple(self), astuple(other)))


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Requests of one kind that began in one `GRAIN` of time; in sums over longer stretches ``began`` is 0.

    ``tags`` is canonical: sorted, comma separated. Without a caller ``tenant``, ``user``, ``key`` and ``tags`` are
    empty; ``provider``, ``model`` and ``tier`` are empty where no target was reached; ``rule`` is the declared route
    that decided, empty where none did.
    """

    began: Nanoseconds = 0
    tenant: str = ""
    user: str = ""
    key: str = ""
    tags: str = ""
    surface: str = ""
    provider: str = ""
    model: str = ""
    tier: str = ""
    cache: str = ""
    rule: str = ""
    counts: Counts


class Spread(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How long requests of a target took: pairs of a class of `BOUNDS` (its length: above all) and a count.

    ``began`` is the minute in which they began; in sums over longer stretches it is 0.
    """

    began: Nanoseconds = 0
    provider: str
    model: str
    ttft: tuple[tuple[int, int], ...] = ()
    latency: tuple[tuple[int, int], ...] = ()


class Seen(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One request as it ended, for the live tail: the columns of a list of requests."""

    id: str
    started_at: Nanoseconds
    tenant: str
    key: str
    tags: str
    surface: str
    stream: bool
    model_asked: str
    provider: str
    model: str
    tier: str
    cache: str
    status: int
    error: str
    attempts: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    estimated: bool
    cost: NanoUSD | None
    saved: NanoUSD
    ttft_us: int | None
    latency_us: int
    rule: str = ""
    reason: str = ""
    """Why its tier was chosen, empty where its caller had chosen."""
    conversation: int = 0
    """A number that requests of one conversation share; 0 where the router was not asked."""


class Under(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A call under way. ``place`` is where it waits in line, None where it does not."""

    id: str
    started_at: Nanoseconds
    tenant: str
    key: str
    model_asked: str
    provider: str
    model: str
    tier: str
    stream: bool
    output_tokens: int
    held: NanoUSD | None
    place: int | None = None


class BudgetNow(Struct, frozen=True, kw_only=True, gc=False):
    """One budget now. Amounts are in its ``unit``, ``money`` or ``tokens``; ``used`` is the part spent or held.

    ``burn`` is what was spent in the last hour, ``runs_out_at`` None where the ceiling is not met in this window,
    ``tightest`` the budget that leaves the same calls less, ``parent`` the next wider scope that has a budget.
    """

    scope: str
    window: str
    unit: str
    spent: int
    held: int | None
    hard: int | None
    left: int | None
    used: float | None
    burn: int
    ends_at: Nanoseconds | None
    runs_out_at: Nanoseconds | None
    warn: tuple[int, ...] = ()
    on_exceed: str = "stop"
    tightest: str | None = None
    parent: str | None = None


class KeyNow(Struct, frozen=True, kw_only=True, gc=False):
    """A key that callers hold, but for its secret."""

    name: str
    shown: str
    tenant: str
    user: str
    plan: str
    models: tuple[str, ...]
    tags: tuple[str, ...]
    admin: bool
    created_at: Nanoseconds
    expires_at: Nanoseconds | None
    last_used_at: Nanoseconds | None
    limits: tuple[str, ...] = ()
    """As `limit list` words them: ``60 requests/minute``."""
    paused: bool = False
    """Whether a kill switch is on for it."""
    id: int = 0


class Room(Struct, frozen=True, kw_only=True, gc=False):
    """What a provider says that it leaves us of one of its own limits."""

    model: str
    kind: str
    remaining: int
    limit: int | None


class UpstreamNow(Struct, frozen=True, kw_only=True, gc=False):
    """A provider now. ``state`` is ``up``, ``open``, ``half-open`` or ``down``; ``open`` names targets left alone.

    ``price_as_of`` is the day of its price data, empty where none is known.
    """

    name: str
    dialect: str
    base_url: str
    tier: str
    state: str
    open: tuple[str, ...] = ()
    in_flight: int = 0
    waiting: int = 0
    slots: int | None = None
    rooms: tuple[Room, ...] = ()
    price_as_of: str = ""
    credential: str = ""
    """Where its credential comes from, never the credential."""


class KillNow(Struct, frozen=True, kw_only=True, gc=False):
    scope: str
    mode: str
    reason: str
    by: str
    at: Nanoseconds


class Notice(Struct, frozen=True, kw_only=True, gc=False):
    """Something the gateway noticed; ``command`` is what would change it, empty where nothing does."""

    at: Nanoseconds
    kind: str
    message: str
    command: str = ""


class Near(Struct, frozen=True, kw_only=True, gc=False):
    """A prompt that came close to a remembered one, or the entry that was used most."""

    text: str
    count: int
    similarity: float | None = None
    saved: NanoUSD = 0


class CacheNow(Struct, frozen=True, kw_only=True, gc=False):
    """What the caches hold. ``state`` says in words whether the semantic one serves, and why not.

    ``evicted``, ``expired`` and ``saved_us``, the waiting that was spared, are of the last 24 hours.
    """

    entries: int
    bytes: int
    cap_bytes: int
    oldest_at: Nanoseconds | None
    evicted: int
    expired: int
    audits: int
    state: str
    threshold: float | None
    max_error: float | None
    similarities: tuple[tuple[float, int], ...] = ()
    """Lower bound of a class of similarity to the nearest entry, and how many lookups fell into it."""
    near: tuple[Near, ...] = ()
    top: tuple[Near, ...] = ()
    saved_us: int = 0


class Process(Struct, frozen=True, kw_only=True):
    """The gateway's own process. ``healthy`` is False while the ledger cannot be written."""

    version: str
    url: str
    pid: int
    boot: str
    started_at: Nanoseconds
    timezone: str
    healthy: bool = True
    rss_bytes: int = 0
    simulated: bool = False


class Standing(Struct, frozen=True, kw_only=True):
    """How things stand, whole in a history; a pulse holds only the parts that changed, None for the others."""

    process: Process | None = None
    budgets: tuple[BudgetNow, ...] | None = None
    keys: tuple[KeyNow, ...] | None = None
    upstreams: tuple[UpstreamNow, ...] | None = None
    kills: tuple[KillNow, ...] | None = None
    notices: tuple[Notice, ...] | None = None
    cache: CacheNow | None = None


class Bucket(Struct, frozen=True, kw_only=True):
    """A stretch of a history in which there were requests; callers beyond some hundreds stand together under `REST`."""

    at: Nanoseconds
    lines: tuple[Line, ...]


class History(Struct, frozen=True, kw_only=True, tag="history"):
    """What was before the first pulse: a window in stretches of ``step``, and the sums of today and of the month.

    ``seq`` is the last row of the ledger that is in it; pulses go on behind it.
    """

    at: Nanoseconds
    seq: int
    window: str
    since: Nanoseconds
    step: Nanoseconds
    buckets: tuple[Bucket, ...]
    today: tuple[Line, ...]
    month: tuple[Line, ...]
    last_month: NanoUSD
    hour: tuple[tuple[Nanoseconds, NanoUSD], ...]
    """What the requests cost that began in each minute since the quarter of an hour in which the last hour began."""
    spreads: tuple[Spread, ...]
    """Of the last hour."""
    seen: tuple[Seen, ...]
    """The newest requests, oldest first."""
    standing: Standing


class Pulse(Struct, frozen=True, kw_only=True, tag="pulse"):
    """What was written since the pulse before, ``span_us`` long, and what is under way.

    ``seen`` holds the newest rows only: ``unseen`` more came with them. ``gate_us`` is a median and a 95th percentile
    of what the gateway itself added, None without a call.
    """

    at: Nanoseconds
    seq: int
    span_us: int
    lines: tuple[Line, ...] = ()
    spreads: tuple[Spread, ...] = ()
    seen: tuple[Seen, ...] = ()
    unseen: int = 0
    under_way: tuple[Under, ...] = ()
    in_flight: int = 0
    gate_us: tuple[int, int] | None = None
    standing: Standing = Standing()


class Seconds(Struct, frozen=True, kw_only=True):
    """Pulses of seconds that are past, those in which requests ended, and the moment up to which these are all.

    ``seq`` is the last row that is in them: further ones go on behind it.
    """

    pulses: tuple[Pulse, ...]
    seq: int
    until: Nanoseconds


Beat = History | Pulse
"""One message of a feed."""
