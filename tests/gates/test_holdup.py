"""The event loop is never held up for long by the caches, whatever they do. # D-14"""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.holdup import measure

LONGEST = 0.005
FEW = 10
"""Steps of a phase, of a thousand and more, that may take longer: the first call of all, and the collector's rounds."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell who waited")
def test_no_step_of_the_loop_takes_long(tmp_path: Path) -> None:
    """At 100,000 entries lookups, inserts, hits, eviction and opening leave no step of 5 ms CPU, but for very few."""
    found, _ = measure(tmp_path, 100_000)
    long = {
        phase: [step for step in steps if step.cpu > LONGEST]
        for phase, steps in found.items()
        if phase not in {"start", "large bodies"}
    }
    assert {phase: steps for phase, steps in long.items() if len(steps) > FEW} == {}
