"""Standing in line for a slot of an upstream that answers only so many calls at a time, such as a model on one GPU."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmgw.domain.route import Tier
from llmgw.errors import RateLimited
from llmgw.gates.keepalive import KeepAlive
from llmgw.rules.queueing import SECOND, Queue, Ticket, level_of

if TYPE_CHECKING:
    from llmgw.domain.clock import Clock
    from llmgw.domain.route import Target
    from llmgw.gates.state import Call
    from llmgw.providers.base import Upstream


class Place:
    """A slot that a call has; it is given back with ``leave``."""

    __slots__ = ("_lines", "_queue", "_ticket")

    def __init__(self, lines: Queues, queue: Queue, ticket: Ticket) -> None:
        self._lines = lines
        self._queue = queue
        self._ticket = ticket

    def leave(self) -> None:
        self._lines.end(self._queue, self._ticket)


class Queues:
    """One queue for each upstream that has slots."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues: dict[str, Queue] = {}
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._standing: dict[Ticket, tuple[Call, Queue]] = {}

    @property
    def idle(self) -> bool:
        """Whether no slot is taken anywhere."""
        return all(queue.idle for queue in self._queues.values())

    async def place(self, call: Call, target: Target, upstream: Upstream, *, last: bool) -> Place:
        """A slot, once it is this call's turn; RateLimited when that takes longer than ``queue_wait``.

        Unless the target is the ``last`` one that is also said at once where it is to be expected.
        """
        queue = self._queues.get(upstream.name)
        if queue is None:
            queue = self._queues[upstream.name] = Queue(upstream.slots, swaps=upstream.tier is Tier.LOCAL)
        ticket = Ticket(level_of(call.key.plan), call.key.id, target.model, self._clock.tick())
        if not queue.enter(ticket):
            await self._stand(call, queue, ticket, upstream, last=last)
            call.queued = ticket.position, ticket.begun - ticket.came
        return Place(self, queue, ticket)

    async def _stand(
        self, call: Call, queue: Queue, ticket: Ticket, upstream: Upstream, *, last: bool
    ) -> None:
        """Stand in line; a caller that reads a stream is told its place now and then, so that it stays."""

        def words() -> bytes:
            return b": queued %d\n\n" % queue.place_of(ticket)

        before = call.keepalive
        if before is not None:
            before.words = words
        elif call.peek.stream:
            call.keepalive = KeepAlive(call, words)
        self._standing[ticket] = call, queue
        try:
            await self._wait(queue, ticket, upstream, last=last)
        finally:
            del self._standing[ticket]
            if before is not None:
                before.words = None
            elif call.keepalive is not None:
                await call.keepalive.end()
                call.keepalive = None

    async def _wait(self, queue: Queue, ticket: Ticket, upstream: Upstream, *, last: bool) -> None:
        wait = upstream.queue_wait
        if not last and queue.wait_of(ticket) > wait * SECOND:
            queue.leave(ticket)
            raise _full(upstream, queue.wait_of(ticket))
        turn = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({turn}, timeout=wait)
        except asyncio.CancelledError:
            if turn.done():
                self.end(queue, ticket)
            raise
        finally:
            del self._waiting[ticket]
            if not turn.done():
                queue.leave(ticket)
        if not turn.done():
            raise _full(upstream, queue.wait_of(ticket))

    def place_of(self, call: Call) -> int | None:
        """Where a call stands in line, 1 for who is next; None where it does not."""
        for ticket, (standing, queue) in self._standing.items():
            if standing is call and not self._waiting[ticket].done():
                return queue.place_of(ticket)
        return None

    def waiting(self, upstream: str) -> int:
        """How many stand in line for an upstream."""
        return len(self._queues.get(upstream, ()))

    def lengths(self) -> dict[str, tuple[int, int]]:
        """How many calls each upstream with slots answers, and how many stand in line for it."""
        return {name: (queue.running, len(queue)) for name, queue in self._queues.items()}

    def end(self, queue: Queue, ticket: Ticket) -> None:
        """Give a slot back, and call whoever is next."""
        following = queue.end(ticket, self._clock.tick())
        if following is not None:
            self._waiting[following].set_result(None)


def _full(upstream: Upstream, wait: int) -> RateLimited:
    seconds = max(1, -(-wait // SECOND))
    return RateLimited(
        f"{upstream.name} answers {upstream.slots} calls at a time, and there are too many in line",
        hint=f"raise `slots` or `queue_wait` in [providers.{upstream.name}]",
        code="queue_full",
        headers=(("retry-after", str(seconds)),),
    )
