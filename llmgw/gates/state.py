"""What the gates share: the gateway's hot state, one call on its way through, and a target made ready to be called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from llmgw.domain.cache import CacheControl
from llmgw.domain.ledger import CacheVerdict, first_id, show_id
from llmgw.domain.route import Target, Tier
from llmgw.gates.counted import Counted
from llmgw.gates.headroom import Headrooms
from llmgw.gates.metering import Meter
from llmgw.gates.queue import Queues
from llmgw.providers import echo
from llmgw.providers.base import Headers, TargetDialect, Upstream

if TYPE_CHECKING:
    from llmgw.config.pricebook import PriceBook
    from llmgw.domain.clock import Clock
    from llmgw.domain.identity import Key
    from llmgw.domain.money import NanoUSD
    from llmgw.domain.price import Price
    from llmgw.domain.route import Decision, Route
    from llmgw.errors import GatewayError
    from llmgw.gates.authenticate import KeyRing
    from llmgw.gates.caches import Caches, Known
    from llmgw.gates.cascade import Trial
    from llmgw.gates.catalogue import Catalogue
    from llmgw.gates.exchange import Exchange
    from llmgw.gates.fitting import Fit
    from llmgw.gates.idempotency import Twin
    from llmgw.gates.joining import Flight
    from llmgw.gates.judging import Sight
    from llmgw.gates.keepalive import KeepAlive
    from llmgw.gates.killswitch import KillSwitch
    from llmgw.gates.loops import LoopBreaker, Turn
    from llmgw.gates.reserve import Purse
    from llmgw.gates.resilience import Resilience
    from llmgw.gates.route import Router
    from llmgw.gates.shadow import Shadows
    from llmgw.gates.throttle import Throttle
    from llmgw.gates.tiering import Tiering
    from llmgw.gates.tracing import Traces
    from llmgw.providers.base import Answer, CallerDialect, Glance, Peek
    from llmgw.providers.transport import Transport
    from llmgw.rules.buckets import Lease
    from llmgw.rules.reservations import Held
    from llmgw.storage.ledger import Ledger

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

AS_USUAL = CacheControl()

LISTS = frozenset({b"anthropic-beta", b"cache-control", b"openai-beta", b"x-llmgw-cache", b"x-llmgw-tag"})
"""Headers whose several lines are one list (RFC 9110 5.3)."""


class Destination(Struct, frozen=True):
    """A target made ready: where its bytes go, with which headers, in which dialect."""

    target: Target
    upstream: Upstream
    dialect: TargetDialect
    url: str
    headers: Headers


class Gateway:
    """Everything a gate may ask for. Parts are replaced whole on reload, never changed in place."""

    __slots__ = (
        "_last_id",
        "cacheless",
        "caches",
        "catalogue",
        "clock",
        "counted",
        "headroom",
        "keys",
        "killswitch",
        "ledger",
        "limits",
        "loops",
        "max_body",
        "meter",
        "prices",
        "purse",
        "queues",
        "resilience",
        "router",
        "shadows",
        "tell",
        "tiering",
        "traces",
        "transport",
    )

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        clock: Clock,
        keys: KeyRing,
        killswitch: KillSwitch,
        ledger: Ledger,
        limits: Throttle,
        prices: PriceBook,
        purse: Purse,
        resilience: Resilience,
        router: Router,
        transport: Transport,
        max_body: int,
        tell: Callable[[str, str, str], None],
        loops: LoopBreaker | None = None,
        tiering: Tiering | None = None,
        last_id: int = 0,
        caches: Caches | None = None,
        cacheless: str = "",
        counted: Counted | None = None,
        traces: Traces | None = None,
        meter: Meter | None = None,
        shadows: Shadows | None = None,
    ) -> None:
        """``max_body`` is bytes; ``last_id`` the newest request id in the ledger, which new ids rise above.

        ``tell`` makes a notice of a kind, a unique name and a message.
        """
        self.clock = clock
        self.counted = counted or Counted(clock)
        self.traces = traces
        self.keys = keys
        self.headroom = Headrooms()
        self.killswitch = killswitch
        self.ledger = ledger
        self.limits = limits
        self.loops = loops
        self.prices = prices
        self.purse = purse
        self.queues = Queues(clock)
        self.resilience = resilience
        self.router = router
        self.shadows = shadows
        self.tell = tell
        self.tiering = tiering
        self.transport = transport
        self.catalogue = catalogue
        self.max_body = max_body
        self.meter = meter or Meter()
        self.caches = caches
        self.cacheless = cacheless
        """Why there are no caches although some were asked for."""
        self._last_id = last_id
        """Whether calls that are still under way are being cut."""

    def price(self, destination: Destination, at: int) -> Price | None:
        """The price of a destination at a moment; None when it is unknown, an explicit zero on the local tier."""
        upstream = destination.upstream
        return self.prices.find(upstream.name, upstream.provider.price_id, destination.target, at)

    async def send(
        self, destination: Destination, url: str, headers: Headers, body: bytes, *, stream: bool
    ) -> Answer:
        """Ask an upstream: over HTTP, or the built-in one in this process."""
        upstream = destination.upstream
        if upstream.provider.name == "echo":
            return await echo.send(body, upstream.options, asyncio.sleep)
        return await self.transport.send(
            "POST",
            url,
            headers,
            body,
            stream=stream,
            connect_timeout=upstream.connect_timeout,
            timeout=upstream.timeout,
        )

    def next_id(self, now: int) -> int:
        """A request id: unique, rising, and telling the millisecond."""
        self._last_id = max(self._last_id + 1, first_id(now))
        return self._last_id


class Call:
    """One request on its way through the gates; each gate fills in what it decides."""

    __slots__ = (
        "_glance",
        "_shown_id",
        "attempt",
        "attempts",
        "body",
        "budget_left",
        "budget_warning",
        "cache",
        "control",
        "cost",
        "crossing",
        "decision",
        "dialect",
        "error",
        "finished",
        "fit",
        "flight",
        "headers",
        "id",
        "keepalive",
        "key",
        "known",
        "latency_us",
        "lease",
        "lowered",
        "opened",
        "peek",
        "premium_cost",
        "query",
        "queued",
        "receive",
        "recorded",
        "replied",
        "route",
        "sample",
        "saved",
        "send",
        "sight",
        "started",
        "started_at",
        "status",
        "stopped",
        "surface",
        "tags",
        "target",
        "tokens",
        "trial",
        "tried",
        "trimmed",
        "turn",
        "twin",
        "upstream",
        "vague",
    )

    key: Key
    peek: Peek
    route: Route

    def __init__(
        self,
        gateway: Gateway,
        surface: str,
        dialect: CallerDialect,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        self.started = gateway.clock.tick()
        self.started_at = gateway.clock.now()
        self.id = gateway.next_id(self.started_at)
        self._glance: Glance | None = None
        self._shown_id = ""
        self.surface = surface
        self.dialect = dialect
        lines = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(lines)
        if len(self.headers) != len(lines):
            self.headers |= _combined(lines)
        self.query: bytes = scope.get("query_string", b"")
        self.receive = receive
        self.send = send
        self.body = b""
        self.tags = ""
        self.attempts = 0
        self.cost: int | None = 0
        self.premium_cost: int | None = 0
        self.budget_left: int | None = None
        self.budget_warning = ""
        self.tried: dict[str, Any] = {}
        self.recorded = False
        self.tokens = 0
        self.lease: Lease | None = None
        self.turn: Turn | None = None
        self.queued: tuple[int, int] | None = None
        """The place in line that the call had, and the nanoseconds it stood there."""
        self.decision: Decision | None = None
        self.fit: Fit | None = None
        self.trimmed = 0
        self.vague = False
        self.trial: Trial | None = None
        """Whose answers are looked at before they are passed on."""
        self.stopped: GatewayError | None = None
        self.cache = CacheVerdict.BYPASS
        self.control = AS_USUAL
        self.known: Known | None = None
        self.flight: Flight | None = None
        self.twin: Twin | None = None
        self.sight: Sight | None = None
        self.sample: Flight | None = None
        """Records the answer of a call that a local model is to answer as well."""
        self.saved: NanoUSD = 0
        self.status = 0
        self.error = ""
        self.latency_us = 0
        self.target: Target | None = None
        self.lowered: tuple[str, Tier] | None = None
        """What kept the call from the tier that it would have gone to."""
        self.attempt: Attempt | None = None
        self.crossing: Exchange | None = None
        """Where the text of a stream under way can be read."""
        self.upstream = 0
        """Nanoseconds that were spent waiting for upstreams."""
        self.keepalive: KeepAlive | None = None
        self.opened = False
        """Whether the caller has the head of a stream and no byte of an answer: others may still be asked for it."""
        self.replied = False
        self.finished = False

    @property
    def shown_id(self) -> str:
        if not self._shown_id:
            self._shown_id = show_id(self.id)
        return self._shown_id

    @property
    def glance(self) -> Glance:
        """What a router reads of the conversation; read once, as a long one takes milliseconds."""
        if self._glance is None:
            self._glance = self.dialect.glance(self.body, self.peek)
        return self._glance


def _combined(lines: Collection[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers that are lists, each with all of its lines."""
    return {
        name: b", ".join(value for each, value in lines if each == name)
        for name in {name for name, _ in lines} & LISTS
    }


class Attempt:
    """One physical try at one destination: what it may cost, when it began, how it is priced."""

    __slots__ = (
        "destination",
        "first_byte",
        "grow_at",
        "held",
        "input_bound",
        "most_output",
        "number",
        "output_bound",
        "output_held",
        "price",
        "sent",
        "sent_at",
        "settled",
        "started",
    )

    def __init__(
        self, number: int, destination: Destination, price: Price | None, started: int, held: Held
    ) -> None:
        self.number = number
        self.destination = destination
        self.price = price
        self.started = started
        self.first_byte: int | None = None
        self.held = held
        self.input_bound = 0
        self.output_bound = 0
        self.output_held = 0
        """Output tokens that ``held`` has room for, where a hard budget concerns the attempt."""
        self.most_output: int | None = None
        """The limit that the gateway names for each answer, where the caller named none and a budget asks for one."""
        self.grow_at: int | None = None
        """Output tokens of a stream at which more has to be held; None where nothing bounds it."""
        self.sent = False
        """Whether the upstream may have been asked."""
        self.sent_at = started
        self.settled = False
