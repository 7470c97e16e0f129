"""Gate 11: ask the targets in order until one answers, and pass its answer on as it comes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from llmgw.errors import GatewayError, Internal, Unavailable, UpstreamFailed, UpstreamRefused
from llmgw.gates.answering import pass_plain, pass_stream
from llmgw.gates.course import Course, NotHeld
from llmgw.gates.credential import outgoing, target_url
from llmgw.gates.exchange import Exchange, exchange
from llmgw.gates.hedging import race
from llmgw.gates.killswitch import permit_target
from llmgw.gates.reply import passed_headers
from llmgw.gates.reserve import OverBudget, downgrade, reserve
from llmgw.gates.settle import NOTHING, settle, settle_broken, unseen
from llmgw.gates.throttle import throttle_target
from llmgw.providers.transport import UNREACHABLE

if TYPE_CHECKING:
    from llmgw.domain.ledger import Hold
    from llmgw.domain.route import Target
    from llmgw.gates.hedging import Race
    from llmgw.gates.state import Attempt, Call, Destination, Gateway
    from llmgw.providers.base import Answer, Headers

log = logging.getLogger("llmgw.dispatch")

NO_ANSWER = frozenset({101, 204, 205})
"""Good statuses without a body."""


async def dispatch(gateway: Gateway, call: Call) -> None:
    """Answer the caller from the first target that can; the last failure is raised when none does."""
    if call.trial is not None:
        call.trial.begin(call)
    try:
        await _go(gateway, call)
    except GatewayError as error:
        if call.trial is None or not await call.trial.fall_back(gateway, call, error):
            raise


async def _go(gateway: Gateway, call: Call) -> None:
    resilience = gateway.resilience
    resilience.budget.earn()
    course = Course(resilience.order(gateway, call), resilience.retrying.attempts)
    while True:
        while (target := course.next(resilience.breakers)) is not None:
            try:
                await _turn(gateway, call, course, target)
            except OverBudget as refusal:
                call.lowered = call.lowered or (f"budget {refusal.refusal.budget.scope}", target.tier)
                course.targets += downgrade(gateway, call, refusal.refusal, course.targets)
                log.info("%s: %s", call.shown_id, refusal.message)
                course.refuse(refusal)
            except GatewayError as error:
                if course.ends(gateway, call, target, error):
                    raise
                log.warning("%s: %s failed (%s), next target", call.shown_id, target.name, error.code)
            else:
                if call.trial is None or call.finished:
                    return
        if not await course.again(gateway):
            break
    if course.verdict is not None:
        raise course.verdict


async def _turn(gateway: Gateway, call: Call, course: Course, target: Target) -> None:
    """One target, or two at once where the first is slow. An answer on trial is not raced: it has its own way up."""
    if gateway.resilience.hedge_seconds and not course.last and call.trial is None:
        await race(gateway, call, course, target, _visit)
    else:
        await _visit(gateway, call, course, target)


async def _visit(
    gateway: Gateway, call: Call, course: Course, target: Target, rival: Race | None = None
) -> None:
    """One target's turn, from the question whether it may be asked to what is to be learnt of it."""
    error: BaseException | None = None
    tried = gateway.resilience.breakers.enter(target)
    lease, place, attempts, tokens = None, None, call.attempts, call.tokens
    try:
        permit_target(gateway, call, target)
        lease = await throttle_target(gateway, call, target)
        destination = gateway.router.destination(target)
        if destination.upstream.slots:
            place = await gateway.queues.place(call, target, destination.upstream, last=course.last)
        await _try(gateway, call, course, destination, exchange(call, destination), rival)
        if call.trial is not None and not call.finished:
            if place is not None:  # who is asked now may need it
                place.leave()
                place = None
            await call.trial.decide(gateway, call, course)
    except BaseException as failure:
        error = failure
        raise
    finally:
        gateway.resilience.leave(call, target, error, tried=tried)
        if place is not None:
            place.leave()
        if lease is not None:
            gateway.limits.close(lease, call.tokens - tokens, made=call.attempts > attempts)


