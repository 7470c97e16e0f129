"""Replies at hand take no more memory than allowed, and go in the order in which nobody wanted them. # D-13"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmgw.domain.route import Target, Tier
from llmgw.gates.caches import FREED, OVERHEAD, Held, Memory, Origin

ORIGIN = Origin(Target("openai", "gpt-4o", Tier.CHEAP), {}, ())


def of(number: int, size: int = 100) -> Held:
    return Held(number, ORIGIN, bytes(size), 1, 2, 3, 4)


def name(number: int) -> bytes:
    return number.to_bytes(33, "big")


def test_the_least_wanted_goes_first() -> None:
    """What was looked at stays, what was not makes room, what is larger than everything is not held at all."""
    memory = Memory(3 * of(1).size)
    for number in (1, 2, 3):
        memory.put(name(number), of(number))
    assert memory.get(name(1)) is not None
    memory.put(name(4), of(4))
    assert [memory.get(name(number)) is not None for number in (1, 2, 3, 4)] == [True, False, True, True]
    memory.put(name(5), of(5, 3 * of(1).size))
    assert memory.get(name(5)) is None
    assert memory.get(name(4)) is not None
    memory.put(name(4), of(4, 1))
    memory.put(name(4), of(4))
    assert [memory.get(name(number)) is not None for number in (1, 3, 4)] == [True, True, True]
    memory.clear()
    assert memory.get(name(1)) is None


def test_what_is_cleared_goes_bit_by_bit() -> None:
    """Clearing frees nothing by itself, which could take long; each new reply frees a few, until all are gone."""
    memory, gone = Memory(10_000 * of(1).size), []
    for number in range(3 * FREED):
        memory.put(name(number), of(number))
        if number == FREED:
            memory.clear()
    memory.clear()
    assert (memory.size, memory.get(name(1))) == (0, None)
    for number in range(5):
        gone.append(sum(map(len, memory._gone)))
        memory.put(name(number), of(number))
    assert gone == [2 * FREED - 1, FREED - 1, 0, 0, 0]
    assert memory.size == 5 * of(1).size


def test_no_memory_holds_nothing() -> None:
    """Zero switches it off."""
    memory = Memory(0)
    memory.put(name(1), of(1))
    assert memory.get(name(1)) is None


MEASURE = """
import gc, os, sys
from gates.test_memory import ORIGIN, Held, Memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

count, size, cap = map(int, sys.argv[1:])
before, memory, now = resident(), Memory(cap), 1_800_000_000_000_000_000
for number in range(count):
    held = Held(10**6 + number, ORIGIN, os.urandom(size + number % 97), now + number, now + 2 * number, number + 500, number + 900)
    memory.put(os.urandom(33), held)
held = gc.get_objects()
print(resident() - before, len(memory._held), sum(isinstance(each, Held) for each in held))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
@pytest.mark.parametrize(
    ("count", "size", "cap"),
    [
        (10_000, 600, 1 << 30),
        (100_000, 300, 1 << 30),
        (100_000, 600, 32 << 20),
        pytest.param(400_000, 2000, 64 << 20, marks=pytest.mark.slow),
        (3_000, 50_000, 64 << 20),
    ],
)
def test_the_process_grows_by_no_more_than_is_counted(count: int, size: int, cap: int) -> None:
    """Ten thousand replies or a hundred thousand: the process takes what is counted, never above the cap and a tenth."""
    tests = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, (count, size, cap))],
        capture_output=True,
        check=True,
        cwd=tests,
        env={"PYTHONPATH": f"{tests.parent}:{tests}"},
        text=True,
    )
    grown, held, walked = map(int, done.stdout.split())
    assert grown <= min(cap, held * (size + 97 + OVERHEAD)) * 1.1 + (4 << 20), (grown / held, held)
    assert walked == 0
