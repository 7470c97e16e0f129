"""Kill -9 of a process that is writing: what it was told is written is there, and the rest is closed."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.storage.database import Database
from llmgw.storage.ledger import Ledger
from llmgw.storage.requests import Requests

CHILD = Path(__file__).resolve().parents[1] / "support" / "ledger_child.py"


def live_and_die(path, boot, first, seconds):
    """The lines of a child that was killed after this many seconds of writing."""
    child = subprocess.Popen(
        [sys.executable, CHILD, path, boot, str(first)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = child.stdout.readline()
    time.sleep(seconds)
    child.kill()
    rest, errors = child.communicate()
    assert errors == ""
    lines = (begun + rest).splitlines()
    if rest and not rest.endswith("\n"):
        lines.pop()
    return [(line[0], int(line[2:])) for line in lines]


def rounds(path, number):
    chance = random.Random(7)
    told, first = [], 1

    async def mend(boot):
        ledger = Ledger.open(path, boot, SYSTEM_CLOCK)
        try:
            ledger.recover()
            assert not ledger.recover()
            assert ledger.verify() == []
            return ledger.last_id() + 1
        finally:
            ledger.close()

    for turn in range(number):
        told += live_and_die(path, f"child{turn}", first, chance.random() * 0.3)
        first = asyncio.run(mend(f"parent{turn}"))
    with Database.open(path) as database:
        requests = Requests(database)
        for word, request_id in told:
            detail = requests.show(request_id)
            assert detail.request is not None
            if word == "s":
                assert detail.request.error == ""
                assert detail.request.cost == 68 * len(detail.attempts)
    return len(told)


def test_killed_while_writing(tmp_path):
    """After each of a few kills the ledger adds up, nothing is open and every acknowledged answer is there."""
    assert rounds(tmp_path / "llmgw.db", 3) > 100


@pytest.mark.slow
def test_killed_a_hundred_times(tmp_path):
    """The same at a hundred random moments."""
    assert rounds(tmp_path / "llmgw.db", 100) > 1000
