"""A cheap tier answers first and its answer is looked at before anybody has a byte of it; then a dearer tier may be asked.

Every answer that was asked for is held for in the budgets, billed and written down, whoever gets it. Where no dearer
target can or may answer, the one that is held is passed on after all: it is what there would have been without a cascade.
"""

from __future__ import annotations

import asyncio
import logging
from random import random
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from llmgw.domain.route import ESCALATED, Route, Tier, Verdict
from llmgw.errors import GatewayError
from llmgw.gates.course import RANK
from llmgw.gates.dispatch import stop_of
from llmgw.gates.holding import (
    Begun,
    hold_plain,
    hold_stream,
    left_to_hold,
    pass_kept,
    settle_unseen,
)
from llmgw.gates.keepalive import KeepAlive
from llmgw.gates.outcomes import note
from llmgw.gates.settle import record, settle_broken
from llmgw.gates.tiering import order
from llmgw.gates.verifying import verify
from llmgw.rules.verifying.checks import Finding, begin
from llmgw.rules.verifying.wish import Wish, wish_of
from llmgw.storage.decisions import Outcome

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from llmgw.domain.money import NanoUSD
    from llmgw.domain.route import Decision, Target
    from llmgw.gates.course import Course
    from llmgw.gates.exchange import Exchange
    from llmgw.gates.holding import Kept
    from llmgw.gates.state import Attempt, Call, Gateway
    from llmgw.providers.base import Answer
    from llmgw.rules.verifying.options import Cascading

log = logging.getLogger("llmgw.cascade")

SOURCE, TRUST = "cascade", 0.3
"""How the outcomes are called, and how far they are believed where 1 is what somebody has said."""
NOTED = 0.15
"""Share of the answers that passed which are noted: nothing seen against an answer is no proof of it."""

HEADER = b"x-llmgw-cascade"
"""A caller's own word, ``on`` or ``off``, where cascades are enabled."""


class Trial:
    """One call's answers on trial: the last one that was held, and the verdicts so far."""

    __slots__ = ("_failed", "_options", "_premium_cost", "_tried", "_wish", "kept", "verdicts")

    def __init__(self, options: Cascading) -> None:
        self._options = options
        self._wish: Wish | None = None
        self._tried: dict[str, Any] = {}
        self._premium_cost: NanoUSD | None = None
        self._failed = ""
        self.kept: Kept | None = None
        self.verdicts: list[Verdict] = []

    @property
    def escalated(self) -> str:
        """Which answers were not passed on and by which check, empty where none; no word of such an answer is in it."""
        said = [
            f"{each.target}: {each.seen[-1].partition(':')[0]}" for each in self.verdicts if not each.passed
        ]
        if self._failed:
            said.append(f"passed on after all, as the next one failed ({self._failed})")
        return ", ".join(said)

    def rejects(self, target: Target | None) -> bool:
        """Whether an answer of a target did not pass: where it is the caller's after all, it is not for others too."""
        return target is not None and any(
            each.target == target.name and not each.passed for each in self.verdicts
        )

    async def _wanted(self, call: Call) -> Wish:
        """What the request asks for; read when there is an answer, so that no model waits for it."""
        if self._wish is None:
            self._wish = await asyncio.to_thread(_read, call)
        return self._wish

    def holds(self, course: Course, target: Target) -> bool:
        """Whether a target's answer is looked at: its tier is one of those, and a dearer target follows."""
        return target.tier in self._options.tiers and course.leads_up(target)

    def begin(self, call: Call) -> None:
        """The call is on its way: from now on its caller may have to wait for more than one model."""
        if call.peek.stream and call.keepalive is None:
            call.keepalive = KeepAlive(call)

    async def wait(
        self,
        gateway: Gateway,
        call: Call,
        attempt: Attempt,
        crossing: Exchange,
        sending: Coroutine[Any, Any, Answer],
    ) -> Answer | None:
        """What is sent back; None where a stream has not begun for as long as it may be held, and was ended."""
        if not call.peek.stream:
            return await sending
        try:
            async with asyncio.timeout(left_to_hold(gateway, attempt, self._options)):
                return await sending
        except TimeoutError:
            crossing.begin()
            self._silent(gateway, call, attempt, crossing)
            return None

    def _silent(self, gateway: Gateway, call: Call, attempt: Attempt, crossing: Exchange) -> None:
        """Nothing has come for as long as an answer may be held: the attempt ends."""
        words = f"silence: nothing within {self._options.hold / 1e9:g} s"
        self.verdicts.append(Verdict(attempt.destination.target.name, False, (words,)))
        settle_broken(gateway, call, attempt, crossing, 499, ESCALATED, sent=True, final=False)

    async def take(
        self, gateway: Gateway, call: Call, attempt: Attempt, answer: Answer, crossing: Exchange
    ) -> Answer | None:
        """The answer again where its beginning was enough to let it pass; None where it is held or was ended."""
        if not call.peek.stream:
            self.kept = await hold_plain(gateway, attempt, answer, crossing)
            return None
        held = await hold_stream(gateway, call, attempt, answer, crossing, self._options)
        if held is None:
            self._silent(gateway, call, attempt, crossing)
            return None
        if not isinstance(held, Begun):
            self.kept = held
            return None
        wish = await self._wanted(call)
        findings = begin(wish, held.text) + tuple(
            Finding("tool", f"there is no tool `{name[:60]}`")
            for name in held.tools
            if name not in wish.tools
        )
        words = tuple(f"{finding.check}: {finding.words}" for finding in findings)
        target = attempt.destination.target
        self.verdicts.append(Verdict(target.name, not words, words or ("its beginning: nothing against it",)))
        if not words:
            return held.answer
        settle_unseen(gateway, call, attempt, crossing.reading(), status=499)
        return None

    async def decide(self, gateway: Gateway, call: Call, course: Course) -> None:
        """Look at the answer that is held, if there is one: it is passed on, or nobody but dearer targets is asked."""
        kept = self.kept
        if kept is not None and not kept.attempt.settled:
            target = kept.attempt.destination.target
            try:
                wish = await self._wanted(call)
                passed, seen = await verify(gateway, call, self._options, wish, target, kept.answer)
            except BaseException:  # it ends here, and whoever ended it has not seen the answer
                status, code = stop_of(call)
                settle_unseen(gateway, call, kept.attempt, kept.reading, status=status, error=code)
                raise
            self.verdicts.append(Verdict(target.name, passed, seen))
            if passed:
                await pass_kept(gateway, call, kept)
                return
            settle_unseen(gateway, call, kept.attempt, kept.reading)
            self._tried, self._premium_cost = call.tried, call.premium_cost
            course.spare = True
        if not call.finished and call.target is not None:
            course.go_up(call.target)
            if not course.spare:  # nothing is held: this one is asked once more where nobody else can answer
                course.targets.append(call.target)
            log.info("%s: a dearer model is asked: %s", call.shown_id, self.escalated)

    def end(self, gateway: Gateway, call: Call) -> None:
        """The call is over: its conversation stays with whoever answered it, and the router learns from the verdicts."""
        decision = call.decision
        if gateway.tiering is None or decision is None or not self.verdicts:
            return
        if call.status == 200 and call.target is not None:
            gateway.tiering.habits.stay(decision.conversation, call.target)
        first = self.verdicts[0]
        if decision.features is not None and (not first.passed or random() < NOTED):  # noqa: S311 (chance, no secret)
            gateway.tiering.spawn(_learn(gateway, call, decision, first))

    async def fall_back(self, gateway: Gateway, call: Call, error: GatewayError) -> bool:
        """Whether an answer that was held is passed on because nobody else had one."""
        kept = self.kept
        if kept is None or call.replied or call.stopped is not None:
            return False
        log.warning("%s: %s, so the answer that was held is passed on", call.shown_id, error.code)
        self._failed = error.code
        call.tried, call.premium_cost = self._tried, self._premium_cost
        await record(gateway, call, 200, "")
        await pass_kept(gateway, call, kept)
        return True