async def _try(
    gateway: Gateway,
    call: Call,
    course: Course,
    destination: Destination,
    crossing: Exchange,
    rival: Race | None,
) -> None:
    """One attempt from hold to settled row, however it ends."""
    headers, body = outgoing(call, destination), crossing.request()
    attempt, hold = await reserve(gateway, call, destination)
    call.attempt = attempt
    if rival is not None:
        rival.begin(attempt, crossing)
    try:
        if attempt.most_output is not None:
            body = crossing.request(attempt.most_output)
        await _hold(gateway, hold)
        attempt.sent = True
        attempt.sent_at = gateway.clock.tick()
        await _ask(gateway, call, course, attempt, crossing, headers, body, rival)
        gateway.resilience.observe(call, attempt)
    except asyncio.CancelledError:
        if not attempt.settled:
            status, code = stop_of(call)
            ended = settle_broken(
                gateway, call, attempt, crossing, status, code, sent=attempt.sent, final=rival is None
            )
            if call.stopped is not None:  # the caller is still there, and hears of it once it is written down
                await ended
        raise
    except GatewayError as error:
        over = course.ends(gateway, call, destination.target, error)
        if not attempt.settled:
            sent = attempt.sent
            worked = sent and error.code != UNREACHABLE and not isinstance(error, UpstreamRefused)
            ended = settle_broken(
                gateway,
                call,
                attempt,
                crossing,
                error.status,
                error.code,
                sent=worked,
                final=over and rival is None and not course.spare,
                held=sent,
            )
            if sent:  # else the ledger cannot be written, which need not be waited for twice
                await ended
        raise
    except Exception:
        await _settle_fault(gateway, call, attempt, final=rival is None)
        raise


async def _hold(gateway: Gateway, hold: Hold) -> None:
    try:
        await gateway.ledger.hold(hold)
    except Unavailable as error:
        raise NotHeld(error.message, code=error.code, hint=error.hint) from error


async def _settle_fault(gateway: Gateway, call: Call, attempt: Attempt, *, final: bool) -> None:
    """Whatever is wrong with us, the ledger keeps no attempt open for it."""
    if not attempt.settled:
        usage = unseen(call, attempt, gateway.clock.tick()) if attempt.sent else NOTHING
        await settle(gateway, call, attempt, usage, status=Internal.status, error=Internal.code, final=final)


def stop_of(call: Call) -> tuple[int, str]:
    """Status and code of a call that ends before its answer does: its caller has left, or something stops it."""
    return (499, "cancelled") if call.stopped is None else (call.stopped.status, call.stopped.code)


async def _ask(
    gateway: Gateway,
    call: Call,
    course: Course,
    attempt: Attempt,
    crossing: Exchange,
    headers: Headers,
    body: bytes,
    rival: Race | None,
) -> None:
    final = course.final and rival is None
    destination, stream = attempt.destination, call.peek.stream
    trial = call.trial if call.trial is not None and call.trial.holds(course, destination.target) else None
    sending = gateway.send(destination, target_url(call, destination), headers, body, stream=stream)
    answer = await (sending if trial is None else trial.wait(gateway, call, attempt, crossing, sending))
    if answer is None:
        return
    try:
        if answer.status >= 300 or answer.status in NO_ANSWER:
            error = await refusal(call, destination, answer)
            gateway.headroom.refuse(gateway, call, attempt, error)
            raise error
        gateway.headroom.learn(gateway, call, attempt, answer.headers)
        if call.stopped is not None:
            raise asyncio.CancelledError  # the transport loses one that meets an answer
        if rival is not None:
            answer = await rival.first(gateway, call, attempt, answer)
        if trial is not None:
            passed = await trial.take(gateway, call, attempt, answer, crossing)
            if passed is None:
                return
            answer = passed
        if call.flight is not None:
            answer = call.flight.listen(answer, attempt, crossing, stream=stream)
        if call.sample is not None:
            answer = call.sample.listen(answer, attempt, crossing, stream=stream)
        if stream:
            await pass_stream(gateway, call, attempt, answer, crossing, final=final)
        else:
            await pass_plain(gateway, call, attempt, answer, crossing, await answer.read(), final=final)
    finally:
        await answer.close()


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
