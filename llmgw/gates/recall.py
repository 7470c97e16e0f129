"""Gate 7: may this be answered without a call? By its idempotency key, by an equal request, by one that is under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmgw.domain.cache import Stored
from llmgw.domain.ledger import CacheVerdict
from llmgw.errors import NotFound
from llmgw.gates import idempotency
from llmgw.gates.joining import Flight, stream_along
from llmgw.gates.remember import entry_of, land, stored_of
from llmgw.gates.replay import ready, replay
from llmgw.gates.settle import record
from llmgw.rules.caching import read_control

if TYPE_CHECKING:
    from llmgw.domain.clock import Nanoseconds
    from llmgw.gates.caches import Caches, Held, Known
    from llmgw.gates.state import Call, Gateway


async def recall(gateway: Gateway, call: Call) -> bool:
    """Whether the call was answered here. One that was not may lead others from now on, and be remembered."""
    caches, headers = gateway.caches, call.headers
    if b"x-llmgw-cache" in headers or b"cache-control" in headers:
        call.control = read_control(headers)
    if caches is None:
        return False
    if (
        caches.idempotency_ttl
        and (b"idempotency-key" in headers or call.peek.idempotency_key)
        and (key := idempotency.key_of(call))
        and await idempotency.repeat(gateway, call, caches, key)
    ):
        return True
    if not (caches.remembers and call.key.cache):
        return False
    known = await caches.known(gateway, call)
    control = call.control
    if known.passes_by or not (control.read or control.write):
        return False
    call.known = known
    call.cache = CacheVerdict.MISS
    if control.read:
        found = _find(gateway, caches, call, known) if caches.exact else None
        if found is not None:
            caches.keeper.hit(found.entry, found.cost)
            caches.repeats(call)
            await replay(gateway, call, found, CacheVerdict.EXACT)
            return True
        if caches.join and not control.only and await _join(gateway, call, caches, known):
            return True
    if not control.only:
        _lead(caches, call, known)
    return False


def _lead(caches: Caches, call: Call, known: Known) -> None:
    """Others may follow this call from now on, unless they follow one as good already."""
    flight = call.flight = Flight(call, caches.stamp)
    before = caches.flights.setdefault(known.asked.fingerprint, flight)
    if before.stamp != flight.stamp:
        caches.flights[known.asked.fingerprint] = flight


def must_be_cached(call: Call) -> None:
    """NotFound where a caller wants nothing but a remembered answer, and there is none."""
    if call.control.only:
        raise NotFound(
            "no remembered answer fits this request",
            code="cache_miss",
            status=504,
            hint="send it without `x-llmgw-cache: only` and `only-if-cached`",
            headers=(("x-should-retry", "false"),),
        )


def _find(gateway: Gateway, caches: Caches, call: Call, known: Known) -> Held | None:
    """The remembered answer, no older than the caller allows; or one that is being written down."""
    name = known.asked.fingerprint
    flight = caches.landed.get(name)
    if flight is not None and flight.stamp == caches.stamp:
        stored = stored_of(flight, known, caches.rules)
        return None if stored is None else ready(gateway, call, stored, caches.rules.lifetime(known.kind))
    found = find(gateway, caches, call, name, known.form)
    return found if found is not None and is_young(call, found.created_at) else None


def find(gateway: Gateway, caches: Caches, call: Call, name: bytes, form: bytes) -> Held | None:
    """The remembered answer of that fingerprint as a reply in that form, at hand or from the file."""
    now = call.started_at
    found = caches.at_hand(name, form, now)
    if found is None and (stored := caches.stored(name, now)) is not None:
        found = ready(gateway, call, stored, caches.rules.lifetime(stored.entry.kind))
        if found.until <= now:  # it lives no longer than the options allow now
            return None
        caches.memory.put(name + form, found)
    return found


def is_young(call: Call, created_at: Nanoseconds) -> bool:
    """Whether an answer is no older than the caller allows."""
    max_age = call.control.max_age
    return max_age is None or created_at >= call.started_at - max_age


async def _join(gateway: Gateway, call: Call, caches: Caches, known: Known) -> bool:
    """Follow an equal call under way; False when there is none, or it failed before this one had a byte of it.

    Of its followers one then leads and the others follow that one, but only once more: a failing upstream must not
    be asked by one after the other.
    """
    for _ in range(2):
        flight = caches.flights.get(known.asked.fingerprint)
        if flight is None or not flight.whole or flight.stamp != caches.stamp:
            return False
        flight.join()
        try:
            if await _follow(gateway, call, caches, flight, known):
                return True
        except asyncio.CancelledError:
            if call.stopped is None and not call.recorded:
                call.cache = CacheVerdict.JOINED
                record(gateway, call, 499, "cancelled")
            raise
        finally:
            flight.leave()
    return False


async def _follow(gateway: Gateway, call: Call, caches: Caches, flight: Flight, known: Known) -> bool:
    call.cache = CacheVerdict.JOINED
    await flight.begun()
    if flight.private:
        pass
    elif call.peek.stream and flight.stream and flight.live_for(call):
        if await stream_along(gateway, call, flight):
            return True
    else:
        await flight.landed()
        answer = flight.answer() if flight.call.status == 200 and not flight.call.error else None
        if answer is not None and answer.choices and not flight.shortened(answer):
            stored = Stored(entry_of(flight, known, caches.rules), answer)
            held = ready(gateway, call, stored, caches.rules.lifetime(known.kind))
            await replay(gateway, call, held, CacheVerdict.JOINED)
            return True
    call.cache = CacheVerdict.MISS
    return False


def finish(gateway: Gateway, call: Call) -> None:
    """A call is over, however it ended: its followers and twins go on, and its answer is remembered."""
    caches = gateway.caches
    if caches is None or (call.flight is None and call.twin is None):
        return
    loop = asyncio.get_running_loop()
    land(caches, call, loop)
    idempotency.end(caches, call, loop)
