"""Gate 11: ask the targets in order until one answers, and pass its answer on as it comes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from llmgw.domain.ledger import AttemptState
from llmgw.domain.usage import Usage
from llmgw.errors import BudgetExceeded, GatewayError, Internal, Unavailable, UpstreamFailed, UpstreamRefused
from llmgw.gates.answering import pass_plain, pass_stream
from llmgw.gates.credential import outgoing, target_url
from llmgw.gates.exchange import Exchange, exchange
from llmgw.gates.killswitch import permit_target
from llmgw.gates.reply import passed_headers
from llmgw.gates.reserve import OverBudget, downgrade, reserve
from llmgw.gates.settle import measured, settle, unseen
from llmgw.gates.throttle import throttle_target
from llmgw.providers.transport import UNREACHABLE

if TYPE_CHECKING:
    from llmgw.gates.state import Attempt, Call, Destination, Gateway
    from llmgw.providers.base import Answer, Headers

log = logging.getLogger("llmgw.dispatch")

NO_ANSWER = frozenset({101, 204, 205})
"""Good statuses without a body."""

FINAL_STATUSES = frozenset({400, 405, 406, 413, 415, 422})
"""What an upstream says of the request itself: another target would say the same, so the caller hears it at once."""

NOTHING = Usage()


async def dispatch(gateway: Gateway, call: Call) -> None:
    """Answer the caller from the first target that can; the last failure is raised when none does."""
    targets = gateway.headroom.order(gateway, call, call.route.targets)
    failure: GatewayError | None = None
    for target in targets:  # which a downgrade makes longer
        destination = gateway.router.destination(target)
        tokens, attempts, lease = call.tokens, call.attempts, None
        try:
            permit_target(gateway, call, target)
            lease = await throttle_target(gateway, call, target)
            crossing = exchange(call, destination)
            await _try(gateway, call, destination, crossing, final=target is targets[-1])
        except OverBudget as refusal:
            targets += downgrade(gateway, call, refusal.refusal, targets)
            log.info("%s: %s", call.shown_id, refusal.message)
            failure = failure or refusal
        except GatewayError as error:
            if target is targets[-1] or _ends(call, error):
                raise
            failure = error
            log.warning("%s: %s failed (%s), next target", call.shown_id, target.name, error.code)
        else:
            return
        finally:
            if lease is not None:
                gateway.limits.close(lease, call.tokens - tokens, made=call.attempts > attempts)
    if failure is not None:
        raise failure


def _ends(call: Call, error: GatewayError) -> bool:
    """Whether no other target is asked: the caller has bytes already, or the fault is the request's or our own."""
    about_request = isinstance(error, UpstreamRefused) and error.status in FINAL_STATUSES
    return call.replied or about_request or isinstance(error, (Unavailable, BudgetExceeded))


async def _try(
    gateway: Gateway, call: Call, destination: Destination, crossing: Exchange, *, final: bool
) -> None:
    """One attempt from hold to settled row, however it ends."""
    headers, body = outgoing(call, destination), crossing.request()
    attempt, hold = await reserve(gateway, call, destination)
    sent = False
    try:
        if attempt.most_output is not None:
            body = crossing.request(attempt.most_output)
        await gateway.ledger.hold(hold)
        sent = True
        await _ask(gateway, call, attempt, crossing, headers, body, final=final)
    except asyncio.CancelledError:
        if not attempt.settled:
            stop = call.stopped
            status, code = (499, "cancelled") if stop is None else (stop.status, stop.code)
            ended = _settle_broken(gateway, call, attempt, crossing, status, code, sent=sent, final=True)
            if stop is not None:  # the caller is still there, and hears of it once it is written down
                await ended
        raise
    except GatewayError as error:
        if not attempt.settled:
            worked = sent and error.code != UNREACHABLE and not isinstance(error, UpstreamRefused)
            final = final or _ends(call, error)
            ended = _settle_broken(
                gateway,
                call,
                attempt,
                crossing,
                error.status,
                error.code,
                sent=worked,
                final=final,
                held=sent,
            )
            if sent:  # else the ledger cannot be written, which need not be waited for twice
                await ended
        raise
    except Exception:
        if not attempt.settled:  # whatever is wrong with us, the ledger keeps no attempt open for it
            usage = unseen(call, attempt, gateway.clock.tick()) if sent else NOTHING
            await settle(gateway, call, attempt, usage, status=Internal.status, error=Internal.code)
        raise


async def _ask(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    crossing: Exchange,
    headers: Headers,
    body: bytes,
    *,
    final: bool,
) -> None:
    destination, stream = attempt.destination, call.peek.stream
    answer = await gateway.send(destination, target_url(call, destination), headers, body, stream=stream)
    if call.flight is not None:
        answer = call.flight.listen(answer, destination, crossing, stream=stream)
    try:
        if answer.status >= 300 or answer.status in NO_ANSWER:
            error = await refusal(call, destination, answer)
            gateway.headroom.refuse(gateway, call, attempt, error)
            raise error
        gateway.headroom.learn(gateway, call, attempt, answer.headers)
        if call.stopped is not None:
            raise asyncio.CancelledError  # the transport loses one that meets an answer
        if stream:
            await pass_stream(gateway, call, attempt, answer, crossing, final=final)
        else:
            await pass_plain(gateway, call, attempt, answer, crossing, await answer.read(), final=final)
    finally:
        await answer.close()


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
    held: bool = True,
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
            held=held,
        )
    if attempt.first_byte is None or not call.peek.stream:  # a plain answer is understood whole or not at all
        usage = unseen(call, attempt, gateway.clock.tick())
        return settle(gateway, call, attempt, usage, status=status, error=code, final=final)
    reading = crossing.reading()
    usage = measured(call, reading)
    return settle(gateway, call, attempt, usage, status=status, error=code, reading=reading, final=final)


async def refusal(call: Call, destination: Destination, answer: Answer) -> UpstreamRefused:
    """An upstream's error reply; its own bytes are kept for a caller of the same dialect.

    A credential of ours that it repeats is not.
    """
    name, secret = destination.upstream.name, destination.upstream.credential
    if not 400 <= answer.status < 600:
        return UpstreamRefused(
            f"{name} answered with status {answer.status} and no answer",
            status=UpstreamFailed.status,
            hint=f"is {destination.upstream.base_url} its right address?" if answer.status < 400 else None,
        )
    body = await answer.read()
    if secret:
        body = body.replace(secret.encode(), b"***")
    message, kind = destination.dialect.read_error(answer.status, body)
    headers = answer.headers
    same = call.dialect.name == destination.dialect.name
    return UpstreamRefused(
        f"{name}: {message}",
        status=answer.status,
        body=body if same else b"",
        content_type=dict(headers).get("content-type", "application/json"),
        kind=kind,
        headers=tuple((name.decode(), value.decode("latin-1")) for name, value in passed_headers(headers)),
    )
