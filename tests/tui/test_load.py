"""What a thousand requests a second cost the one who looks at them."""

from __future__ import annotations

import asyncio
import time
from random import Random

import msgspec
import pytest
from support.beats import AT, canned, row
from support.screens import dashboard

from llmgw.domain.pulse import Beat, Pulse
from llmgw.rules.tallying import lines_of, seen_of, spreads_of

RATE = 1000
SECONDS = 15
SHARE = 0.1
"""Of one core."""
KEY_SECONDS = 0.1


def pulses() -> list[bytes]:
    """Seconds of traffic as a gateway sends them: sums of all, a hundred requests one by one."""
    random, seq, found = Random(3), 10_000, []
    for second in range(1, SECONDS + 1):
        now = AT + second * 10**9
        rows = [row(seq + each, now - random.randrange(2 * 10**9), random) for each in range(RATE)]
        seq += RATE
        pulse = Pulse(
            at=now, seq=seq, span_us=1_000_000, lines=lines_of(rows), spreads=spreads_of(rows),
            seen=tuple(map(seen_of, rows[-100:])), unseen=RATE - 100, under_way=(), in_flight=40, gate_us=(380, 410),
        )  # fmt: skip
        found.append(msgspec.json.encode(pulse))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("screen", ["overview", "requests", "routing", "spend"])
def test_a_thousand_requests_a_second(screen: str) -> None:
    """To decode, add up and draw a second of it takes at most a tenth of a second, and so does a key, at 200x50."""
    told, decoder = pulses(), msgspec.json.Decoder(Beat)

    async def go() -> None:
        async with dashboard(canned(seconds=0), size=(200, 50), screen=screen, interval=0.0) as (app, pilot):
            await pilot.pause(0.5)  # the other screens are loaded meanwhile
            began = time.process_time()
            for beat in told:
                app.take(decoder.decode(beat))
                await pilot.pause()
            assert (time.process_time() - began) / SECONDS <= SHARE
            for key in ("j", "k", "s", "u"):
                began = time.process_time()
                await pilot.press(key)
                assert time.process_time() - began <= KEY_SECONDS

    asyncio.run(go())
