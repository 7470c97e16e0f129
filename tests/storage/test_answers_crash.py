"""What `kill -9` and size do to the caches' file: nothing that a caller would ever see. # D-13"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from storage.test_answers import NOW, answer, entry, name

from llmgw.storage.answers import AnswerStore

CHILD = """
import random, sys
from pathlib import Path
from storage.test_answers import answer, entry
from llmgw.storage.answers import AnswerStore

chance = random.Random(int(sys.argv[2]))
with AnswerStore.open(Path(sys.argv[1]), cap_bytes=4 << 20) as store:
    print("ready", flush=True)
    while True:
        number = chance.randrange(400)
        store.put(entry(number), answer(f"{number} " * chance.randrange(1, 3000)))
"""


@pytest.mark.slow
def test_a_kill_while_writing_leaves_no_torn_entry(tmp_path: Path) -> None:
    """Thirty processes are killed in the middle of their writes; whatever is found then is whole and the right one."""
    path, chance = tmp_path / "cache.db", random.Random(3)
    tests = Path(__file__).resolve().parents[1]
    found = 0
    for seed in range(30):
        environ = os.environ | {"PYTHONPATH": str(tests)}
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(seed)], stdout=subprocess.PIPE, env=environ
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(chance.random() * 0.3)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        with AnswerStore.open(path) as store:
            for number in range(400):
                stored = store.find(name(number), NOW)
                if stored is not None:
                    found += 1
                    (part,) = stored.answer.choices[0].parts
                    assert set(part.text.split()) == {str(number)}
            assert store.verify().damaged == ()
    assert found > 1000


@pytest.mark.slow
def test_a_great_many_entries_cost_a_lookup_nothing(tmp_path: Path) -> None:
    """Among 200,000 entries one is found as fast as among a thousand, and the file keeps to its cap."""
    with AnswerStore.open(tmp_path / "cache.db", cap_bytes=150 << 20) as store:

        def fill(numbers: range) -> None:
            with store.change() as connection:
                for number in numbers:
                    store._put(connection, entry(number, created_at=NOW + number), answer(), None)

        def lookup(most: int) -> float:
            chance, times = random.Random(1), []
            for _ in range(2000):
                wanted = name(chance.randrange(most))
                began = time.perf_counter()
                assert store.find(wanted, NOW) is not None
                times.append(time.perf_counter() - began)
            return sorted(times)[len(times) // 2]

        fill(range(1000))
        few = lookup(1000)
        for start in range(1000, 200_000, 20_000):
            fill(range(start, min(start + 20_000, 200_000)))
        many = lookup(200_000)
        assert many < 3 * few + 50e-6, (few, many)
        began = time.perf_counter()
        assert store.shrink() == 0
        assert time.perf_counter() - began < 0.05
        store.cap_bytes = 100 << 20
        assert store.shrink() > 1000
        assert store.bytes() <= 100 << 20
        assert store.find(name(199_999), NOW) is not None