def _read(call: Call) -> Wish:
    try:
        return wish_of(call.dialect.parse_request(call.body))
    except GatewayError:  # a relay passes on what cannot be read
        return Wish()


async def _learn(gateway: Gateway, call: Call, decision: Decision, verdict: Verdict) -> None:
    """Note what the first verdict says of the tier where the call began."""
    outcome = Outcome(
        request_id=call.id,
        at=gateway.clock.now(),
        score=float(verdict.passed),
        tier=decision.tier,
        features=decision.features,
        vector=decision.vector,
        source=SOURCE,
        weight=TRUST,
    )
    try:
        await note(gateway, outcome)
    except GatewayError as error:
        log.warning("%s: a verdict was not noted: %s", call.shown_id, error.message)


def begin_low(call: Call, found: Route, options: Cascading) -> Route:
    """The route with the cheapest tier whose answers are looked at in front, where this call may begin there."""
    decision = call.decision
    if decision is None or decision.gain is None or decision.rule or decision.classifier:
        return found
    word = call.headers.get(HEADER, b"").lower()
    if word == b"off" or (word != b"on" and not _suits(call, decision.gain, options)):
        return found
    tiers = {target.tier for target in found.targets}
    start = next((tier for tier in Tier if tier in options.tiers and tier in tiers), None)
    if start is None or all(RANK[tier] <= RANK[start] for tier in tiers):
        return found
    call.trial = Trial(options)
    if RANK[found.targets[0].tier] <= RANK[start]:
        return found
    targets = order(found.targets, start)
    reason = f"{targets[0].name} tries first: {decision.reason}"
    call.decision = replace(decision, tier=start, target=targets[0].name, reason=reason, sticky=False)
    return Route(found.asked, targets, reason)


def _suits(call: Call, gain: float, options: Cascading) -> bool:
    if gain > options.max_gain or (call.peek.tools and not options.tools):
        return False
    return options.conversations or not call.glance.history
