"""Counters are kept up with however much was committed, and nobody waits for that."""

from __future__ import annotations

import asyncio
from itertools import count
from random import Random

import pytest
from support.beats import AT, row

from llmgw.domain.clock import Clock
from llmgw.gates import counted as counting
from llmgw.gates.counted import Counted
from llmgw.storage.ledger import Written


def test_others_have_their_turn_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what waits no more is summed at a time than a piece: the event loop comes round after each."""
    ticks, random = count(step=counting.PIECE // 2), Random(1)
    counted = Counted(Clock(tick=lambda: next(ticks)))
    for number in range(100):
        counted.take(Written(number * 20, [row(number * 20 + at, AT, random) for at in range(20)]))
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    asyncio.run(counted.keep_up())
    assert pauses == [counting.PAUSE] * 100
    assert sum(counts.requests for counts in counted.read().sums.values()) == 2000
