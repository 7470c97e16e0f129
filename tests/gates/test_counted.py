"""Counters are kept up with however much was committed, and nobody waits for that."""

from __future__ import annotations

import asyncio
from random import Random

from support.beats import AT, row

from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.gates.counted import Counted
from llmgw.storage.ledger import Written


def test_others_have_their_turn_between_two_commits() -> None:
    """A hundred commits that wait are summed one by one: the event loop comes round after each."""
    counted, random = Counted(SYSTEM_CLOCK), Random(1)
    for number in range(100):
        counted.take(Written(number * 20, [row(number * 20 + at, AT, random) for at in range(20)]))

    async def keep_up() -> int:
        turns, done = 0, asyncio.create_task(counted.keep_up())
        while not done.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(keep_up()) >= 100
    assert sum(counts.requests for counts in counted.read().sums.values()) == 2000
