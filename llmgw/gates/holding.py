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


Piece = asyncio.Future[bytes | None]
"""The next bytes of an answer, None at its end, as they are waited for."""


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
    """An answer whose first pieces have been taken out and are put back; with no ``rest`` they are all there is.

    ``coming`` is the piece after them, where it is waited for already.
    """

    __slots__ = ("_chunks", "_coming", "_rest", "headers", "status")

    def __init__(
        self,
        chunks: list[bytes],
        status: int,
        headers: Headers,
        rest: Answer | None = None,
        coming: Piece | None = None,
    ) -> None:
        self._chunks = list(reversed(chunks))
        self._coming = coming
        self._rest = rest
        self.status = status
        self.headers = headers

    async def chunk(self) -> bytes | None:
        if self._chunks:
            return self._chunks.pop()
        if self._coming is not None:
            coming, self._coming = self._coming, None
            return await coming
        return None if self._rest is None else await self._rest.chunk()

    async def read(self) -> bytes:
        parts = []
        while (chunk := await self.chunk()) is not None:
            parts.append(chunk)
        return b"".join(parts)

    async def close(self) -> None:
        await _drop(self._coming)
        if self._rest is not None:
            await self._rest.close()


async def _drop(coming: Piece | None) -> None:
    """Wait for a piece no longer."""
    if coming is not None:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def hold_plain(gateway: Gateway, attempt: Attempt, answer: Answer, crossing: Exchange) -> Kept:
    """A whole plain answer; UpstreamFailed where it is none."""
    body = await answer.read()
    attempt.first_byte = gateway.clock.tick()
    reading = crossing.read(body)
    if reading.error or not reading.whole:
        raise none_of(attempt, reading.error)
    neutral = attempt.destination.dialect.parse_answer(body)
    return Kept(attempt, crossing, reading, answer.status, answer.headers, [body], neutral)


class _Held:
    """What is held of a stream: its pieces, and what they say so far."""

    __slots__ = (
        "_answer",
        "_call",
        "_crossing",
        "_first",
        "_gateway",
        "_growth",
        "attempt",
        "chunks",
        "events",
        "heard",
        "parser",
        "said",
        "size",
        "tools",
    )

    def __init__(
        self,
        gateway: Gateway,
        call: Call,
        attempt: Attempt,
        answer: Answer,
        crossing: Exchange,
        first: int,
    ) -> None:
        """``first`` tokens are enough for a look at the beginning, 0: it is looked at whole."""
        self._answer = answer
        self._call = call
        self._crossing = crossing
        self._first = first
        self._gateway = gateway
        self._growth = None if attempt.grow_at is None else Growth(gateway, call, attempt, crossing)
        self.attempt = attempt
        self.parser = attempt.destination.dialect.stream_parser()
        self.chunks: list[bytes] = []
        self.events: list[Event] = []
        self.said: list[str] = []
        self.tools: list[str] = []
        self.size = 0
        self.heard = False
        """Whether anything has come that a caller would see, be it thought."""

    async def take(self, chunk: bytes) -> None:
        """One more piece; UpstreamFailed where the first one is of no stream."""
        gateway, call, attempt, crossing = self._gateway, self._call, self.attempt, self._crossing
        if not self.chunks:
            if is_none(attempt, chunk, final=False):
                await instead(gateway, call, attempt, self._answer, crossing, chunk, final=False)
            attempt.first_byte = gateway.clock.tick()
        if gateway.killswitch.look(gateway) or call.stopped is not None or call.finished:
            await end_if_stopped(call)
        crossing.feed(chunk)
        self.chunks.append(chunk)
        self.size += len(chunk)
        if self._growth is not None:
            self._growth.add(len(chunk))
        events = self.parser.feed(chunk)
        self.events += events
        self.said += [event.text for event in events if isinstance(event, Delta) and event.kind == "text"]
        self.tools += [event.name for event in events if isinstance(event, ToolCallStarted)]
        self.heard = self.heard or any(isinstance(event, Delta | ToolCallStarted) for event in events)

    @property
    def enough(self) -> bool:
        """Whether this will do for a look at its beginning, or is more than may be held."""
        if self.size > LARGEST:
            return True
        return bool(self._first and (self.tools or estimate_tokens("".join(self.said)) >= self._first))

    def whole(self) -> Kept:
        """The stream, now that no more comes; UpstreamFailed where that is not all of it."""
        crossing, answer = self._crossing, self._answer
        crossing.finish()
        reading = crossing.reading()
        neutral = assemble([*self.events, *self.parser.close()])
        if reading.error:
            raise none_of(self.attempt, reading.error)
        if not reading.whole or neutral is None:
            raise UpstreamFailed(f"{self.attempt.destination.upstream.name} cut its stream off")
        return Kept(self.attempt, crossing, reading, answer.status, answer.headers, self.chunks, neutral)


async def hold_stream(
    gateway: Gateway,
    call: Call,
    attempt: Attempt,
    answer: Answer,
    crossing: Exchange,
    options: Cascading,
) -> Kept | Begun | None:
    """A whole stream; its beginning, where that is enough or more would take too long; None where nothing came in time."""
    crossing.begin()
    held = _Held(gateway, call, attempt, answer, crossing, options.first)
    clock = asyncio.get_running_loop().time
    end = clock() + left_to_hold(gateway, attempt, options)
    coming: Piece | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(answer.chunk())
            await asyncio.wait((coming,), timeout=max(0, end - clock()))
            if coming.done():
                chunk, coming = coming.result(), None
                if chunk is None:
                    break
                await held.take(chunk)
            elif crossing.ending:
                break
            if not crossing.ending and ((enough := held.enough) or clock() >= end):
                if not (held.heard or enough):
                    return None
                begun = Replayed(held.chunks, answer.status, answer.headers, answer, coming)
                coming = None
                return Begun(begun, "".join(held.said), held.tools)
    finally:
        await _drop(coming)
    return held.whole()


def left_to_hold(gateway: Gateway, attempt: Attempt, options: Cascading) -> float:
    """Seconds that a streamed answer may still be held back."""
    return (options.hold - (gateway.clock.tick() - attempt.sent_at)) / 1e9


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
