"""Passing an upstream's answer on as it comes, whole or as a stream, with its row written before the last byte leaves."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from llmgw.errors import UpstreamFailed
from llmgw.gates.keepalive import stream_headers, told_late
from llmgw.gates.reply import (
    RawHeaders,
    cost_text,
    header_text,
    meta_of,
    own_headers,
    passed_headers,
    send_whole,
    wants_meta,
)
from llmgw.gates.reserve import Growth
from llmgw.gates.settle import measured, settle
from llmgw.providers.sse import LIMIT, parse

if TYPE_CHECKING:
    from llmgw.gates.exchange import Exchange
    from llmgw.gates.state import Attempt, Call, Gateway
    from llmgw.providers.base import Answer, Reading

log = logging.getLogger("llmgw.dispatch")

EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")

NO_STREAM = (b"{", b"[", b"<")
"""How a plain reply or a page begins, and no event of a stream."""

FAILED_STREAM = (b"event: error", b'data: {"error"', b'data: {"type":"error"')
"""How a stream begins that holds nothing but an error."""

JSON_LINES = frozenset({"ollama"})
"""Dialects whose streams are lines of JSON."""


def _warn(call: Call, crossing: Exchange) -> None:
    if crossing.warning:
        log.warning("%s: %s", call.shown_id, crossing.warning)


def _headers(call: Call, attempt: Attempt, answer: Answer, crossing: Exchange) -> RawHeaders:
    """The upstream's headers, our own, and what the caller should know of a translation."""
    headers = passed_headers(answer.headers) + own_headers(call, attempt)
    if crossing.dropped:
        headers.append((b"x-llmgw-dropped", header_text(",".join(crossing.dropped))))
    if crossing.warning:
        headers.append((b"x-llmgw-warning", header_text(crossing.warning)))
    return headers


def _content_type(call: Call, attempt: Attempt, answer: Answer, usual: str) -> bytes:
    """The upstream's own where its bytes pass as they are."""
    if call.dialect.name == attempt.destination.dialect.name:
        usual = dict(answer.headers).get("content-type", usual)
    return usual.encode("latin-1", "replace")


async def pass_plain(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    answer: Answer,
    crossing: Exchange,
    body: bytes,
    *,
    final: bool,
) -> None:
    """Pass a whole reply on. What is none goes to a caller of the same dialect only if nobody else can answer."""
    attempt.first_byte = gateway.clock.tick()
    reading = crossing.read(body)
    if not final and (reading.error or not reading.whole):
        raise none_of(attempt, reading.error)
    _warn(call, crossing)
    code = UpstreamFailed.code if reading.error or not reading.whole else ""
    if not attempt.settled:
        await settle(gateway, call, attempt, measured(call, reading), error=code, reading=reading)
    headers = _headers(call, attempt, answer, crossing)
    headers.append((b"x-llmgw-cost", cost_text(call).encode()))
    meta = None
    if call.dialect.name != attempt.destination.dialect.name or wants_meta(call):
        meta = meta_of(call, attempt, gateway.clock.tick(), crossing.dropped)
    call.replied = call.finished = True
    content_type = _content_type(call, attempt, answer, "application/json")
    await send_whole(call.send, answer.status, headers, crossing.render(body, meta), content_type)


def none_of(attempt: Attempt, words: str) -> UpstreamFailed:
    """The failure of an upstream that said something else than an answer."""
    name = attempt.destination.upstream.name
    return UpstreamFailed(f"{name}: {words}" if words else f"{name} sent something that is no answer")


async def pass_stream(  # noqa: C901 (one loop that reads from top to bottom, a call more is paid for each chunk)
    gateway: Gateway, call: Call, attempt: Attempt, answer: Answer, crossing: Exchange, *, final: bool
) -> None:
    """Pass a stream on event by event; the row is committed before the event that completes it leaves."""
    crossing.begin()
    call.crossing = crossing
    send = call.send
    held = bytearray()
    growth = None if attempt.grow_at is None else Growth(gateway, call, attempt, crossing)
    chunk = await answer.chunk()
    if chunk is not None:
        if is_none(attempt, chunk, final=final):
            await instead(gateway, call, attempt, answer, crossing, chunk, final=final)
            return
        attempt.first_byte = gateway.clock.tick()
    try:
        while chunk is not None:
            if gateway.killswitch.look(gateway) or call.stopped is not None or call.finished:
                await end_if_stopped(call)
            data = crossing.feed(chunk)
            if crossing.ending and not attempt.settled:
                await _settle_stream(gateway, call, attempt, crossing, final=final)
            if held or not data.endswith(EVENT_ENDS):
                data = _whole_events(held, data)
            if data:
                if not call.replied:
                    await _begin_stream(call, attempt, answer, crossing)
                await send({"type": "http.response.body", "body": data, "more_body": True})
            if growth is not None and not attempt.settled:
                growth.add(len(chunk))
            chunk = await answer.chunk()
    except UpstreamFailed:
        if not attempt.settled:  # a connection may break once all is said
            raise
    await _end_stream(gateway, call, attempt, answer, crossing, bytes(held), final=final)


