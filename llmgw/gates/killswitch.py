"""Gate 2: the switch that stops callers, targets or whatever costs money, for new calls and for those under way.

It is looked at when a call arrives, when its targets are known, before each attempt and with every chunk of a stream:
one comparison of two integers. When it has moved, every call in flight is judged anew, also the silent ones.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from llmgw.domain.killswitch import AUTOMATIC, PAID, REQUEST, Kill, Mode
from llmgw.domain.route import Route, Target, Tier
from llmgw.domain.scope import ScopeKind
from llmgw.errors import GatewayError, Unavailable
from llmgw.rules.tripping import Recent, Trips

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llmgw.gates.state import Call, Gateway

log = logging.getLogger("llmgw.killswitch")

PAUSE = 2.0
"""Seconds that a throttled call waits, as in LLM Gateway v2.0."""

POLL = 0.25
"""Seconds between two looks while no call arrives and no chunk passes."""

STRICTNESS = {mode: rank for rank, mode in enumerate(Mode)}


class KillSwitch:
    """The switches that are thrown, read again whenever ``version`` moves, and the calls that they may hit."""

    def __init__(
        self,
        load: Callable[[], Iterable[Kill]],
        version: Callable[[], int],
        keep: Callable[[Kill], None],
        trips: Trips,
    ) -> None:
        """``keep`` writes a switch down, one that is off by removing it; it may block and belongs into a thread."""
        self._load = load
        self._version = version
        self.keep = keep
        self._trips = trips
        self._seen: int | None = None
        self.thrown: dict[str, Kill] = {}
        self.running: dict[Call, asyncio.Task[Any]] = {}
        self.recent = Recent()

    def forget(self) -> None:
        """Read the switches again on the next look."""
        self._seen = None

    def look(self, gateway: Gateway) -> bool:
        """Whether the switches have moved since the last look; if so, calls in flight that one hits are ended."""
        version = self._version()
        if version == self._seen:
            return False
        try:
            thrown = {kill.scope: kill for kill in self._load()}
        except GatewayError:
            if self._seen is None:
                raise
            log.warning("the kill switch cannot be read; what was thrown before still holds")
            return False
        self._seen = version
        if thrown == self.thrown:
            return False
        if PAID in self.thrown and PAID not in thrown:
            self.recent.clear()  # or what tripped it would trip it again at once
        self.thrown = thrown
        for call, task in self.running.items():
            # one that is recorded has its whole answer and is billed: its caller gets the rest of it
            if not (call.finished or call.stopped or call.recorded) and (kill := self._ends(gateway, call)):
                call.stopped = refusal(kill)
                task.cancel()
        return True

    def _ends(self, gateway: Gateway, call: Call) -> Kill | None:
        """The switch that ends a call under way; the gentler modes let it finish."""
        kill = self.thrown.get(f"{REQUEST}{call.shown_id}") or self.of_caller(call)
        if (kill is None or kill.mode is not Mode.KILL) and call.target is not None:
            kill = self.of_target(gateway, call, call.target)
        return kill if kill is not None and kill.mode is Mode.KILL else None

    def of_caller(self, call: Call) -> Kill | None:
        """The strictest switch on whoever calls."""
        key = call.key
        names = ["all", f"tenant:{key.tenant}", f"user:{key.user}", f"key:{key.name}"]
        if call.tags:
            names += [f"tag:{tag}" for tag in call.tags.split(",")]
        return self._strictest(names)

    def of_target(self, gateway: Gateway, call: Call, target: Target) -> Kill | None:
        """The strictest switch on one target."""
        return self._strictest(_names(target, paid=PAID in self.thrown and costs(gateway, call, target)))

    def _strictest(self, names: Iterable[str]) -> Kill | None:
        found = [kill for name in names if (kill := self.thrown.get(name))]
        return max(found, key=lambda kill: STRICTNESS[kill.mode], default=None)

    async def watch(self, gateway: Gateway) -> None:
        """Look also while nothing happens, and throw the switch where the last requests are reason enough."""
        while True:
            await asyncio.sleep(POLL)
            try:
                self.look(gateway)
                await self._trip(gateway)
            except GatewayError as error:
                log.warning("the kill switch cannot be kept: %s", error.message)

    async def _trip(self, gateway: Gateway) -> None:
        if PAID in self.thrown or "all" in self.thrown:
            return
        reason = self.recent.reason(self._trips, gateway.clock.tick())
        if reason:
            kill = Kill(
                scope=PAID, mode=self._trips.mode, reason=reason, by=AUTOMATIC, at=gateway.clock.now()
            )
            log.error("the kill switch threw itself to %s for %s: %s", kill.mode, kill.scope, reason)
            gateway.tell(
                "kill", f"kill {kill.scope} {kill.at}", f"kill switch: {kill.mode} for {kill.scope}: {reason}"
            )
            await asyncio.to_thread(self.keep, kill)


def _names(target: Target, *, paid: bool) -> Iterator[str]:
    yield f"{ScopeKind.PROVIDER}:{target.provider}"
    yield f"{ScopeKind.MODEL}:{target.model}"
    yield f"{ScopeKind.MODEL}:{target.name}"
    yield f"{ScopeKind.TIER}:{target.tier}"
    if paid:
        yield PAID


def costs(gateway: Gateway, call: Call, target: Target) -> bool:
    """Whether a call to a target may cost money: always where no price is known, never on the local tier."""
    if target.tier is Tier.LOCAL:
        return False
    price = gateway.price(gateway.router.destination(target), call.started_at)
    return price is None or any((price.input, price.output, price.request))


def refusal(kill: Kill) -> Unavailable:
    """The error of a call that a switch stops: what is off, why, who did it, and how to lift it."""
    if kill.scope.startswith(REQUEST):
        why = f": {kill.reason}" if kill.reason else ""
        return Unavailable(
            f"this request was ended by {kill.by}{why}", code="ended", headers=(("x-should-retry", "false"),)
        )
    what = (
        "this gateway"
        if kill.scope == "all"
        else "whatever costs money"
        if kill.scope == PAID
        else kill.scope
    )
    why = f": {kill.reason}" if kill.reason else ""
    who = f" (by {kill.by})" if kill.by else ""
    return Unavailable(
        f"the kill switch is on for {what}{why}{who}",
        hint=f"`llmgw kill off {kill.scope}` lifts it",
        headers=(("x-should-retry", "false"),),
    )


def admit(gateway: Gateway, call: Call) -> None:
    """Let a caller in; Unavailable when a switch stops them. From now on the call counts as running."""
    switch = gateway.killswitch
    switch.look(gateway)
    if switch.thrown and (kill := switch.of_caller(call)) and kill.mode is Mode.KILL:
        raise refusal(kill)
    task = asyncio.current_task()
    if task is not None:
        switch.running[call] = task


async def permit(gateway: Gateway, call: Call) -> None:
    """Leave only the targets that no switch stops; Unavailable when none is left. A throttled call waits here."""
    switch = gateway.killswitch
    if not switch.thrown:
        return
    caller = switch.of_caller(call)
    mode = Mode.OFF if caller is None else caller.mode
    pauses = mode is Mode.THROTTLE
    stopping = caller if mode is Mode.DEGRADE else None
    kept = []
    for target in call.route.targets:
        kill = switch.of_target(gateway, call, target)
        if kill is not None and _stops(kill, target):
            stopping = kill
        elif mode is not Mode.DEGRADE or target.tier is Tier.LOCAL:
            kept.append(target)
            pauses = pauses or (kill is not None and kill.mode is Mode.THROTTLE)
    if stopping is not None:
        reason = call.route.reason
        if not kept and stopping.mode is Mode.DEGRADE:
            kept = _local(gateway, call)
            reason = f"kill switch on {stopping.scope}: local targets only"
        if not kept:
            raise refusal(stopping)
        call.lowered = f"kill switch on {stopping.scope}", call.route.targets[0].tier
        call.route = Route(call.route.asked, tuple(kept), reason)
    if pauses:
        await asyncio.sleep(PAUSE)


def _stops(kill: Kill, target: Target) -> bool:
    return kill.mode is Mode.KILL or (kill.mode is Mode.DEGRADE and target.tier is not Tier.LOCAL)


def _local(gateway: Gateway, call: Call) -> list[Target]:
    """The local tier's targets, of those that the key may use and no switch stops."""
    try:
        found = gateway.router.route("gateway-local", None).targets
    except GatewayError:
        return []
    asked, switch = call.peek.model, gateway.killswitch
    return [
        target
        for target in found
        if call.key.allows(asked, target.model, target.name, f"{target.tier}/{target.model}")
        and not ((kill := switch.of_target(gateway, call, target)) and _stops(kill, target))
    ]


def permit_target(gateway: Gateway, call: Call, target: Target) -> None:
    """Before an attempt: what stood open when the call came may be shut by now; Unavailable then."""
    switch = gateway.killswitch
    call.target = target
    if switch.thrown and (kill := switch.of_target(gateway, call, target)) and _stops(kill, target):
        raise refusal(kill)
