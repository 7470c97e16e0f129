"""Equal calls at one time share one upstream call: the first leads, the others follow what it receives as it comes.

What a leader receives is recorded, bounded in bytes; the same record is remembered once the call is over.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from llmgw.domain.chat import Ended, Failed, FinishReason, Started
from llmgw.domain.ledger import CacheVerdict
from llmgw.errors import UpstreamFailed
from llmgw.gates.listening import read_answer
from llmgw.gates.replay import PREFIXES, hit_headers, hit_meta
from llmgw.gates.reply import wants_meta
from llmgw.gates.settle import record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llmgw.domain.chat import ChatAnswer, Event
    from llmgw.gates.exchange import Exchange
    from llmgw.gates.state import Attempt, Call, Destination, Gateway
    from llmgw.providers.base import Answer, Headers

LARGEST = 4 << 20
"""Bytes of an answer that are kept: a larger one is not remembered, and whoever falls further behind is let go."""


class Flight:
    """A call under way and what it has received.

    Followers see bytes once the leader's own caller has them, so that what a failed attempt left is never seen.
    """

    def __init__(self, call: Call, stamp: int = 0) -> None:
        """``stamp`` is the mark of the caches' file when the call began, for one that may be joined or remembered."""
        self.call = call
        self.stamp = stamp
        self.destination: Destination | None = None
        self.crossing: Exchange | None = None
        self.limit: int | None = None
        """The output tokens that the gateway allowed this caller, who named no limit, for its budget's sake."""
        self.watched = False
        """Whether a hard budget of this caller may end the stream."""
        self.stream = call.peek.stream
        self.over = False
        self.followers = 0
        self.abandoned: Callable[[], None] | None = None
        """Ends the leader's call, whose caller has left, once nobody follows it any more."""
        self._chunks: list[bytes] = []
        self._dropped = 0
        self.size = 0
        self._seen = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._answer: ChatAnswer | None = None
        self._attempt: Attempt | None = None

    @property
    def whole(self) -> bool:
        """Whether the record has everything that was received."""
        return not self._dropped

    @property
    def chunks(self) -> list[bytes]:
        return self._chunks

    def listen(self, answer: Answer, attempt: Attempt, crossing: Exchange, *, stream: bool) -> Answer:
        """An attempt's answer, recorded as it is read; an earlier attempt's record is forgotten."""
        self.destination, self.crossing, self.stream = attempt.destination, crossing, stream
        self.limit, self.watched = attempt.most_output, attempt.grow_at is not None
        self._chunks, self._dropped, self.size, self._seen = [], 0, 0, 0
        self._attempt = attempt
        return _Recorded(answer, self, attempt)

    def heard(self, attempt: Attempt) -> bool:
        """Whether it is this attempt that is recorded."""
        return self._attempt is attempt

    @property
    def private(self) -> bool:
        """Whether what comes is this caller's alone.

        Its request lost something on the way, or its own budget has sent it to a target that the route does not name.
        """
        destination, crossing, call = self.destination, self.crossing, self.call
        if destination is None or crossing is None:
            return False
        return bool(crossing.dropped or call.trimmed) or destination.target not in call.route.targets

    def live_for(self, call: Call) -> bool:
        """Whether a follower may have the stream as it comes: nothing ends it that would not end the follower's own."""
        led = self.call
        return self.limit is None and (not self.watched or (led.key.id, led.tags) == (call.key.id, call.tags))

    def shortened(self, answer: ChatAnswer) -> bool:
        """Whether the limit that the gateway set for this caller may have ended the answer."""
        if self.limit is None:
            return False
        usage = answer.usage
        ended = any(choice.finish_reason == FinishReason.LENGTH for choice in answer.choices)
        return ended or usage is None or usage.output_tokens >= self.limit

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.size += len(chunk)
        while self.size > LARGEST:
            self.size -= len(self._chunks.pop(0))
            self._dropped += 1

    def publish(self) -> None:
        """Everything received so far has been passed on: followers may have it too."""
        if self.call.replied:
            self._seen = self._dropped + len(self._chunks)
            self._wake()

    def end(self) -> None:
        """Nothing more comes."""
        if not self.over:
            self.publish()
            self.over = True
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def follow(self) -> AsyncIterator[bytes]:
        """What the leader receives, from the beginning; UpstreamFailed for who falls too far behind."""
        position = 0
        while True:
            if position < self._dropped:
                raise UpstreamFailed("the answer came faster than it was read")
            if position < self._seen:
                yield self._chunks[position - self._dropped]
                position += 1
            elif self.over:
                return
            else:
                await self._moved()

    async def begun(self) -> None:
        """Wait until the first byte may be passed on, or none ever comes."""
        while not (self._seen or self.over):
            await self._moved()

    async def landed(self) -> None:
        """Wait until nothing more comes."""
        while not self.over:
            await self._moved()

    async def _moved(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def join(self) -> None:
        self.followers += 1

    def leave(self) -> None:
        self.followers -= 1
        if not self.followers and self.abandoned is not None:
            self.abandoned()

    def answer(self) -> ChatAnswer | None:
        """The whole answer in neutral words; None when there is none, or part of it was not kept."""
        if (
            self._answer is None
            and self.over
            and self._chunks
            and self.whole
            and self.destination is not None
        ):
            self._answer = read_answer(self.destination, self._chunks, stream=self.stream)
        return self._answer


class _Recorded:
    """An answer that a flight listens to."""

    def __init__(self, answer: Answer, flight: Flight, attempt: Attempt) -> None:
        self._answer = answer
        self._flight = flight
        self._attempt = attempt
        self.status = answer.status
        self.close = answer.close

    @property
    def headers(self) -> Headers:
        return self._answer.headers

    async def read(self) -> bytes:
        body = await self._answer.read()
        if self._flight.heard(self._attempt):
            self._flight.add(body)
        return body

    async def chunk(self) -> bytes | None:
        if self._flight.heard(self._attempt):
            self._flight.publish()  # whoever asks for more has passed on what came before
        chunk = await self._answer.chunk()
        if chunk is not None and self._flight.heard(self._attempt):
            self._flight.add(chunk)
        return chunk


async def stream_along(gateway: Gateway, call: Call, flight: Flight) -> bool:
    """Pass a leader's stream on to a follower as it comes; False when it ended before it had begun."""
    renderer = call.dialect.stream_renderer(call.dialect.parse_request(call.body))
    parser = None
    async for chunk in flight.follow():
        if parser is None and flight.destination is not None:
            call.target = flight.destination.target
            parser = flight.destination.dialect.stream_parser()
        if parser is not None and await _pass(gateway, call, flight, renderer.feed, parser.feed(chunk)):
            return True
    if parser is None:
        return False
    if await _pass(gateway, call, flight, renderer.feed, parser.close()):
        return True
    if not call.replied:
        return False
    raise UpstreamFailed("the upstream's stream ended early")


async def _pass(
    gateway: Gateway, call: Call, flight: Flight, render: Callable[[Event], bytes], events: list[Event]
) -> bool:
    """Pass events on; whether the last one was among them. A failure is an error of this call too."""
    out = []
    ended = False
    for event in events:
        if isinstance(event, Failed):
            if not call.replied:
                return False
            raise UpstreamFailed(event.message)
        if isinstance(event, Started):
            first = PREFIXES.get(call.dialect.name, ("",))[0]
            own = replace(event, id=first + call.shown_id[4:], created=call.started_at // 10**9)
            out.append(render(own))
            continue
        ended = ended or isinstance(event, Ended)
        out.append(render(event))
    body = b"".join(out)
    if ended:
        await _record(gateway, call, flight)
        if wants_meta(call) and call.target is not None:
            body += call.dialect.stream_meta(hit_meta(gateway, call, call.target))
    if body and not call.replied:
        headers = hit_headers(call, call.target) if call.target is not None else []
        headers += [(b"content-type", call.dialect.stream_type.encode()), (b"cache-control", b"no-cache")]
        call.replied = True
        await call.send({"type": "http.response.start", "status": 200, "headers": headers})
    if ended:
        call.finished = True
    if body or ended:
        await call.send({"type": "http.response.body", "body": body, "more_body": not ended})
    return ended


async def _record(gateway: Gateway, call: Call, flight: Flight) -> None:
    """The row of a follower: what its leader's call is known to have been, at no cost."""
    led = flight.call
    call.cache, call.saved, call.premium_cost = CacheVerdict.JOINED, led.cost or 0, led.premium_cost
    call.tried = {name: value for name, value in led.tried.items() if name not in ("usage", "ttft_us")}
    await record(gateway, call, 200, "")
