"""Holding an answer back until it has been looked at, and passing it on as if it came just then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain.chat import Delta, ToolCallStarted
from llmgw.domain.route import ESCALATED
from llmgw.errors import UpstreamFailed
from llmgw.gates.answering import end_if_stopped, instead, is_none, none_of, pass_plain, pass_stream
from llmgw.gates.joining import LARGEST
from llmgw.gates.listening import assemble
from llmgw.gates.reserve import Growth
from llmgw.gates.settle import measured, settle
from llmgw.rules.estimating import estimate_tokens

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatAnswer, Event
    from llmgw.gates.exchange import Exchange
    from llmgw.gates.state import Attempt, Call, Gateway
    from llmgw.providers.base import Answer, Headers, Reading
    from llmgw.rules.verifying.options import Cascading


class Kept(NamedTuple):
    """A whole answer that nobody has seen, its attempt not settled yet; ``answer`` is the same in neutral words."""

    attempt: Attempt
    crossing: Exchange
    reading: Reading
    status: int
    headers: Headers
    chunks: list[bytes]
    answer: ChatAnswer


class Begun(NamedTuple):
    """A stream of which the beginning is held: the answer with that put back, its text, the tools it calls."""

    answer: Replayed
    text: str
    tools: list[str]


class Replayed:
    """An answer whose first pieces have been taken out and are put back; with no ``rest`` they are all there is."""

    __slots__ = ("_chunks", "_rest", "headers", "status")

    def __init__(
        self, chunks: list[bytes], status: int, headers: Headers, rest: Answer | None = None
    ) -> None:
        self._chunks = list(reversed(chunks))
        self._rest = rest
        self.status = status
        self.headers = headers

    async def chunk(self) -> bytes | None:
        if self._chunks:
            return self._chunks.pop()
        return None if self._rest is None else await self._rest.chunk()

    async def read(self) -> bytes:
        first = b"".join(reversed(self._chunks))
        self._chunks.clear()
        return first if self._rest is None else first + await self._rest.read()

    async def close(self) -> None:
        if self._rest is not None:
            await self._rest.close()


async def hold_plain(gateway: Gateway, attempt: Attempt, answer: Answer, crossing: Exchange) -> Kept:
    """A whole plain answer; UpstreamFailed where it is none."""
    body = await answer.read()
    attempt.first_byte = gateway.clock.tick()
    reading = crossing.read(body)
    if reading.error or not reading.whole:
        raise none_of(attempt, reading.error)
    neutral = attempt.destination.dialect.parse_answer(body)
    return Kept(attempt, crossing, reading, answer.status, answer.headers, [body], neutral)


async def hold_stream(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    answer: Answer,
    crossing: Exchange,
    options: Cascading,
) -> Kept | Begun:
    """A whole stream; or its beginning, where that is enough or more would take too long."""
    crossing.begin()
    parser = attempt.destination.dialect.stream_parser()
    growth = None if attempt.grow_at is None else Growth(gateway, call, attempt, crossing)
    clock = asyncio.get_running_loop().time
    end = clock() + options.hold / 1e9
    chunks: list[bytes] = []
    events: list[Event] = []
    said: list[str] = []
    tools: list[str] = []
    size = 0
    while (chunk := await answer.chunk()) is not None:
        if not chunks:
            if is_none(attempt, chunk, final=False):
                await instead(gateway, call, attempt, answer, crossing, chunk, final=False)
            attempt.first_byte = gateway.clock.tick()
        if gateway.killswitch.look(gateway) or call.stopped is not None or call.finished:
            await end_if_stopped(call)
        crossing.feed(chunk)
        chunks.append(chunk)
        size += len(chunk)
        if growth is not None:
            growth.add(len(chunk))
        fresh = parser.feed(chunk)
        events += fresh
        said += [event.text for event in fresh if isinstance(event, Delta) and event.kind == "text"]
        tools += [event.name for event in fresh if isinstance(event, ToolCallStarted)]
        if crossing.ending:
            continue
        enough = options.first and (tools or estimate_tokens("".join(said)) >= options.first)
        if enough or size > LARGEST or ((said or tools) and clock() > end):
            begun = Replayed(chunks, answer.status, answer.headers, answer)
            return Begun(begun, "".join(said), tools)
    crossing.finish()
    reading = crossing.reading()
    neutral = assemble([*events, *parser.close()])
    if reading.error or not reading.whole or neutral is None:
        name = attempt.destination.upstream.name
        raise (
            none_of(attempt, reading.error) if reading.error else UpstreamFailed(f"{name} cut its stream off")
        )
    return Kept(attempt, crossing, reading, answer.status, answer.headers, chunks, neutral)


def settle_unseen(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    reading: Reading,
    *,
    status: int = 200,
    error: str = ESCALATED,
) -> None:
    """Settle an attempt whose answer nobody has, at what it was or, where it was ended, at what was seen of it."""
    usage = measured(call, reading)
    settle(gateway, call, attempt, usage, status=status, error=error, reading=reading, final=False)


async def pass_kept(gateway: Gateway, call: Call, kept: Kept) -> None:
    """Pass a held answer on, as it would have been passed when it came."""
    attempt, crossing = kept.attempt, kept.crossing
    call.target = attempt.destination.target
    answer: Answer = Replayed(kept.chunks, kept.status, kept.headers)
    stream = call.peek.stream
    if call.flight is not None:
        answer = call.flight.listen(answer, attempt, crossing, stream=stream)
    if stream:
        await pass_stream(gateway, call, attempt, answer, crossing, final=True)
    else:
        await pass_plain(gateway, call, attempt, answer, crossing, await answer.read(), final=True)