async def end_if_stopped(call: Call) -> None:
    """End a call here that the kill switch has hit."""
    await asyncio.sleep(0)  # where this very call ends, if the kill switch has hit it
    if call.stopped is not None or call.finished:
        raise asyncio.CancelledError  # the transport loses one that meets a chunk


def _whole_events(held: bytearray, data: bytes) -> bytes:
    """What may leave of these bytes; an event that is not whole is held, for if it breaks off an error must follow."""
    start = max(0, len(held) - 3)
    held += data
    ends = (at + len(mark) for mark in EVENT_ENDS if (at := held.rfind(mark, start)) >= 0)
    end = max(ends, default=0)
    whole = bytes(held[:end])
    del held[:end]
    return whole


def _is_event(data: bytes) -> bool:
    try:
        return (event := parse(data)) is not None and bool(msgspec.json.decode(event.data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def is_none(attempt: Attempt, start: bytes, *, final: bool) -> bool:
    """Whether this is no stream: a plain reply or a page, or an error which another target may not have."""
    plain = start.startswith(NO_STREAM) and attempt.destination.dialect.name not in JSON_LINES
    return plain or (not final and start.startswith(FAILED_STREAM))


async def instead(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    answer: Answer,
    crossing: Exchange,
    start: bytes,
    *,
    final: bool,
) -> None:
    """What came where a stream was asked for passes as it is if nothing better can be had; it is billed in any case."""
    parts, size = [start], len(start)
    while size < LIMIT and (chunk := await answer.chunk()) is not None:
        parts.append(chunk)
        size += len(chunk)
    body = b"".join(parts)
    destination = attempt.destination
    if final and call.dialect.name == destination.dialect.name and not call.opened:
        await pass_plain(gateway, call, attempt, answer, crossing, body, final=True)
        return
    if start.startswith(NO_STREAM):
        reading = crossing.read(body)
        if reading.usage is not None:
            usage, code = measured(call, reading), UpstreamFailed.code
            await settle(gateway, call, attempt, usage, status=502, error=code, reading=reading, final=final)
            raise none_of(attempt, "a stream was asked for and a plain reply came")
    elif (event := parse(body.partition(b"\n\n")[0])) is not None:
        body = event.data
    raise none_of(attempt, destination.dialect.read_error(UpstreamFailed.status, body)[0])


async def _end_stream(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    answer: Answer,
    crossing: Exchange,
    held: bytes,
    *,
    final: bool,
) -> None:
    """The upstream is done: settle a stream without a terminal marker, say what is left to say, close."""
    name = attempt.destination.upstream.name
    tail = held + crossing.finish()
    if not (call.replied or attempt.settled or crossing.reading().whole):
        raise UpstreamFailed(f"{name} ended its stream before it began")
    if not attempt.settled:
        reading = await _settle_stream(gateway, call, attempt, crossing, final=final)
        if not (reading.whole or crossing.ending):
            if _is_event(tail):  # without the blank line that should follow it
                await call.send({"type": "http.response.body", "body": tail + b"\n\n", "more_body": True})
            raise UpstreamFailed(f"{name} cut its stream off")
    if not call.replied:
        await _begin_stream(call, attempt, answer, crossing)
    if wants_meta(call):
        if held and not tail.endswith(EVENT_ENDS):
            tail += b"\n\n"
        tail += call.dialect.stream_meta(meta_of(call, attempt, gateway.clock.tick(), crossing.dropped))
    call.finished = True
    await call.send({"type": "http.response.body", "body": tail, "more_body": False})


async def _settle_stream(
    gateway: Gateway, call: Call, attempt: Attempt, crossing: Exchange, *, final: bool
) -> Reading:
    """Put a stream into the ledger; one that broke before a byte has left may still be answered by another target."""
    reading = crossing.reading()
    if reading.error and not call.replied and not final:
        raise none_of(attempt, reading.error)
    _warn(call, crossing)
    broken = "" if reading.whole and not reading.error else UpstreamFailed.code
    await settle(
        gateway,
        call,
        attempt,
        measured(call, reading),
        status=502 if broken else 200,
        error=broken,
        reading=reading,
    )
    return reading


async def _begin_stream(call: Call, attempt: Attempt, answer: Answer, crossing: Exchange) -> None:
    if call.keepalive is not None:
        await call.keepalive.end()
    headers = _headers(call, attempt, answer, crossing)
    call.replied = True
    if call.opened:
        await call.send({"type": "http.response.body", "body": told_late(headers), "more_body": True})
        return
    headers += stream_headers(_content_type(call, attempt, answer, call.dialect.stream_type))
    await call.send({"type": "http.response.start", "status": answer.status, "headers": headers})
