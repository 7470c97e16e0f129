"""Gate 4: an agent that sends the same call over and over is paused, and only that call: any other of its key goes on.

A call counts once its answer was begun, so a retry of what failed is no repeat; nor is one that another of its row
is still under way with. The pause stands among the kill switches, where people see it and lift it.
"""

from __future__ import annotations

import asyncio
import logging
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from llmgw.domain.killswitch import AUTOMATIC, Kill, Mode
from llmgw.domain.scope import Scope, ScopeKind
from llmgw.errors import GatewayError, RateLimited
from llmgw.rules.looping import MINUTE, Loops, Trail, trace

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from llmgw.domain.clock import Nanoseconds
    from llmgw.gates.state import Call, Gateway

log = logging.getLogger("llmgw.loops")

CONTINUE = b"x-llmgw-continue"
"""The header of a call whose repetition is meant; it lifts a pause, too."""

REMEMBERED = 1024
"""Keys and models whose last call is kept at hand; past that the memory starts again."""

SECOND = 1_000_000_000

NO_TRAIL = Trail()


class Row:
    """The calls of one key to one model. ``open`` is how many are under way, ``paused`` that the last was one too many."""

    __slots__ = ("open", "paused", "trail")

    def __init__(self) -> None:
        self.trail = NO_TRAIL
        self.open = 0
        self.paused = False

    def restart(self) -> None:
        self.trail, self.paused = NO_TRAIL, False


class Turn:
    """One call in its row."""

    __slots__ = ("_before", "_row")

    def __init__(self, row: Row, before: Trail) -> None:
        self._row = row
        self._before = before
        row.open += 1

    def end(self, *, answered: bool) -> None:
        """The call is over; one that had no answer has not been."""
        self._row.open -= 1
        if not answered:
            self._row.trail = self._before


class LoopBreaker:
    """The last calls of every key and model, and which keys are paused until when."""

    def __init__(self, rules: Loops) -> None:
        self._rules = rules
        self._within = int(rules.within_minutes * MINUTE)
        self._rows: dict[tuple[int, str], Row | None] = {}
        self._pauses: dict[str, Nanoseconds] = {}
        self._shown: set[str] = set()
        self._showing: set[asyncio.Task[None]] = set()

    def look(self, gateway: Gateway, call: Call) -> Turn | None:
        """The call's place in its row, None where none is kept; RateLimited when it is a repeat too many."""
        key, peek, rules = call.key, call.peek, self._rules
        if not peek.tools and rules.watch == "agents":
            return None
        name = key.id, peek.model
        try:
            row = self._rows[name]
        except KeyError:
            exempt = any(fnmatchcase(key.name, pattern) for pattern in rules.exempt)
            if len(self._rows) >= REMEMBERED:
                self._rows.clear()
            row = self._rows[name] = None if exempt else Row()
        if row is None:
            return None
        now = gateway.clock.tick()
        meant = CONTINUE in call.headers and call.headers[CONTINUE].lower() != b"false"
        if meant or row.open or (row.paused and not self._holds(gateway, key.name, now)):
            row.restart()
        if meant and key.name in self._pauses:
            self._begin(self._lift(gateway, key.name))
        before = row.trail
        trail = trace(before, peek.messages, now, now if row.paused else self._within)
        if trail.repeats >= rules.repeats:
            if not row.paused:
                row.paused = True
                self._pause(gateway, call, now)
            raise self._error(call, now)
        row.trail, row.paused = trail, False
        return Turn(row, before)

    def _holds(self, gateway: Gateway, name: str, now: Nanoseconds) -> bool:
        """Whether a key's pause goes on: its time is not over, and nobody has lifted it."""
        if name in self._shown and not _is_pause(gateway, name):
            self._shown.discard(name)
            self._pauses.pop(name, None)
        return now < self._pauses.get(name, 0)

    def _pause(self, gateway: Gateway, call: Call, now: Nanoseconds) -> None:
        key, span = call.key.name, int(self._rules.pause_minutes * MINUTE)
        self._pauses[key] = now + span
        what = f"the same call came {self._rules.repeats + 1} times in a row"
        moment = gateway.clock.now()
        message = (
            f"key {key}: {what} for {call.peek.model}, which looks like an agent in a loop; it is paused"
        )
        gateway.tell("loop", f"loop {key} {moment}", message)
        kill = Kill(
            scope=_scope(key),
            mode=Mode.PAUSE,
            reason=f"{what} for {call.peek.model}",
            by=AUTOMATIC,
            at=moment,
        )
        self._begin(self._show(gateway, key, kill, now + span))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._reported(work))
        self._showing.add(task)
        task.add_done_callback(self._showing.discard)

    async def _reported(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except GatewayError as error:
            log.warning("the pause of a key cannot be shown: %s", error.message)

    async def _show(self, gateway: Gateway, name: str, kill: Kill, until: Nanoseconds) -> None:
        """Put a pause among the kill switches, and take it away when it is over."""
        switch = gateway.killswitch
        await asyncio.to_thread(switch.keep, kill)
        switch.forget()
        switch.look(gateway)
        if _scope(name) not in switch.thrown:  # somebody was quick to lift it
            self._pauses.pop(name, None)
        elif _is_pause(gateway, name):  # else somebody has thrown another
            self._shown.add(name)
        await asyncio.sleep((until - gateway.clock.tick()) / SECOND)
        if self._pauses.get(name) == until:
            await self._lift(gateway, name)

    async def _lift(self, gateway: Gateway, name: str) -> None:
        self._pauses.pop(name, None)
        self._shown.discard(name)
        if _is_pause(gateway, name):
            off = Kill(scope=_scope(name), mode=Mode.OFF, by=AUTOMATIC)
            await asyncio.to_thread(gateway.killswitch.keep, off)

    def _error(self, call: Call, now: Nanoseconds) -> RateLimited:
        left = max(1, -(-(self._pauses.get(call.key.name, 0) - now) // SECOND))
        scope = _scope(call.key.name)
        return RateLimited(
            f"{scope} has sent the same call {self._rules.repeats + 1} times in a row, which looks like an agent in a "
            f"loop; this call is paused for {left} s, any other goes on",
            code="loop_detected",
            hint=f"`llmgw kill off {scope}` or the header `x-llmgw-continue: true` continues it",
            headers=(("x-should-retry", "false"), ("retry-after", str(left))),
        )


def _scope(name: str) -> str:
    return str(Scope(ScopeKind.KEY, name))


def _is_pause(gateway: Gateway, name: str) -> bool:
    kill = gateway.killswitch.thrown.get(_scope(name))
    return kill is not None and kill.mode is Mode.PAUSE


def break_loop(gateway: Gateway, call: Call) -> None:
    """Set ``call.turn`` where loops are looked for; RateLimited when this call is one."""
    if gateway.loops is not None:
        call.turn = gateway.loops.look(gateway, call)
