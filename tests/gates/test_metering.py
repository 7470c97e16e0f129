"""Whoever watches is told each request once, whenever they come, however slow they are."""

from __future__ import annotations

import asyncio
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from support.beats import AT, history, row

from llmgw.domain.pulse import Beat, History, Pulse
from llmgw.gates.metering import WAITING, Meter
from llmgw.rules.picture import SECOND, Picture, total
from llmgw.storage.ledger import Written

DECODER = msgspec.json.Decoder(Beat)


def empty(at: int, seq: int) -> Pulse:
    return Pulse(at=at, seq=seq, span_us=1_000_000)


class Stage:
    """A ledger as a list of rows, a meter behind it, and somebody who watches."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.rows: list = []
        self.late: list[Written] = []
        self.watcher = self.meter.watch()
        self.beginning = False
        self.read: History | None = None
        self.picture = Picture()
        self.now = AT
        self.random = Random(5)

    def commit(self, count: int) -> None:
        new = [row(len(self.rows) + each, self.now, self.random) for each in range(count)]
        written = Written(len(self.rows) + 1, new)
        self.rows += new
        self.meter.take(written)

    def tick(self) -> None:
        self.now += SECOND
        if self.meter.watchers:
            rows = self.meter.drain()
            self.meter.tell(self.meter.fill(empty(self.now, self.meter.seq), rows), rows)

    def begin(self) -> None:
        """Somebody comes, or begins anew."""
        self.watcher.begin()
        self.beginning, self.read = True, None

    def read_history(self) -> None:
        if self.beginning:
            self.read = history(self.rows, self.now)

    def began(self) -> None:
        if self.read is not None:
            self.watcher.began(self.read, self.meter)
            self.beginning, self.read = False, None

    async def hear(self) -> None:
        while (beat := await self.watcher.next(0)) is not None:
            self.picture.take(DECODER.decode(beat))


@given(
    steps=st.lists(
        st.sampled_from(["commit", "commit", "tick", "tick", "read", "began", "hear", "lose"]), max_size=60
    ),
    before=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_each_request_once(steps: list[str], before: int) -> None:
    """However commits, seconds, the reading of a history and the watcher interleave, the sums are the ledger's."""

    async def play() -> None:
        stage = Stage()
        stage.commit(before)
        stage.begin()
        for step in steps:
            match step:
                case "commit":
                    stage.commit(stage.random.randrange(1, 4))
                case "tick":
                    stage.tick()
                case "read":
                    stage.read_history()
                case "began":
                    stage.began()
                case "hear":
                    await stage.hear()
                case "lose":
                    stage.meter.lose()
            if stage.watcher.lost:
                stage.begin()
        stage.read_history()
        stage.began()
        await stage.hear()
        stage.tick()
        await stage.hear()
        assert total(stage.picture.month()).requests == len(stage.rows)
        assert total(stage.picture.month()).cost == sum(each.cost or 0 for each in stage.rows)

    asyncio.run(play())


async def _slow() -> None:
    meter, picture = Meter(), Picture()
    watcher = meter.watch()
    watcher.begin()
    watcher.began(history([], AT), meter)
    for second in range(WAITING + 3):
        meter.take(Written(second + 1, [row(second, AT, Random(second))]))
        rows = meter.drain()
        meter.tell(meter.fill(empty(AT + second * SECOND, meter.seq), rows), rows)
    assert watcher.lost
    assert await watcher.next(0) is None
    watcher.begin()
    watcher.began(history([row(second, AT, Random(second)) for second in range(8)], AT), meter)
    beat = await watcher.next(0)
    assert beat is not None
    picture.take(DECODER.decode(beat))
    assert total(picture.today()).requests == WAITING + 3
    assert not watcher.lost


def test_a_slow_watcher_begins_anew() -> None:
    """Who does not read loses what waits for it and begins with a history again; nothing piles up."""
    asyncio.run(_slow())


async def _shared() -> None:
    meter = Meter()
    watchers = [meter.watch() for _ in range(10)]
    for watcher in watchers:
        watcher.begin()
        watcher.began(history([], AT), meter)
        await watcher.next(0)
    meter.take(Written(1, [row(1, AT, Random(1))]))
    rows = meter.drain()
    meter.tell(meter.fill(empty(AT, meter.seq), rows), rows)
    beats = [await watcher.next(0) for watcher in watchers]
    assert len({id(beat) for beat in beats}) == 1


def test_encoded_once() -> None:
    """Ten who watch are told the very same bytes."""
    asyncio.run(_shared())


def test_nobody_watches() -> None:
    """Without a watcher no row is kept."""
    meter = Meter()
    for number in range(1000):
        meter.take(Written(number + 1, [row(number, AT, Random(1))]))
    meter.watch()
    assert meter.drain() == []
    assert meter.seq == 1000
