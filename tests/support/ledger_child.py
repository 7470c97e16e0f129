"""A process that lives to be killed: writes holds and settlements and says on stdout which are acknowledged.

    python ledger_child.py DATABASE BOOT FIRST_ID

Each line is ``h ID`` once a hold and ``s ID`` once a settlement with its request is committed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from support.ledger_words import a_hold, a_refusal, a_request, an_outcome  # noqa: E402

from llmgw.domain.clock import SYSTEM_CLOCK  # noqa: E402
from llmgw.storage.ledger import Ledger  # noqa: E402


def tell(word: str, number: int) -> None:
    os.write(1, f"{word} {number}\n".encode())


async def caller(ledger: Ledger, numbers: count[int]) -> None:
    while True:
        number = next(numbers)
        if number % 7 == 0:
            await ledger.record(a_refusal(number))
            continue
        await ledger.hold(a_hold(number), dispatched=number % 5 > 0)
        tell("h", number)
        await asyncio.sleep(0.001 * (number % 3))
        attempts = 1
        if number % 4 == 0:
            await ledger.settle(an_outcome(number, error="upstream_error"))
            await ledger.hold(a_hold(number, 2))
            attempts = 2
        await ledger.settle(
            an_outcome(number, attempts), a_request(number, attempts=attempts, cost=68 * attempts)
        )
        tell("s", number)


async def main(path: str, boot: str, first: str) -> None:
    ledger = Ledger.open(Path(path), boot, SYSTEM_CLOCK)
    ledger.recover()
    numbers = count(int(first))
    await asyncio.gather(*(caller(ledger, numbers) for _ in range(50)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
