"""What shadow runs found is told in figures that agree with each other."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmgw.desk.asking import Declared, Desk, Process
from llmgw.desk.regret import MeasureRegret, Sampled
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.storage.database import Database
from llmgw.storage.shadows import Shadow, write_shadows


def regret(home: Path, *rows: tuple[float | None, int]) -> Sampled:
    """What is told of calls with these scores and costs, each of which stands for ten."""
    now = SYSTEM_CLOCK.now()
    shadows = [
        Shadow(
            request_id=number,
            at=now,
            tier="premium",
            target="a/b",
            shadow="c/d",
            score=score,
            how="",
            cost=cost,
            latency_us=1,
            calls=10,
            spent=10 * cost,
        )
        for number, (score, cost) in enumerate(rows)
    ]
    with Database.open(home / "llmgw.db") as database:
        connection = database.connect()
        with closing(connection), connection:
            write_shadows(connection, shadows)
    nothing: Any = None
    with Desk(
        home / "llmgw.db",
        "test",
        declared=lambda: Declared("UTC", (), nothing),
        offer=lambda: nothing,
        process=lambda: Process(state="down", log_file=""),
    ) as desk:
        (sampled,) = desk.ask(MeasureRegret()).sampled
    return sampled


@pytest.mark.parametrize(
    "rows",
    [
        [(1.0, 1_000)] * 9 + [(0.0, 1_000_000_000)],
        [(0.0, 1_000)] * 9 + [(1.0, 1_000_000_000)],
        [(1.0, 7)] * 3 + [(None, 1_000)] + [(0.0, 50)],
        [(1.0, 333)] * 7,
        [(0.0, 333)] * 7,
        [(1.0, 0)] * 2,
        [(1.0, 9 * 10**15)] * 40,
    ],
)
def test_a_saving_lies_within_its_bounds(rows: list[tuple[float | None, int]], tmp_path: Path) -> None:
    """However dear the good and the bad calls were, what would have been saved lies between its bounds."""
    told = regret(tmp_path, *rows)
    assert told.cost_nanousd == 10 * sum(cost for _, cost in rows)
    assert told.saving_low_nanousd <= (told.saving_nanousd or 0) <= told.saving_high_nanousd
    assert told.saving_high_nanousd <= told.cost_nanousd
    assert told.good + told.bad + told.open == told.sampled == len(rows)


def test_one_dear_call_tells_little_of_money(tmp_path: Path) -> None:
    """Nine good calls of next to no cost and a bad one that is all of it prove no saving to speak of."""
    told = regret(tmp_path, *[(1.0, 1_000)] * 9, (0.0, 1_000_000_000))
    assert told.low > 0.5
    assert told.saving_low_nanousd < told.cost_nanousd // 100
    assert told.saving_high_nanousd > told.cost_nanousd // 2
