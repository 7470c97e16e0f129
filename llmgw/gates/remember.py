"""After a call is over and its caller has everything: what came back is written down, if it is worth being given again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.cache import PROMPT_LENGTH, Entry, Stored, Wire
from llmgw.domain.chat import ToolCall
from llmgw.domain.usage import Usage
from llmgw.rules.caching import may_keep

if TYPE_CHECKING:
    import asyncio

    from llmgw.gates.caches import Caches, Known
    from llmgw.gates.joining import Flight
    from llmgw.gates.state import Call
    from llmgw.rules.caching import Rules
    from llmgw.storage.answers import AnswerStore


def land(caches: Caches, call: Call, loop: asyncio.AbstractEventLoop) -> None:
    """End a leader's flight and have its answer remembered; until it is, the flight itself answers."""
    flight, known = call.flight, call.known
    call.flight = None  # which holds the call, and would be left to the collector with it
    if flight is None or known is None:
        return
    name = known.asked.fingerprint
    if caches.flights.get(name) is flight:
        del caches.flights[name]
    flight.end()
    if call.control.write and _is_good(flight):
        _write(caches, flight, known, loop)


def _write(caches: Caches, flight: Flight, known: Known, loop: asyncio.AbstractEventLoop) -> None:
    name, rules, sight = known.asked.fingerprint, caches.rules, flight.call.sight

    def write(store: AnswerStore) -> None:
        stored = stored_of(flight, known, rules)
        if stored is not None and store.stamp.read() == flight.stamp:
            (number,) = store.put_all([stored])
            if caches.semantic is not None and sight is not None:
                loop.call_soon_threadsafe(caches.semantic.stored, sight, number, stored.answer)

    def forget() -> None:
        if caches.landed.get(name) is flight:
            del caches.landed[name]

    def written(_: Exception | None) -> None:
        loop.call_soon_threadsafe(forget)

    caches.forget(name)
    caches.landed[name] = flight
    if not caches.keeper.submit(write, flight.size, written):
        forget()


def _is_good(flight: Flight) -> bool:
    """Whether a call ended well and its answer is one for others, too."""
    call, crossing = flight.call, flight.crossing
    if call.trial is not None and call.trial.rejects(call.target):
        return False
    ended_well = call.replied and call.status == 200 and not call.error
    return ended_well and flight.whole and crossing is not None and not (crossing.warning or flight.private)


def entry_of(flight: Flight, known: Known, rules: Rules) -> Entry:
    """The entry of the answer that a call brought."""
    call = flight.call
    tried = call.tried
    return Entry(
        fingerprint=known.asked.fingerprint,
        context=known.asked.context,
        tenant=call.key.tenant,
        key_id=call.key.id,
        key_name=call.key.name,
        tags=",".join(sorted(filter(None, [*call.tags.split(","), known.file and f"file:{known.file}"]))),
        model_asked=call.peek.model,
        provider=tried["provider"],
        model=tried["model"],
        tier=tried["tier"],
        kind=known.kind,
        prompt=known.asked.prompt[:PROMPT_LENGTH],
        created_at=call.started_at,
        expires_at=call.started_at + rules.lifetime(known.kind),
        cost=call.cost,
        latency_us=call.latency_us,
        usage=tried.get("usage", Usage()),
    )


def stored_of(flight: Flight, known: Known, rules: Rules) -> Stored | None:
    """What is to be remembered of a call that is over; None where its answer is not for others."""
    answer = flight.answer() if _is_good(flight) else None
    if answer is None or flight.shortened(answer) or not may_keep(answer, rules):
        return None
    wire = None if any(isinstance(part, ToolCall) for part in answer.choices[0].parts) else _wire(flight)
    return Stored(entry_of(flight, known, rules), answer, wire)


def _wire(flight: Flight) -> Wire | None:
    """The bytes that the first caller got, where they passed through as they came."""
    call, destination = flight.call, flight.destination
    if destination is None or destination.dialect.name != call.dialect.name:
        return None
    chunks, peek = flight.chunks, call.peek
    if flight.stream:
        tap = destination.dialect.tap(peek, destination.upstream)
        chunks = [tap.feed(chunk) for chunk in chunks]
    return Wire(call.dialect.name, flight.stream, flight.stream and peek.include_usage, b"".join(chunks))
