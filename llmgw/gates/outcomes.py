"""How good answers were: what callers say of them, and what they do after them, noted and learnt from."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from llmgw.errors import GatewayError, UpstreamFailed
from llmgw.gates.habits import LONGEST, conversation_of, number_of
from llmgw.gates.tiering import RANK
from llmgw.rules.tiering.hints import BROKEN, WEIGHTS, Hint
from llmgw.storage.decisions import Outcome

if TYPE_CHECKING:
    from llmgw.domain.route import Decision
    from llmgw.gates.state import Call, Gateway

log = logging.getLogger("llmgw.outcomes")


async def note(gateway: Gateway, outcome: Outcome) -> bool:
    """Write an outcome down and learn from it; False where more is known of that answer already."""
    stored, tiering = gateway.ledger.decisions, gateway.tiering
    before = stored.outcome(outcome.request_id)
    if before is not None and before.weight > outcome.weight:
        return False
    await gateway.ledger.note(outcome)
    if tiering is not None and tiering.heeds(outcome):
        await tiering.awaken()
        if before is not None:  # what it said before no longer holds
            await asyncio.to_thread(tiering.relearn, stored)
        else:
            tiering.learn([outcome])
    return True


def listen(gateway: Gateway, call: Call) -> None:
    """A call is over: whether it says something of an answer, the one before it or its own."""
    tiering, tier = gateway.tiering, call.tried.get("tier")
    if tiering is None or tier is None or tiering.options.learn != "all":
        return
    decision, hints = call.decision, tiering.hints
    if call.error:
        if decision is not None and call.replied and call.error == UpstreamFailed.code:
            tiering.spawn(_broken(gateway, call.id, tier, decision))
        return
    hint, void = None, list[int]()
    if decision is not None:
        hint, void = hints.answered(
            call.key.id,
            decision.conversation,
            _question(call),
            call.id,
            RANK[tier],
            call.started,
            gateway.clock.tick(),
        )
    elif RANK[tier] and hints.expects(call.key.id, call.started):
        hint = hints.forced(conversation_of(call.key, call.glance), RANK[tier], call.started)
    if hint is not None or void:
        tiering.spawn(_heard(gateway, hint, void))


def _question(call: Call) -> int:
    """A number that is the same for the same last words after a conversation of the same length."""
    return number_of(str(call.peek.prompt_bytes), call.glance.last[-LONGEST:])


async def _heard(gateway: Gateway, hint: Hint | None, void: list[int]) -> None:
    stored, tiering = gateway.ledger.decisions, gateway.tiering
    try:
        if void:
            await asyncio.gather(*map(gateway.ledger.withdraw, void))
            if tiering is not None:
                await asyncio.to_thread(tiering.relearn, stored)
        if hint is not None:
            asker, decision = stored.asker(hint.request_id), stored.find(hint.request_id)
            if asker is not None and asker.tier and decision is not None:
                await _note_hint(gateway, hint, asker.tier, decision)
    except GatewayError as error:
        log.warning("what a caller did was not noted: %s", error.message)


async def _broken(gateway: Gateway, number: int, tier: str, decision: Decision) -> None:
    try:
        await _note_hint(gateway, Hint(number, BROKEN), tier, decision)
    except GatewayError as error:
        log.warning("an answer that broke off was not noted: %s", error.message)


async def _note_hint(gateway: Gateway, hint: Hint, tier: str, decision: Decision) -> None:
    if decision.features is not None:
        outcome = Outcome(
            request_id=hint.request_id,
            at=gateway.clock.now(),
            score=0.0,
            tier=tier,
            features=decision.features,
            vector=decision.vector,
            source=hint.source,
            weight=WEIGHTS[hint.source],
        )
        await note(gateway, outcome)
