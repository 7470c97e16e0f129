"""Gate 11: ask the targets in order until one answers, and pass its answer on as it comes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from llmgw.domain.ledger import AttemptState
from llmgw.domain.usage import Usage
from llmgw.errors import GatewayError, Internal, UpstreamFailed, UpstreamRefused
from llmgw.gates.credential import outgoing, target_url
from llmgw.gates.exchange import Exchange, exchange
from llmgw.gates.killswitch import permit_target
from llmgw.gates.reply import (
    RawHeaders,
    cost_text,
    meta_of,
    own_headers,
    passed_headers,
    send_whole,
    wants_meta,
)
from llmgw.gates.reserve import OverBudget, downgrade, reserve
from llmgw.gates.settle import measured, settle, unseen
from llmgw.gates.throttle import throttle_target
from llmgw.providers.transport import UNREACHABLE

if TYPE_CHECKING:
    from llmgw.gates.state import Attempt, Call, Destination, Gateway
    from llmgw.providers.base import Answer, Reading

log = logging.getLogger("llmgw.dispatch")

FINAL_STATUSES = frozenset({400, 405, 406, 413, 415, 422})
"""What an upstream says of the request itself: another target would say the same, so the caller hears it at once."""

NOTHING = Usage()


async def dispatch(gateway: Gateway, call: Call) -> None:
    """Answer the caller from the first target that can; the last failure is raised when none does."""
    targets = list(call.route.targets)
    failure: GatewayError | None = None
    for target in targets:  # which a downgrade makes longer
        destination = gateway.router.destination(target)
        tokens, attempts, lease = call.tokens, call.attempts, None
        try:
            permit_target(gateway, call, target)
            lease = throttle_target(gateway, call, target)
            crossing = exchange(call, destination)
            await _try(gateway, call, destination, crossing, final=target is targets[-1])
        except OverBudget as refusal:
            targets += downgrade(gateway, call, refusal.refusal, targets)
            log.info("%s: %s", call.shown_id, refusal.message)
            failure = failure or refusal
        except GatewayError as error:
            if target is targets[-1] or call.replied or _about_request(error):
                raise
            failure = error
            log.warning("%s: %s failed (%s), next target", call.shown_id, target.name, error.code)
        else:
            return
        finally:
            if lease is not None:
                lease.close(call.tokens - tokens, made=call.attempts > attempts)
    if failure is not None:
        raise failure


def _about_request(error: GatewayError) -> bool:
    return isinstance(error, UpstreamRefused) and error.status in FINAL_STATUSES


async def _try(
    gateway: Gateway, call: Call, destination: Destination, crossing: Exchange, *, final: bool
) -> None:
    """One attempt from hold to settled row, however it ends."""
    headers, body = outgoing(call, destination), crossing.request()
    attempt, hold = reserve(gateway, call, destination)
    sent = False
    try:
        await gateway.ledger.hold(hold)
        sent = True
        url, stream = target_url(call, destination), call.peek.stream
        answer = await gateway.send(destination, url, headers, body, stream=stream)
        try:
            if answer.status >= 400:
                raise await _refusal(call, destination, answer)
            if call.stopped is not None:
                raise asyncio.CancelledError  # the transport loses one that meets an answer
            if call.peek.stream:
                await _stream(gateway, call, attempt, answer, crossing)
            else:
                await _plain(gateway, call, attempt, answer, crossing)
        finally:
            await answer.close()
    except asyncio.CancelledError:
        if not attempt.settled:
            stop = call.stopped
            status, code = (499, "cancelled") if stop is None else (stop.status, stop.code)
            settled = _settle_broken(gateway, call, attempt, crossing, status, code, sent=sent, final=True)
            if stop is not None:  # its caller is still there, and hears of it after the ledger
                await settled
        raise
    except GatewayError as error:
        if not attempt.settled:
            free = not sent or error.code == UNREACHABLE or isinstance(error, UpstreamRefused)
            ends = final or call.replied or _about_request(error)
            await _settle_broken(
                gateway, call, attempt, crossing, error.status, error.code, sent=not free, final=ends
            )
        raise
    except Exception:
        if not attempt.settled:  # whatever is wrong with us, the ledger keeps no attempt open for it
            usage = unseen(call, attempt, gateway.clock.tick()) if sent else NOTHING
            await settle(gateway, call, attempt, usage, status=Internal.status, error=Internal.code)
        raise


def _settle_broken(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    crossing: Exchange,
    status: int,
    code: str,
    *,
    sent: bool,
    final: bool,
) -> asyncio.Future[None]:
    """Settle an attempt that did not end well: free if nothing was done for it, else at what it may have cost."""
    if not sent:
        return settle(
            gateway,
            call,
            attempt,
            NOTHING,
            state=AttemptState.RELEASED,
            status=status,
            error=code,
            final=final,
        )
    if attempt.first_byte is None or not call.peek.stream:  # a plain answer is understood whole or not at all
        usage = unseen(call, attempt, gateway.clock.tick())
        return settle(gateway, call, attempt, usage, status=status, error=code, final=final)
    reading = crossing.reading()
    usage = measured(call, reading)
    return settle(gateway, call, attempt, usage, status=status, error=code, reading=reading, final=final)


async def _refusal(call: Call, destination: Destination, answer: Answer) -> UpstreamRefused:
    """An upstream's error reply; its own bytes are kept for a caller of the same dialect."""
    body = await answer.read()
    message, kind = destination.dialect.read_error(answer.status, body)
    headers = answer.headers
    same = call.dialect.name == destination.dialect.name
    return UpstreamRefused(
        f"{destination.upstream.name}: {message}",
        status=answer.status,
        body=body if same else b"",
        content_type=dict(headers).get("content-type", "application/json"),
        kind=kind,
        headers=tuple((name.decode(), value.decode("latin-1")) for name, value in passed_headers(headers)),
    )


