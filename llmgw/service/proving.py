"""Proves an upstream by calling it: whether it takes the credential, answers, streams, and bills both alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from llmgw.domain.chat import ChatRequest, Delta, Message, Role, Text
from llmgw.domain.money import NanoUSD
from llmgw.domain.route import Target
from llmgw.domain.usage import Usage
from llmgw.errors import GatewayError, UpstreamFailed, UpstreamRefused
from llmgw.gates.route import upstream_headers
from llmgw.providers import echo
from llmgw.providers.registry import target_dialect
from llmgw.rules.pricing import cost

if TYPE_CHECKING:
    from llmgw.config.pricebook import PriceBook
    from llmgw.domain.clock import Clock
    from llmgw.providers.base import Answer, Upstream
    from llmgw.providers.transport import Transport

QUESTION = "Answer with the single word: ok"
MAX_TOKENS = 16
CONNECT_SECONDS, SECONDS = 10.0, 60.0


class Proof(Struct, frozen=True, kw_only=True):
    """What the calls showed. Spans are microseconds; ``error`` is empty when every step passed, ``step`` the last one.

    ``costs_agree`` compares what both replies bill for the same input, and for the output where both are as long;
    None where no price or no usage is known.
    """

    upstream: str
    model: str
    step: str
    error: str = ""
    hint: str | None = None
    latency_us: int | None = None
    ttft_us: int | None = None
    plain: Usage | None = None
    streamed: Usage | None = None
    cost: NanoUSD | None = None
    costs_agree: bool | None = None


async def prove(
    upstream: Upstream, model: str, prices: PriceBook, transport: Transport, clock: Clock
) -> Proof:
    """Two short calls, one plain and one streamed; they cost a few tokens."""
    proof = Proof(upstream=upstream.name, model=model, step="plain")
    try:
        proof = await _plain(proof, upstream, transport, clock)
        proof = await _streamed(replace(proof, step="stream"), upstream, transport, clock)
    except GatewayError as error:
        return replace(proof, error=error.message, hint=error.hint or _hint(error, upstream))
    return _compared(replace(proof, step="usage"), upstream, prices, clock)


async def _plain(proof: Proof, upstream: Upstream, transport: Transport, clock: Clock) -> Proof:
    begun = clock.tick()
    answer = await _ask(upstream, proof.model, transport, stream=False)
    try:
        body = await answer.read()
    finally:
        await answer.close()
    dialect = target_dialect(upstream.provider.dialect)
    dialect.parse_answer(body)
    return replace(proof, latency_us=(clock.tick() - begun) // 1000, plain=dialect.read(body).usage)


async def _streamed(proof: Proof, upstream: Upstream, transport: Transport, clock: Clock) -> Proof:
    begun = clock.tick()
    answer = await _ask(upstream, proof.model, transport, stream=True)
    parser = target_dialect(upstream.provider.dialect).stream_parser()
    first = None
    try:
        while (chunk := await answer.chunk()) is not None:
            events = parser.feed(chunk)
            if first is None and any(isinstance(event, Delta) for event in events):
                first = clock.tick()
        parser.close()
    finally:
        await answer.close()
    reading = parser.reading()
    if reading.error or not reading.whole:
        raise UpstreamFailed(reading.error or "the stream ended without its end marker")
    ttft = None if first is None else (first - begun) // 1000
    return replace(proof, ttft_us=ttft, streamed=reading.usage)


def _compared(proof: Proof, upstream: Upstream, prices: PriceBook, clock: Clock) -> Proof:
    plain, streamed = proof.plain, proof.streamed
    if plain is None:
        return replace(proof, error="a plain reply tells no usage; its cost is estimated")
    if streamed is None:
        return replace(proof, error="a stream tells no usage; its cost is estimated")
    price = prices.find(
        upstream.name,
        upstream.provider.price_id,
        Target(upstream.name, proof.model, upstream.tier),
        clock.now(),
    )
    if price is None:
        return replace(
            proof,
            error="no price is known for this model",
            hint=f"`llmgw config set 'prices.\"{upstream.name}/{proof.model}\".input' DOLLARS`, and output",
        )
    alike = plain.output_tokens == streamed.output_tokens
    one, two = (
        usage if alike else replace(usage, output_tokens=0, reasoning_tokens=0) for usage in (plain, streamed)
    )
    agree = cost(price, one) == cost(price, two)
    total = cost(price, plain) + cost(price, streamed)
    error = "" if agree else "the streamed call is billed differently from the plain one"
    return replace(proof, cost=total, costs_agree=agree, error=error, step="done" if agree else proof.step)


async def _ask(upstream: Upstream, model: str, transport: Transport, *, stream: bool) -> Answer:
    """The reply to one short call; UpstreamRefused with the upstream's words where it says no."""
    dialect = target_dialect(upstream.provider.dialect)
    request = ChatRequest(
        model=model,
        messages=(Message(Role.USER, (Text(QUESTION),)),),
        max_tokens=MAX_TOKENS,
        stream=stream,
        include_usage=stream,
    )
    body = dialect.render_request(request, upstream, model).body
    if upstream.provider.name == echo.PROVIDER.name:
        answer: Answer = await echo.send(body, upstream.options, asyncio.sleep)
    else:
        url = upstream.base_url.rstrip("/") + upstream.provider.chat_path
        answer = await transport.send(
            "POST", url, upstream_headers(upstream), body, connect_timeout=CONNECT_SECONDS, timeout=SECONDS
        )
    if answer.status < 400:
        return answer
    try:
        message, kind = dialect.read_error(answer.status, await answer.read())
    finally:
        await answer.close()
    raise UpstreamRefused(f"{answer.status}: {message}", status=answer.status, kind=kind)


def _hint(error: GatewayError, upstream: Upstream) -> str | None:
    if error.status in {401, 403}:
        return f"it refuses the credential; `llmgw provider add {upstream.name}` replaces it"
    if error.status == 404:
        return "does it have this model? name another with --model"
    return None
