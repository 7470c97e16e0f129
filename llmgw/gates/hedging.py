"""Asking a second target when the first is slow to begin: whoever gives the first byte answers, the other is ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmgw.errors import GatewayError
from llmgw.gates.answering import FAILED_STREAM
from llmgw.gates.course import is_about_request
from llmgw.gates.settle import settle_broken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llmgw.domain.route import Target
    from llmgw.gates.course import Course
    from llmgw.gates.exchange import Exchange
    from llmgw.gates.state import Attempt, Call, Gateway
    from llmgw.providers.base import Answer, Headers

    Visit = Callable[[Gateway, Call, Course, Target, "Race"], Awaitable[None]]

LOST = 499, "hedged"
"""Status and code in the ledger of an attempt that another was faster than."""


class Race:
    """Attempts at one call of which only one may answer."""

    __slots__ = ("_runners", "_tasks", "won")

    def __init__(self) -> None:
        self._runners: list[tuple[Attempt, Exchange]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.won = False

    def run(self, visit: Awaitable[None]) -> asyncio.Task[None]:
        """Let one more take part."""
        task = asyncio.ensure_future(visit)
        self._tasks.append(task)
        return task

    def begin(self, attempt: Attempt, crossing: Exchange) -> None:
        """An attempt is held for, and may be asked."""
        self._runners.append((attempt, crossing))

    async def first(self, gateway: Gateway, call: Call, attempt: Attempt, answer: Answer) -> Answer:
        """The answer again once it has begun. It has won by then; whoever comes second ends here."""
        chunk = await answer.chunk()
        if chunk is not None and not chunk.startswith(FAILED_STREAM):
            self._win(gateway, call, attempt)
        return _Begun(answer, chunk)

    def _win(self, gateway: Gateway, call: Call, attempt: Attempt) -> None:
        if self.won:
            raise asyncio.CancelledError
        self.won = True
        call.target, call.attempt = attempt.destination.target, attempt
        for other, crossing in self._runners:
            if other is not attempt and not other.settled:
                settle_broken(gateway, call, other, crossing, *LOST, sent=other.sent, final=False)
        own = asyncio.current_task()
        for each in self._tasks:
            if each is not own:
                each.cancel()

    async def end(self) -> None:
        """Cancel whoever still runs, and wait until they have written down what they cost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Begun:
    """An answer whose first piece has been taken out and is put back."""

    __slots__ = ("_answer", "_first", "headers", "status")

    def __init__(self, answer: Answer, first: bytes | None) -> None:
        self._answer = answer
        self._first: bytes | None = first
        self.status: int = answer.status
        self.headers: Headers = answer.headers

    async def chunk(self) -> bytes | None:
        first, self._first = self._first, None
        return await self._answer.chunk() if first is None else first

    async def read(self) -> bytes:
        first, self._first = self._first, None
        return (first or b"") + await self._answer.read()

    async def close(self) -> None:
        await self._answer.close()


async def race(gateway: Gateway, call: Call, course: Course, first: Target, visit: Visit) -> None:
    """Visit a target, and the next one too where the first has not begun in time; the last failure if both fail."""
    contest = Race()
    pending = {contest.run(visit(gateway, call, course, first, contest))}
    failure: GatewayError | None = None
    try:
        done, _ = await asyncio.wait(pending, timeout=gateway.resilience.hedge_seconds)
        if not done and not contest.won and (second := course.next(gateway.resilience.breakers)) is not None:
            pending.add(contest.run(visit(gateway, call, course, second, contest)))
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.cancelled():
                    continue
                error = task.exception()
                if error is None:
                    return
                if call.replied or not isinstance(error, GatewayError) or is_about_request(error):
                    raise error
                failure = error
    finally:
        await contest.end()
    raise failure or asyncio.CancelledError()