def _warn(call: Call, crossing: Exchange) -> None:
    if crossing.warning:
        log.warning("%s: %s", call.shown_id, crossing.warning)


def _headers(call: Call, attempt: Attempt, answer: Answer, crossing: Exchange) -> RawHeaders:
    """The upstream's headers, our own, and what the caller should know of a translation."""
    headers = passed_headers(answer.headers) + own_headers(call, attempt)
    if crossing.dropped:
        headers.append((b"x-llmgw-dropped", ",".join(crossing.dropped).encode("latin-1", "replace")))
    if crossing.warning:
        headers.append((b"x-llmgw-warning", crossing.warning.encode("latin-1", "replace")))
    return headers


def _content_type(call: Call, attempt: Attempt, answer: Answer, usual: str) -> bytes:
    """The upstream's own where its bytes pass as they are."""
    if call.dialect.name == attempt.destination.dialect.name:
        usual = dict(answer.headers).get("content-type", usual)
    return usual.encode("latin-1", "replace")


async def _plain(gateway: Gateway, call: Call, attempt: Attempt, answer: Answer, crossing: Exchange) -> None:
    body = await answer.read()
    attempt.first_byte = gateway.clock.tick()
    reading = crossing.read(body)
    _warn(call, crossing)
    await settle(gateway, call, attempt, measured(call, reading), reading=reading)
    headers = _headers(call, attempt, answer, crossing)
    headers.append((b"x-llmgw-cost", cost_text(call).encode()))
    meta = None
    if call.dialect.name != attempt.destination.dialect.name or wants_meta(call):
        meta = meta_of(call, attempt, gateway.clock.tick(), crossing.dropped)
    call.replied = call.finished = True
    content_type = _content_type(call, attempt, answer, "application/json")
    await send_whole(call.send, answer.status, headers, crossing.render(body, meta), content_type)


async def _stream(gateway: Gateway, call: Call, attempt: Attempt, answer: Answer, crossing: Exchange) -> None:
    """Pass a stream on chunk by chunk; the row is committed before the chunk that completes it leaves."""
    crossing.begin()
    send = call.send
    rest = b""
    while (chunk := await answer.chunk()) is not None:
        if gateway.killswitch.look(gateway):
            await asyncio.sleep(0)  # where this very call ends, if the switch has hit it
        if call.stopped is not None or call.finished:
            raise asyncio.CancelledError  # the transport loses one that meets a chunk
        data = crossing.feed(chunk)
        if attempt.first_byte is None:
            attempt.first_byte = gateway.clock.tick()
        if crossing.ending and not attempt.settled:
            await _settle_stream(gateway, call, attempt, crossing)
        if not data.endswith(b"\n\n"):  # an error can follow a whole event only
            data = rest + data
            end = _whole(data)
            data, rest = data[:end], data[end:]
        elif rest:
            data, rest = rest + data, b""
        if data:
            if not call.replied:
                await _begin_stream(call, attempt, answer, crossing)
            await send({"type": "http.response.body", "body": data, "more_body": True})
    await _end_stream(gateway, call, attempt, answer, crossing, rest)


def _whole(data: bytes) -> int:
    """Where the last whole event of a stream's bytes ends."""
    return max(data.rfind(end) + len(end) if end in data else 0 for end in (b"\n\n", b"\r\n\r\n"))


async def _end_stream(
    gateway: Gateway, call: Call, attempt: Attempt, answer: Answer, crossing: Exchange, rest: bytes
) -> None:
    """The upstream is done: settle a stream without a terminal marker, say what is left to say, close."""
    name = attempt.destination.upstream.name
    tail = crossing.finish()
    if not (call.replied or tail or attempt.settled):
        raise UpstreamFailed(f"{name} ended its stream before it began")
    if not attempt.settled:
        reading = await _settle_stream(gateway, call, attempt, crossing)
        if not (reading.whole or tail):
            raise UpstreamFailed(f"{name} cut its stream off")
    if not call.replied:
        await _begin_stream(call, attempt, answer, crossing)
    tail = rest + tail
    if wants_meta(call):
        tail += call.dialect.stream_meta(meta_of(call, attempt, gateway.clock.tick(), crossing.dropped))
    call.finished = True
    await call.send({"type": "http.response.body", "body": tail, "more_body": False})


async def _settle_stream(gateway: Gateway, call: Call, attempt: Attempt, crossing: Exchange) -> Reading:
    reading = crossing.reading()
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
    headers = _headers(call, attempt, answer, crossing)
    headers.append((b"content-type", _content_type(call, attempt, answer, call.dialect.stream_type)))
    headers.append((b"cache-control", b"no-cache"))
    call.replied = True
    await call.send({"type": "http.response.start", "status": answer.status, "headers": headers})
