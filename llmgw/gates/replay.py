"""A remembered answer to the caller: in any dialect, plain or streamed, under an id and a time of its own."""

from __future__ import annotations

import re
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from llmgw.domain.chat import (
    ChatAnswer,
    ChatRequest,
    Delta,
    Ended,
    Event,
    Finished,
    FinishReason,
    Metered,
    RedactedThinking,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.domain.money import decimal_usd
from llmgw.domain.route import Target, Tier
from llmgw.gates.caches import Held, Origin
from llmgw.gates.reply import own_headers, send_whole, wants_meta
from llmgw.gates.settle import record
from llmgw.rules.pricing import cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmgw.domain.cache import Entry, Stored, Wire
    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.ledger import CacheVerdict
    from llmgw.domain.money import NanoUSD
    from llmgw.domain.usage import Usage
    from llmgw.gates.reply import RawHeaders
    from llmgw.gates.state import Call, Gateway

ID = secrets.token_hex(16)
"""Stands in a reply that is ready to send where its id goes: nobody can put it into an answer."""
CREATED = secrets.randbelow(10**17) + 10**17
"""The same for its time."""

PIECE, MOST_PIECES = 24, 500
"""Characters of an event, about: a replayed stream looks like one that is being made, only faster. Long answers have
longer ones, since all are made in one go."""

NEVER = 2**63 - 1
"""The moment at which a pinned answer expires."""

_ID = re.compile(rb'("id"\s*:\s*)"([^"\\]+)"')
_FIRST_ID = re.compile(rb'^data: ?\{\s*"id"\s*:\s*"([^"\\]+)"', re.MULTILINE)
"""The id that a piece of a stream begins with."""

PREFIXES = {"openai_chat": ("chatcmpl-", "call_"), "anthropic": ("msg_01", "toolu_01")}
"""How ids of answers and of tool calls begin, by dialect."""


async def replay(gateway: Gateway, call: Call, held: Held, verdict: CacheVerdict) -> None:
    """Answer a call from memory at no cost; its row is durable before its last byte leaves."""
    origin, stream = held.origin, call.peek.stream
    call.cache = verdict
    call.saved = held.cost
    call.premium_cost = held.premium_cost
    call.tried = origin.tried
    body = held.reply % fresh(call)
    await record(gateway, call, 200, "")
    headers = [
        *own_headers(call),
        *origin.headers,
        (b"age", b"%d" % (max(0, call.started_at - held.created_at) // 1_000_000_000)),
    ]
    call.replied = call.finished = True
    if wants_meta(call):
        meta = hit_meta(gateway, call, origin.target)
        body = body + call.dialect.stream_meta(meta) if stream else call.dialect.attach_meta(body, meta)
    if stream:
        headers.append((b"cache-control", b"no-cache"))
    await send_whole(
        call.send, 200, headers, body, call.dialect.stream_type.encode() if stream else b"application/json"
    )


def ready(gateway: Gateway, call: Call, stored: Stored, lifetime: Nanoseconds) -> Held:
    """An answer as a reply in the caller's dialect and form; ``lifetime`` is how long such an answer may live."""
    entry, answer, wire, peek = stored.entry, stored.answer, stored.wire, call.peek
    form = (call.dialect.name, peek.stream, peek.stream and peek.include_usage)
    if wire is not None and form == (wire.dialect, wire.stream, wire.include_usage):
        reply = same_reply(wire, answer)
    else:
        reply = make_reply(call, answer)
    return Held(
        entry=entry.id,
        origin=_origin(entry.provider, entry.model, entry.tier, answer.choices[0].finish_reason or ""),
        reply=reply,
        created_at=entry.created_at,
        until=NEVER if entry.pinned else min(entry.expires_at, entry.created_at + lifetime),
        cost=entry.cost or 0,
        premium_cost=_premium_cost(gateway, call, entry),
    )


@lru_cache(1024)
def _origin(provider: str, model: str, tier: str, finish_reason: str) -> Origin:
    target = Target(provider, model, Tier(tier))
    tried = {"provider": provider, "model": model, "tier": tier, "finish_reason": finish_reason}
    return Origin(target, tried, _served_by(target))


def fresh(call: Call) -> dict[bytes, bytes]:
    """What fills a reply in: the call's own id, and its time in Unix seconds."""
    return {b"i": call.shown_id[4:].encode(), b"t": b"%d" % (call.started_at // 1_000_000_000)}


def make_reply(call: Call, answer: ChatAnswer) -> bytes:
    """The reply in the caller's dialect and form, with places for an id and a time."""
    named = _renamed(answer, call.dialect.name)
    if call.peek.stream:
        request = ChatRequest(
            model=answer.model, messages=(), stream=True, include_usage=call.peek.include_usage
        )
        renderer = call.dialect.stream_renderer(request)
        reply = b"".join(map(renderer.feed, events_of(named)))
    else:
        reply = call.dialect.render_answer(named, None)
    places = reply.replace(b"%", b"%%").replace(ID.encode(), b"%(i)b")
    return places.replace(b"%d" % CREATED, b"%(t)b")


def same_reply(wire: Wire, answer: ChatAnswer) -> bytes:
    """The bytes of the first reply with places for an id and a time in their members, wherever they stand.

    Inside a text quotation marks are escaped, so no text is taken for a member. Some servers tell with each piece of a
    stream when they made it, or give the pieces more than one id.
    """
    reply = wire.body.replace(b"%", b"%%")
    idents = set(_FIRST_ID.findall(reply))
    if answer.id:
        idents.add(msgspec.json.encode(answer.id)[1:-1].replace(b"%", b"%%"))
    own = b'"' + PREFIXES.get(wire.dialect, ("", ""))[0].encode() + b'%(i)b"'
    reply = _ID.sub(lambda found: found[1] + own if found[2] in idents else found[0], reply)
    if answer.created:
        reply = re.sub(rb'("created"\s*:\s*)[1-9]\d*(?![\d.])', rb"\1%(t)b", reply)
    return reply


def _renamed(answer: ChatAnswer, dialect: str) -> ChatAnswer:
    """The answer with places for its ids; calls of tools get new ones too, which only their answer has to repeat."""
    first, call_first = PREFIXES.get(dialect, ("", "call_"))
    choices = []
    for choice in answer.choices:
        parts = tuple(
            replace(part, id=f"{call_first}{ID}{index}") if isinstance(part, ToolCall) else part
            for index, part in enumerate(choice.parts)
        )
        choices.append(replace(choice, parts=parts))
    return replace(answer, id=first + ID, created=CREATED, choices=tuple(choices))


def events_of(answer: ChatAnswer) -> Iterator[Event]:
    """The answer as the events of a stream, its text in pieces of a few words."""
    yield Started(answer.id, answer.model, _begun(answer.usage), answer.created, answer.extra)
    for choice in answer.choices:
        slot = 0
        for part in choice.parts:
            match part:
                case Text(text):
                    yield from (Delta("text", piece, choice.index) for piece in pieces(text))
                case Thinking(text, signature):
                    yield from (Delta("thinking", piece, choice.index) for piece in pieces(text))
                    if signature:
                        yield Delta("signature", signature, choice.index)
                case RedactedThinking(data):
                    yield Delta("redacted_thinking", data, choice.index)
                case ToolCall():
                    yield ToolCallStarted(slot, part.id, part.name, choice.index)
                    yield from (ToolCallDelta(slot, piece, choice.index) for piece in pieces(part.arguments))
                    slot += 1
        if answer.usage is not None:
            yield Metered(answer.usage)
        yield Finished(choice.finish_reason or FinishReason.STOP, choice.stop_sequence, choice.index)
    yield Ended()


def _begun(usage: Usage | None) -> Usage | None:
    """What is known of the usage when a stream begins: what was read."""
    return None if usage is None else replace(usage, output_tokens=1, reasoning_tokens=0, complete=False)


def pieces(text: str) -> Iterator[str]:
    """The text in pieces that break before a blank where there is one."""
    start, piece = 0, max(PIECE, len(text) // MOST_PIECES)
    while start < len(text):
        end = text.find(" ", start + piece)
        end = min(len(text), start + 4 * piece) if end < 0 or end > start + 4 * piece else end
        yield text[start:end]
        start = end


def _premium_cost(gateway: Gateway, call: Call, entry: Entry) -> NanoUSD | None:
    """What the answer would have cost at the first premium target."""
    premium = gateway.router.premium
    price = None if premium is None else gateway.price(premium, call.started_at)
    return None if price is None else cost(price, entry.usage)


def hit_headers(call: Call, target: Target) -> RawHeaders:
    """The headers of an answer that was not made for this call."""
    return [*own_headers(call), *_served_by(target)]


def _served_by(target: Target) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-llmgw-tier", target.tier.encode()),
        (b"x-llmgw-target", target.name.encode("latin-1", "replace")),
        (b"x-llmgw-cost", b"0"),
    )


def hit_meta(gateway: Gateway, call: Call, target: Target) -> dict[str, Any]:
    """``gateway_meta`` of an answer that was not made for this call."""
    return {
        "request_id": call.shown_id,
        "latency_ms": (gateway.clock.tick() - call.started) // 1_000_000,
        "source": target.provider,
        "cache": call.cache.value,
        "cost_nanousd": 0,
        "cost_usd": "0",
        "saved_usd": decimal_usd(call.saved),
        "budget_left_usd": None if call.budget_left is None else decimal_usd(call.budget_left),
        "routing": {
            "tier": target.tier,
            "target": target.name,
            "reason": call.route.reason,
            "attempts": 0,
        },
        "dropped": [],
    }
