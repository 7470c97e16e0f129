"""Gate 5: requests, tokens and calls at one time, for whoever calls and for whatever is called.

Who calls is known at once; a provider, a model or a tier only when its turn comes, and one that is over its limit is
passed over for the next target. All counts live in this process's memory; those of a day begin with what the ledger
knows of the last 24 hours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llmgw.domain.limit import Limit, Measure
from llmgw.domain.money import NANO
from llmgw.domain.scope import ALL, Scope, ScopeKind
from llmgw.errors import RateLimited
from llmgw.gates.settle import UNSAID_OUTPUT
from llmgw.gates.waiting import WAIT, Lines
from llmgw.rules.buckets import REQUESTS, TOKENS, Bucket, Lease, Meters, Refusal, Slots, admit, tightest
from llmgw.rules.estimating import IMAGE_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from llmgw.domain.clock import Clock, Nanoseconds
    from llmgw.domain.route import Target
    from llmgw.gates.state import Call, Gateway

    Past = Callable[[Collection[Scope]], Mapping[Scope, Sequence[tuple[Nanoseconds, int, int]]]]
    """What scopes took, the oldest first: how many nanoseconds ago, requests, tokens."""

REMEMBERED = 4096
"""Callers and targets whose meters are kept at hand; past that the memory starts again."""

SOON = 1_000_000_000
"""Nanoseconds after which a caller may ask again where nobody knows when a call will end."""

WORDS = {
    Measure.REQUESTS_PER_MINUTE: "requests a minute",
    Measure.REQUESTS_PER_DAY: "requests a day",
    Measure.TOKENS_PER_MINUTE: "tokens a minute",
    Measure.TOKENS_PER_DAY: "tokens a day",
    Measure.CONCURRENCY: "calls at one time",
}

DAILY = frozenset({Measure.REQUESTS_PER_DAY, Measure.TOKENS_PER_DAY})

NOTHING = Meters()


class Throttle:
    """Every limit with its count, read again whenever ``version`` moves; a limit that stays keeps its count.

    ``defaults`` hold where nothing was set for their scope and measure; ``wait`` is how many seconds a call waits for
    tokens that calls under way have only set aside.
    """

    def __init__(
        self,
        load: Callable[[], Iterable[Limit]],
        version: Callable[[], int],
        clock: Clock,
        defaults: tuple[Limit, ...] = (),
        wait: float = WAIT,
        past: Past | None = None,
    ) -> None:
        """``past`` tells, once, what scopes took in the last 24 hours."""
        self._past = past
        self._load = load
        self._version = version
        self._clock = clock
        self._defaults = defaults
        self._wait = wait
        self._lines = Lines()
        self._seen: int | None = None
        self._counts: dict[tuple[Scope, Measure], Bucket | Slots] = {}
        self._by_scope: dict[Scope, list[Bucket | Slots]] = {}
        self._callers: dict[tuple[int, str], Meters] = {}
        self._targets: dict[Target, Meters] = {}

    def forget(self) -> None:
        """Read the limits again on the next request."""
        self._seen = None

    def refresh(self) -> None:
        """Put in force what was set since."""
        version = self._version()
        if version != self._seen:
            self._read()
            self._seen = version

    def of_caller(self, call: Call) -> Meters:
        """What counts a call whoever answers it."""
        self.refresh()
        if not self._by_scope:
            return NOTHING
        key = call.key
        known = self._callers.get((key.id, call.tags))
        if known is None:
            scopes = [
                ALL,
                Scope(ScopeKind.TENANT, key.tenant),
                Scope(ScopeKind.USER, key.user),
                Scope(ScopeKind.KEY, key.name),
                *(Scope(ScopeKind.TAG, tag) for tag in call.tags.split(",")),
            ]
            known = self._meters(scopes)
            if len(self._callers) >= REMEMBERED:
                self._callers.clear()
            self._callers[key.id, call.tags] = known
        return known

    @property
    def patient(self) -> bool:
        """Whether anybody waits at all."""
        return self._wait > 0

    def behind(self, meters: Meters) -> Bucket | None:
        """The bucket that others wait for whose room a newcomer would take."""
        if not self._lines:
            return None
        return next((bucket for bucket in meters.tokens if self._lines.busy(bucket)), None)

    async def take_late(
        self, meters: Meters, prompt: int, most: int, bucket: Bucket, wait: Nanoseconds | None
    ) -> Lease | Refusal:
        """What ``admit`` says once calls under way have given back enough, or when the time is over.

        ``wait`` is when there is room in the bucket at the latest, None where others have to go first.
        """
        now = self._clock.tick()
        end = now + round(self._wait * NANO)
        again = False
        taken: Lease | Refusal | None = None
        while taken is None or (
            isinstance(taken, Refusal) and taken.held is not None and taken.wait and now < end
        ):
            if isinstance(taken, Refusal) and taken.held is not None:
                if again and taken.held is not bucket:
                    self._lines.call(bucket)
                bucket, wait = taken.held, taken.wait
            span = end - now if wait is None else min(wait, end - now)
            again = await self._lines.turn(bucket, span / NANO, again=again)
            now = self._clock.tick()
            taken = admit(meters, prompt, most, now)
        if again:  # whatever came of it, it stands there no longer
            self._lines.call(bucket)
        return taken

    def close(self, lease: Lease, tokens: int, *, made: bool) -> None:
        """End a lease, and call those who wait for what it gives back."""
        buckets = lease.buckets if self._lines else ()
        lease.close(tokens, made=made)
        for bucket in buckets:
            self._lines.call(bucket)

    def of_target(self, target: Target) -> Meters:
        """What counts a call because of where it goes."""
        if not self._by_scope:
            return NOTHING
        known = self._targets.get(target)
        if known is None:
            scopes = [
                Scope(ScopeKind.TIER, target.tier),
                Scope(ScopeKind.PROVIDER, target.provider),
                Scope(ScopeKind.MODEL, target.model),
                Scope(ScopeKind.MODEL, target.name),
            ]
            known = self._meters(scopes)
            if len(self._targets) >= REMEMBERED:
                self._targets.clear()
            self._targets[target] = known
        return known

    def _read(self) -> None:
        now = self._clock.tick()
        limits = {(limit.scope, limit.measure): limit for limit in (*self._defaults, *self._load())}
        counts: dict[tuple[Scope, Measure], Bucket | Slots] = {}
        by_scope: dict[Scope, list[Bucket | Slots]] = {}
        for name, limit in limits.items():
            count = self._counts.get(name) or (
                Slots(limit) if limit.measure is Measure.CONCURRENCY else Bucket(limit, now)
            )
            if isinstance(count, Slots):
                count.limit = limit
            elif count.limit is not limit:
                count.change(limit, now)
            counts[name] = count
            by_scope.setdefault(limit.scope, []).append(count)
        if self._past is not None:
            _recall(counts.values(), self._past, now)
            self._past = None
        self._counts, self._by_scope = counts, by_scope
        self._callers.clear()
        self._targets.clear()

    def _meters(self, scopes: Iterable[Scope]) -> Meters:
        found = [count for scope in scopes for count in self._by_scope.get(scope, ())]
        if not found:
            return NOTHING
        buckets = [count for count in found if isinstance(count, Bucket)]
        return Meters(
            tuple(bucket for bucket in buckets if bucket.limit.measure in REQUESTS),
            tuple(bucket for bucket in buckets if bucket.limit.measure in TOKENS),
            tuple(count for count in found if isinstance(count, Slots)),
        )


def _recall(counts: Iterable[Bucket | Slots], past: Past, now: Nanoseconds) -> None:
    """Let the limits of a day go on with what was taken before this process began."""
    daily = [count for count in counts if isinstance(count, Bucket) and count.limit.measure in DAILY]
    taken = past({bucket.limit.scope for bucket in daily}) if daily else {}
    for bucket in daily:
        tokens = bucket.limit.measure in TOKENS
        found = taken[bucket.limit.scope]
        bucket.recall(((age, used if tokens else calls) for age, calls, used in found), now)


async def throttle(gateway: Gateway, call: Call) -> None:
    """Set ``call.lease`` where a limit is on whoever calls; RateLimited when one has no room."""
    meters = gateway.limits.of_caller(call)
    if meters is not NOTHING:
        call.lease = await _take(gateway, call, meters)


async def throttle_target(gateway: Gateway, call: Call, target: Target) -> Lease | None:
    """The lease of one attempt where a limit is on its target; RateLimited when one has no room."""
    meters = gateway.limits.of_target(target)
    return None if meters is NOTHING else await _take(gateway, call, meters)


async def _take(gateway: Gateway, call: Call, meters: Meters) -> Lease:
    peek = call.peek
    prompt = max(1, peek.prompt_bytes // 4)
    most = prompt + peek.attachments * IMAGE_TOKENS + (peek.max_tokens or UNSAID_OUTPUT) * peek.n
    now = gateway.clock.tick()
    taken, limits = admit(meters, prompt, most, now), gateway.limits
    bucket, wait = limits.behind(meters), None
    if bucket is not None and isinstance(taken, Lease):
        taken.close(0, made=False)
    elif isinstance(taken, Refusal):
        bucket, wait = taken.held, taken.wait
    if bucket is not None and limits.patient:
        taken = await limits.take_late(meters, prompt, most, bucket, wait)
        now = gateway.clock.tick()
    if isinstance(taken, Refusal):
        raise _limited(taken, prompt, rate_headers(call.dialect.name, meters, now, gateway.clock.now()))
    return taken


def _limited(refusal: Refusal, prompt: int, headers: list[tuple[str, str]]) -> RateLimited:
    limit, wait = refusal.limit, refusal.wait
    bound = f"{limit.scope} is limited to {limit.amount:,} {WORDS[limit.measure]}"
    change = f"`llmgw limit set {limit.scope} {{}}/{limit.measure}`"
    if wait is not None:
        words = f"{bound}; there is room again in {_span(wait)}"
    elif limit.measure is Measure.CONCURRENCY:
        words, wait = f"{bound}; there is room again when one of them ends", SOON
    else:
        return RateLimited(
            f"{bound}, and this prompt alone has about {prompt:,}",
            hint=f"shorten it, or raise the limit with {change.format(prompt * 2)}",
            headers=(("x-should-retry", "false"), *headers),
        )
    waits = (
        ("retry-after", str(-(-wait // 1_000_000_000))),
        ("retry-after-ms", str(-(-wait // 1_000_000))),
    )
    return RateLimited(
        words, hint=f"raise it with {change.format(limit.amount * 2)}", headers=(*waits, *headers)
    )


def rate_headers(
    dialect: str, meters: Meters, now: Nanoseconds, moment: Nanoseconds
) -> list[tuple[str, str]]:
    """What is left of the tightest limits, under the names that the caller's SDK knows from its own provider.

    ``now`` is a tick, ``moment`` the same instant in UTC.
    """
    headers = []
    for kind, buckets in (("requests", meters.requests), ("tokens", meters.tokens)):
        bucket = tightest(buckets, now)
        if bucket is None:
            continue
        limit, left, dry = str(bucket.limit.amount), str(bucket.left(now)), bucket.dry(now)
        if dialect == "anthropic":
            reset = datetime.fromtimestamp(-(-(moment + dry) // 1_000_000_000), UTC)
            start = f"anthropic-ratelimit-{kind}-"
            headers += [
                (start + "limit", limit),
                (start + "remaining", left),
                (start + "reset", reset.strftime("%Y-%m-%dT%H:%M:%SZ")),
            ]
        else:
            headers += [
                (f"x-ratelimit-limit-{kind}", limit),
                (f"x-ratelimit-remaining-{kind}", left),
                (f"x-ratelimit-reset-{kind}", _go_span(dry)),
            ]
    return headers


def _span(wait: Nanoseconds) -> str:
    """A wait as people read it, never shorter than it is."""
    seconds = -(-wait // 1_000_000_000)
    if seconds >= 7200:
        return f"{-(-seconds // 3600)} h"
    return f"{-(-seconds // 60)} min" if seconds >= 120 else f"{seconds} s"


def _go_span(span: Nanoseconds) -> str:
    """A span as OpenAI writes it: ``120ms``, ``6m0s``, ``1h0m30s``."""
    if span < 1_000_000_000:
        return f"{-(-span // 1_000_000)}ms"
    minutes, seconds = divmod(-(-span // 1_000_000_000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
