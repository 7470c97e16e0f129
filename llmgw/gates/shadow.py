"""Answering a share of the calls that were paid for on a local model as well, to learn what that would have been worth.

It happens after the caller has the answer, while nobody needs the local models, and nobody gets what comes of it. The
prompt and the answer are kept in memory until they have been compared or are stale, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain.identity import Key
from llmgw.domain.route import Tier
from llmgw.errors import GatewayError, UpstreamFailed
from llmgw.gates.aside import aside, make_plain
from llmgw.gates.comparing import compare
from llmgw.gates.credential import outgoing, target_url
from llmgw.gates.exchange import exchange
from llmgw.gates.fitting import Fit
from llmgw.gates.joining import Flight
from llmgw.gates.outcomes import note
from llmgw.gates.tiering import permitted
from llmgw.rules.verifying.checks import text_of
from llmgw.storage.decisions import Outcome
from llmgw.storage.shadows import Shadow

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatAnswer
    from llmgw.domain.route import Target
    from llmgw.gates.state import Call, Gateway
    from llmgw.rules.verifying.options import Shadowing

log = logging.getLogger("llmgw.shadow")

SURFACE = "shadow"
OWNER = Key(id=-1, name="gateway-shadow", hash=b"", tenant="")
"""Who asks the judge: what that costs is on no caller's account."""

TRUST = 0.5
"""How far what is found is believed, where 1 is what somebody has said."""

MOST = 32
"""Calls that wait to be repeated; the oldest goes first."""
STALE = 600.0
"""Seconds after which one that has waited is forgotten."""
BUSY = 2
"""Calls in flight, wherever they go, beyond which the machine is not idle."""
LOOK, QUICK_LOOK = 1.0, 0.1
"""Seconds between two looks whether the machine is idle, and whether it still is."""


class _Waiting(NamedTuple):
    """A call that is to be repeated; ``since`` is a moment of the event loop's clock."""

    call: Call
    answer: str
    target: Target
    local: Target
    since: float
    calls: int
    spent: int


