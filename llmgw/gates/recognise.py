"""Gate 8: has a prompt that means the same been answered before? It serves only where the promise about errors holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmgw.domain.ledger import CacheVerdict
from llmgw.gates.aside import ask_again
from llmgw.gates.recall import find, is_young
from llmgw.gates.remember import land
from llmgw.gates.replay import replay

if TYPE_CHECKING:
    from llmgw.gates.caches import Caches
    from llmgw.gates.judging import Sight
    from llmgw.gates.state import Call, Gateway


async def recognise(gateway: Gateway, call: Call) -> bool:
    """Whether the call was answered with another wording's answer. One that was not is learnt from once it is over."""
    caches, known = gateway.caches, call.known
    semantic = None if caches is None else caches.semantic
    if caches is None or semantic is None or known is None or not semantic.takes(call, known):
        return False
    sight, near = semantic.glance(call, known)
    call.sight = sight
    if not (near and call.control.read):
        return False
    found = await semantic.look(gateway, call, sight, near)
    if found is None or not semantic.options.serves:
        return False
    if not is_young(call, found.created_at):
        return False
    held = find(gateway, caches, call, found.fingerprint, known.form)
    if held is None:
        return False
    caches.keeper.hit(held.entry, held.cost)
    await replay(gateway, call, held, CacheVerdict.SEMANTIC)
    if sight.verdict is not None and sight.verdict.audit:
        semantic.spawn(_audit(gateway, call, caches, sight))
    return True


async def _audit(gateway: Gateway, call: Call, caches: Caches, sight: Sight) -> None:
    """Ask upstream what was answered from memory; its answer is remembered, and compared, like any other."""
    own = await ask_again(gateway, call, caches.stamp)
    if own is not None:
        sight.audited = True
        own.sight = sight
        land(caches, own, asyncio.get_running_loop())
