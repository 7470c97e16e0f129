"""Gate 12, where every call ends: usage to nano-dollars to a committed row, whatever happened on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from llmgw.domain.ledger import AttemptState, Outcome, RequestRow
from llmgw.domain.route import DOWNGRADED, ESCALATED, Decision, Tier
from llmgw.domain.usage import Usage
from llmgw.rules.estimating import estimate_tokens
from llmgw.rules.pricing import cost, price_line

if TYPE_CHECKING:
    from asyncio import Future

    from llmgw.domain.money import NanoUSD
    from llmgw.domain.price import Price
    from llmgw.gates.exchange import Exchange
    from llmgw.gates.state import Attempt, Call, Gateway
    from llmgw.providers.base import Reading

UNSAID_OUTPUT = 4096
"""Output tokens assumed in a hold when the caller names no limit."""

LONGEST_ID = 200
"""Characters that are kept of the name that a target gave its answer."""

NOTHING = Usage()

RANKS = {tier: rank for rank, tier in enumerate(Tier)}

WRITING_SPEED = 200
"""Tokens a second that no hosted model exceeds by much: bounds what an answer that was never seen can have cost."""


def settle(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    usage: Usage,
    *,
    state: AttemptState = AttemptState.SETTLED,
    status: int = 200,
    error: str = "",
    reading: Reading | None = None,
    final: bool = True,
    held: bool = True,
) -> Future[None]:
    """Price an attempt and put it into the ledger, with its request's own row when it is the final one.

    The row is on its way when this returns and committed when the future resolves; who needs no certainty
    (a caller that hung up) need not wait. A second settle of one attempt changes nothing. ``held`` tells whether
    the ledger may know of the attempt.
    """
    price = attempt.price
    spent = None if price is None else cost(price, usage)
    premium = _premium_cost(gateway, call, usage, price, spent)
    call.cost = None if spent is None or call.cost is None else call.cost + spent
    call.premium_cost = premium
    call.tokens += usage.total_tokens
    attempt.settled = True
    gateway.purse.settle(call, attempt.held, spent, usage.total_tokens)
    now = gateway.clock.tick()
    if attempt.sent:
        call.upstream += now - attempt.sent_at
    if spent:
        gateway.killswitch.recent.add_spending(now, spent)
    if final:
        gateway.killswitch.recent.add_request(now, failed=status >= 500 and call.stopped is None)
    outcome = Outcome(
        request_id=call.id,
        attempt=attempt.number,
        state=state,
        ended_at=call.started_at + now - call.started,
        status=status,
        error=error,
        usage=usage,
        cost=spent,
        premium_cost=premium,
        price="" if price is None else price_line(price),
        ttft_us=None if attempt.first_byte is None else (attempt.first_byte - attempt.started) // 1000,
        latency_us=(now - attempt.started) // 1000,
        finish_reason="" if reading is None else reading.finish_reason,
        upstream_id="" if reading is None else _plain(reading.upstream_id),
    )
    target = attempt.destination.target
    call.tried = {
        "provider": target.provider,
        "model": target.model,
        "tier": target.tier,
        "usage": usage,
        "ttft_us": None if attempt.first_byte is None else (attempt.first_byte - call.started) // 1000,
        "finish_reason": outcome.finish_reason,
    }
    row = _request_row(gateway, call, now, status, error) if final else None
    return gateway.ledger.settle(outcome, row, held=held)


def _plain(word: str) -> str:
    """A name that a target gave its answer, as people may see it: short, and nothing that a terminal would obey."""
    word = word[:LONGEST_ID]
    return word if word.isprintable() else "".join(filter(str.isprintable, word))


def settle_broken(
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
) -> Future[None]:
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


def record(gateway: Gateway, call: Call, status: int, error: str) -> Future[None]:
    """Put a request into the ledger that ends without settling an attempt: refused at a gate, or after its last try."""
    now = gateway.clock.tick()
    if call.attempts:
        gateway.killswitch.recent.add_request(now, failed=status >= 500 and call.stopped is None)
    return gateway.ledger.record(_request_row(gateway, call, now, status, error))


def close(gateway: Gateway, call: Call) -> None:
    """Leave no attempt open and nothing reserved of a call that is over, if it has tried a target."""
    if call.attempts:
        if not call.recorded:  # cancelled between two attempts
            record(gateway, call, 499, "cancelled")
        gateway.purse.reservations.written(call.id)


def _request_row(gateway: Gateway, call: Call, now: int, status: int, error: str) -> RequestRow:
    """The row of a request as it ends, in the words of the attempt it tried last."""
    call.recorded = True
    call.status, call.error = status, error
    call.latency_us = (now - call.started) // 1000
    peek = getattr(call, "peek", None)
    if gateway.traces is not None:
        gateway.traces.note(call)
    return RequestRow(
        id=call.id,
        started_at=call.started_at,
        tenant=call.key.tenant,
        user=call.key.user,
        key_id=call.key.id,
        key_name=call.key.name,
        tags=call.tags,
        surface=call.surface,
        stream=peek is not None and peek.stream,
        model_asked="" if peek is None else peek.model,
        cache=call.cache,
        status=status,
        error=error,
        attempts=call.attempts,
        cost=call.cost,
        premium_cost=call.premium_cost,
        latency_us=call.latency_us,
        saved=call.saved,
        decision=_decision(call),
        **call.tried,
    )


def _decision(call: Call) -> Decision | None:
    """Why the request went where it did: what moved it to a lower tier goes before what had been decided."""
    decision, target, lowered = call.decision, call.target, call.lowered
    if lowered is not None and target is not None and RANKS[target.tier] < RANKS[lowered[1]]:
        before = decision or Decision(tier=target.tier, target=target.name)
        words = f"{DOWNGRADED}{lowered[0]}"
        decision = structs.replace(before, reason=f"{words}; {before.reason}" if before.reason else words)
    if decision is None:
        return None
    decision = structs.replace(decision, trimmed=call.trimmed)
    if call.trial is None:
        return decision
    passed_on = call.trial.escalated
    return structs.replace(
        decision,
        reason=f"{ESCALATED} ({passed_on}); {decision.reason}" if passed_on else decision.reason,
        verdicts=tuple(call.trial.verdicts),
    )


def _premium_cost(
    gateway: Gateway, call: Call, usage: Usage, price: Price | None, spent: NanoUSD | None
) -> NanoUSD | None:
    """What the same tokens would have cost at the first premium target; None when there is none or no price."""
    destination = gateway.router.premium
    if destination is None:
        return None
    premium = gateway.price(destination, call.started_at)
    if premium is price:
        return spent
    return None if premium is None else cost(premium, usage)


def measured(call: Call, reading: Reading) -> Usage:
    """The usage of an answer: as reported, or counted from what was seen and marked as estimated.

    An answer that broke off counts at least what was seen of it, even where the upstream had reported less.
    """
    reported = reading.usage
    if reported is not None and reading.whole and reported.input_tokens:
        return reported
    seen_input = max(1, call.peek.prompt_bytes // 4)
    seen_output = estimate_tokens(reading.text)
    if reported is None:
        return Usage(
            input_tokens=seen_input, output_tokens=seen_output, estimated=True, complete=reading.whole
        )
    return structs.replace(
        reported,
        input_tokens=reported.input_tokens or seen_input,
        output_tokens=max(reported.output_tokens, seen_output),
        estimated=True,
        complete=reading.whole,
    )


def unseen(call: Call, attempt: Attempt, now: int) -> Usage:
    """The usage of an answer that was asked for and never seen: what a model may have written in the time it had."""
    seconds = (now - attempt.started) / 1e9
    return Usage(
        input_tokens=max(1, call.peek.prompt_bytes // 4),
        output_tokens=min(attempt.output_bound, int(seconds * WRITING_SPEED)),
        estimated=True,
        complete=False,
    )
