"""The whole way of a call in one function: a refusal is cheaper than a call, and everything ends in the ledger."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, ClassVar

from llmgw.errors import GatewayError, Internal
from llmgw.gates.authenticate import authenticate
from llmgw.gates.clarify import clarify
from llmgw.gates.dispatch import dispatch
from llmgw.gates.killswitch import admit, permit
from llmgw.gates.loops import break_loop
from llmgw.gates.outcomes import listen
from llmgw.gates.read import ClientGone, read
from llmgw.gates.recall import finish, must_be_cached, recall
from llmgw.gates.recognise import recognise
from llmgw.gates.reply import own_headers, send_error
from llmgw.gates.route import route
from llmgw.gates.settle import close, record
from llmgw.gates.throttle import throttle

if TYPE_CHECKING:
    from llmgw.gates.state import Call, Gateway

log = logging.getLogger("llmgw.pipeline")

LISTEN_AFTER = 0.01
"""Seconds, or up to twice as many, until a call begins to listen for its caller hanging up."""


async def run(gateway: Gateway, call: Call) -> None:
    """Take one call through every gate. Nothing is raised to the server: each end is an answer or a caller who left."""
    watch = None
    try:
        authenticate(gateway, call)
        admit(gateway, call)
        await read(gateway, call)
        break_loop(gateway, call)
        watch = _Watch(call, gateway.killswitch.running.get(call))
        await throttle(gateway, call)
        await route(gateway, call)
        await permit(gateway, call)
        if await recall(gateway, call) or await recognise(gateway, call):
            return
        must_be_cached(call)
        if gateway.shadows is not None:
            gateway.shadows.sample(call)
        if not await clarify(gateway, call):
            await dispatch(gateway, call)
    except ClientGone:
        log.debug("%s: the caller hung up before its request was whole", call.shown_id)
    except asyncio.CancelledError:
        if not await _ended(gateway, call, watch):
            raise
    except GatewayError as error:
        await _refuse(gateway, call, error)
    except Exception:
        log.exception("%s: internal error", call.shown_id)
        await _refuse(
            gateway, call, Internal("something went wrong inside the gateway", hint="see `llmgw logs`")
        )
    finally:
        _let_go(gateway, call, watch)


def _let_go(gateway: Gateway, call: Call, watch: _Watch | None) -> None:
    """Give back whatever the gates took for a call, however it ended."""
    gateway.killswitch.running.pop(call, None)
    if gateway.meter.watchers:
        elsewhere = call.upstream + (call.queued[1] if call.queued else 0)
        gateway.meter.spans.append((gateway.clock.tick() - call.started - elsewhere) // 1000)
    if call.lease is not None:
        gateway.limits.close(call.lease, call.tokens, made=call.replied or call.attempts > 0)
    if call.turn is not None:
        call.turn.end(answered=call.replied)
    if watch is not None:
        watch.end()
    if call.keepalive is not None:
        call.keepalive.cancel()
    if call.trial is not None:
        call.trial.end(gateway, call)
    close(gateway, call)
    if call.attempts:
        listen(gateway, call)
    finish(gateway, call)
    if gateway.shadows is not None:
        gateway.shadows.take(gateway, call)
    if call.crossing is not None:
        call.crossing.part()


class _Watch:
    """Cancels a call whose caller hangs up while the answer is under way.

    It begins to listen a moment later, because most answers from a cache or a local model are out by then and
    listening costs more than anything else in this file.
    """

    __slots__ = ("_call", "_listener", "_over", "_running", "gone")

    _waiting: ClassVar[dict[asyncio.AbstractEventLoop, tuple[list[_Watch], list[_Watch]]]] = {}
    """By event loop: those that begin to listen next, and those after them, so that not each needs a timer."""

    def __init__(self, call: Call, running: asyncio.Task[None] | None) -> None:
        """``running`` is the task to cancel."""
        self._call = call
        self._listener: asyncio.Task[None] | None = None
        self._running = running
        self._over = False
        self.gone = False
        loop = asyncio.get_running_loop()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = [], []
            loop.call_later(LISTEN_AFTER, self._begin, loop)
        waiting[1].append(self)

    @classmethod
    def _begin(cls, loop: asyncio.AbstractEventLoop) -> None:
        due, next_ = cls._waiting.pop(loop)
        if next_:
            cls._waiting[loop] = next_, []
            loop.call_later(LISTEN_AFTER, cls._begin, loop)
        for watch in due:
            watch.listen(loop)

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to, unless the call is over."""
        if not self._over:
            self._listener = loop.create_task(self._hear())

    async def _hear(self) -> None:
        while (await self._call.receive())["type"] != "http.disconnect":
            pass
        if self._running is not None and not self._call.finished:
            flight = self._call.flight
            if flight is not None and flight.followers:
                flight.abandoned = self._leave  # others listen: the call goes on for them
            else:
                self._leave()

    def _leave(self) -> None:
        if self._running is not None and not self._call.finished:
            self.gone = self._call.finished = True
            self._running.cancel()

    def end(self) -> None:
        self._over = True
        if self._listener is not None:
            self._listener.cancel()


async def _ended(gateway: Gateway, call: Call, watch: _Watch | None) -> bool:
    """Whether it was the caller who ended a call by hanging up, or the kill switch, which the caller then hears of."""
    if watch is not None:
        watch.end()
        if watch.gone:
            log.debug("%s: the caller hung up", call.shown_id)
            return True
    if call.stopped is None:
        return False
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    if not call.finished:
        await _refuse(gateway, call, call.stopped)
    return True


async def _refuse(gateway: Gateway, call: Call, error: GatewayError) -> None:
    """Answer with an error in the caller's dialect; a refusal of a known key is recorded like any request."""
    call.finished = True
    if not call.recorded and hasattr(call, "key"):
        try:
            await record(gateway, call, error.status, error.code)
        except GatewayError as failure:
            log.error("%s: refusal not recorded: %s", call.shown_id, failure.message)  # noqa: TRY400 (no traceback)
    if call.keepalive is not None:
        await call.keepalive.end()
    if call.replied or call.opened:
        event = call.dialect.render_stream_error(error, call.shown_id)
        await call.send({"type": "http.response.body", "body": event, "more_body": False})
    else:
        await send_error(call.send, call.dialect, error, call.shown_id, own_headers(call))