class Shadows:
    """Which calls are repeated, and those that wait for it."""

    def __init__(self, options: Shadowing, random: Random | None = None) -> None:
        self._options = options
        self._random = random or Random()  # noqa: S311 (chance, no secret)
        self._waiting: deque[_Waiting] = deque()
        self._due = asyncio.Event()
        self._calls = self._spent = 0

    def sample(self, call: Call) -> None:
        """Decide by chance whether a call's answer is recorded to be compared; before it is dispatched."""
        if self._random.random() < self._options.share and _is_plain(call):
            call.sample = Flight(call)

    def take(self, gateway: Gateway, call: Call) -> None:
        """A call is over: count it, and let it wait if it was chosen."""
        if call.status != 200 or call.error or call.target is None or call.target.tier is Tier.LOCAL:
            return
        local = _local(gateway, call) if _is_plain(call) and call.attempts else None
        if local is None:
            return
        self._calls += 1
        self._spent += call.cost or 0
        if call.sample is None:
            return
        call.sample.end()
        answer = call.sample.answer()
        call.sample = None
        text = "" if answer is None or not answer.choices else text_of(answer.choices[0])
        if not text.strip():
            return
        if len(self._waiting) >= MOST:  # one that was ended may have come back
            self._forget(self._waiting.popleft())
        now = asyncio.get_running_loop().time()
        self._waiting.append(_Waiting(call, text, call.target, local, now, self._calls, self._spent))
        self._calls = self._spent = 0
        self._due.set()

    async def run(self, gateway: Gateway) -> None:
        """Repeat what waits whenever the machine is idle, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._due.wait()
            while self._waiting:
                if clock() - self._waiting[0].since > STALE:
                    self._forget(self._waiting.popleft())
                elif not _idle(gateway):
                    await asyncio.sleep(LOOK)
                else:
                    await self._repeat(gateway, self._waiting.popleft())
            self._due.clear()

    async def _repeat(self, gateway: Gateway, waiting: _Waiting) -> None:
        """Ask for one again; as soon as somebody else needs the machine that is ended, and it waits again."""
        call, began = waiting.call, gateway.clock.tick()
        own = aside(gateway, call, SURFACE, call.peek)
        own.key, own.tags = OWNER, ""
        asking = asyncio.create_task(_ask(gateway, own, call, waiting.local))
        try:
            while not (await asyncio.wait({asking}, timeout=QUICK_LOOK))[0]:
                if not _idle(gateway):
                    asking.cancel()
        finally:
            asking.cancel()
        if asking.cancelled():
            self._waiting.appendleft(waiting)
            return
        latency = (gateway.clock.tick() - began) // 1000
        try:
            await self._note(gateway, own, waiting, asking.result(), latency)
        except GatewayError as error:
            log.debug("%s was not repeated: %s", call.shown_id, error.message)
            self._forget(waiting)
        except Exception:
            log.exception("%s could not be compared", call.shown_id)
            self._forget(waiting)

    def _forget(self, waiting: _Waiting) -> None:
        """Nothing becomes of one: what it stood for is counted with the next."""
        self._calls += waiting.calls
        self._spent += waiting.spent

    async def _note(
        self, gateway: Gateway, own: Call, waiting: _Waiting, answer: ChatAnswer, latency: int
    ) -> None:
        """Compare what a local model said with what the caller got, write it down and learn from it."""
        call = waiting.call
        score, how = await compare(gateway, own, call, self._options.judge, waiting.answer, answer)
        await gateway.ledger.note_shadow(
            Shadow(
                request_id=call.id,
                at=gateway.clock.now(),
                tier=waiting.target.tier,
                target=waiting.target.name,
                shadow=waiting.local.name,
                score=score,
                how=how,
                cost=call.cost,
                latency_us=latency,
                calls=waiting.calls,
                spent=waiting.spent,
            )
        )
        decision = call.decision
        if decision is None or decision.features is None or score is None:
            return
        await note(
            gateway,
            Outcome(
                request_id=call.id,
                at=gateway.clock.now(),
                score=score,
                tier=Tier.LOCAL,
                features=decision.features,
                vector=decision.vector,
                source=SURFACE,
                weight=TRUST,
            ),
        )


def _is_plain(call: Call) -> bool:
    """Whether a call may be kept and leaves open who answers it, a text answers it, and no local one was found wanting."""
    peek, decision = call.peek, call.decision
    return not (
        peek.tools
        or peek.attachments
        or peek.n > 1
        or peek.force_tier
        or call.vague
        or not (call.key.cache and call.control.write)
        or (decision is not None and decision.rule)
        or (call.trial is not None and call.trial.escalated)
    )


def _local(gateway: Gateway, call: Call) -> Target | None:
    """The first local target that the call's key may use."""
    try:
        found = gateway.router.route("gateway-local", None).targets
    except GatewayError:
        return None
    return next(iter(permitted(call.key, call.peek.model, found)), None)


def _idle(gateway: Gateway) -> bool:
    """Whether nobody uses a local model or waits for one, little else goes on, and no switch is thrown."""
    switch = gateway.killswitch
    return (
        not switch.thrown
        and len(switch.running) <= BUSY
        and not any(call.target is not None and call.target.tier is Tier.LOCAL for call in switch.running)
        and gateway.queues.idle
    )


async def _ask(gateway: Gateway, own: Call, call: Call, local: Target) -> ChatAnswer:
    """What a local model answers to the same call, plain."""
    tiering = gateway.tiering
    make_plain(own, call.body)
    if tiering is not None and tiering.options.context:
        own.fit = Fit(own, tiering.options.context)
    destination = gateway.router.destination(local)
    crossing = exchange(own, destination)
    answer = await gateway.send(
        destination,
        target_url(own, destination),
        outgoing(own, destination),
        crossing.request(),
        stream=False,
    )
    try:
        body = await answer.read()
        if answer.status != 200:
            raise UpstreamFailed(f"{local.name} answered with status {answer.status}")
        return destination.dialect.parse_answer(body)
    finally:
        await answer.close()
