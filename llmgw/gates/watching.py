"""What is under way, as people see it: the calls, how long the gateway itself takes of them, the upstreams."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from llmgw.config.masking import mask_url
from llmgw.domain.breaker import State
from llmgw.domain.pulse import KillNow, Room, Under, UpstreamNow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmgw.gates.state import Call, Gateway

SHOWN = 100
"""Calls under way that are told one by one, the oldest."""
READ = 20
"""Streams whose text is counted each second: of more it would cost more than it tells."""
CHARACTERS = 4
"""Of a token, about."""


def under_way(gateway: Gateway) -> tuple[Under, ...]:
    """The calls under way, the oldest first."""
    running = gateway.killswitch.running
    return tuple(
        _under(gateway, call, read=at < READ) for at, call in zip(range(SHOWN), running, strict=False)
    )


def _under(gateway: Gateway, call: Call, *, read: bool) -> Under:
    target, attempt, peek = call.target, call.attempt, getattr(call, "peek", None)
    text = text_of(gateway, call) if read else ""
    return Under(
        id=call.shown_id,
        started_at=call.started_at,
        tenant=call.key.tenant,
        key=call.key.name,
        model_asked=peek.model if peek else "",
        provider=target.provider if target else "",
        model=target.model if target else "",
        tier=target.tier if target else "",
        stream=bool(peek and peek.stream),
        output_tokens=len(text) // CHARACTERS,
        held=None if attempt is None or attempt.price is None else attempt.held.cost,
        place=gateway.queues.place_of(call),
    )


def running(gateway: Gateway, number: int) -> Call | None:
    """The call under way with that id."""
    return next((call for call in gateway.killswitch.running if call.id == number), None)


def text_of(gateway: Gateway, call: Call) -> str:
    """What was written so far of the answer to a call; of a stream only, and of whom it follows where it has joined."""
    crossing = call.crossing
    if crossing is None and gateway.caches is not None and call.known is not None and call.flight is None:
        leader = gateway.caches.flights.get(call.known.asked.fingerprint)
        crossing = None if leader is None else leader.call.crossing
    return "" if crossing is None else crossing.text()


def may_show(gateway: Gateway, call: Call) -> bool:
    """Whether the answer to a call may be kept, and so be shown as it is."""
    return gateway.caches is not None and gateway.caches.remembers and call.key.cache


def gate_us(gateway: Gateway) -> tuple[int, int] | None:
    """Median and 95th percentile of what the gateway added to the calls that ended since the last time."""
    spans = sorted(gateway.meter.spans)
    gateway.meter.spans.clear()
    if not spans:
        return None
    return spans[len(spans) // 2], spans[len(spans) * 95 // 100]


def kills(gateway: Gateway) -> tuple[KillNow, ...]:
    """The switches that are thrown."""
    return tuple(
        KillNow(scope=kill.scope, mode=kill.mode, reason=kill.reason, by=kill.by, at=kill.at)
        for kill in gateway.killswitch.thrown.values()
    )


def upstreams(gateway: Gateway, sources: Mapping[str, str]) -> tuple[UpstreamNow, ...]:
    """The providers in use; ``sources`` tells where their credentials came from."""
    calls = Counter(call.target.provider for call in gateway.killswitch.running if call.target is not None)
    failing = gateway.resilience.breakers.shown()
    away = gateway.resilience.breakers.away()
    rooms: dict[str, list[Room]] = {}
    for heard in gateway.headroom.shown(gateway):
        rooms.setdefault(heard.provider, []).extend(
            Room(model=heard.model, kind=each.kind, remaining=each.remaining, limit=each.limit)
            for each in heard.allowances
        )
    generated, found = gateway.prices.generated, []
    for upstream in gateway.router.upstreams.values():
        mine = [each for each in failing if each.provider == upstream.name]
        state = "up"
        if upstream.name in away:
            state = "down"
        elif mine:
            half = all(each.state is State.HALF_OPEN for each in mine)
            state = (State.HALF_OPEN if half else State.OPEN).value
        waiting = gateway.queues.waiting(upstream.name)
        found.append(
            UpstreamNow(
                name=upstream.name,
                dialect=upstream.provider.dialect,
                base_url=mask_url(upstream.base_url),
                tier=upstream.tier,
                state=state,
                open=tuple(f"{each.provider}/{each.model}" for each in mine),
                in_flight=calls[upstream.name] - waiting,
                waiting=waiting,
                slots=upstream.slots or None,
                rooms=tuple(rooms.get(upstream.name, ())),
                price_as_of=generated.isoformat() if generated and upstream.provider.price_id else "",
                credential=sources.get(upstream.name, ""),
            )
        )
    return tuple(found)
