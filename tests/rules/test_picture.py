"""A picture's figures do not depend on when somebody began to look."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace
from support.beats import AT, canned, history, row, whole

from llmgw.domain.ledger import CacheVerdict
from llmgw.domain.pulse import REST, Counts, Line, Pulse, Standing
from llmgw.rules.picture import (
    MINUTE,
    SECOND,
    WINDOWS,
    Picture,
    grouped,
    hit_rate,
    percentile,
    total,
)
from llmgw.rules.tallying import Callers, lines_of, seen_of, spreads_of
from llmgw.rules.windows import HOUR, Window, bucket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.ledger import RequestRow

DAY = 24 * HOUR
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns")


def pulse_of(rows: list[RequestRow], at: Nanoseconds, seq: int, standing: Standing | None = None) -> Pulse:
    return Pulse(
        at=at,
        seq=seq,
        span_us=1_000_000,
        lines=lines_of(rows),
        spreads=spreads_of(rows),
        seen=tuple(map(seen_of, rows)),
        unseen=0,
        under_way=(),
        in_flight=0,
        gate_us=None,
        standing=standing or Standing(),
    )


def of(lines: Iterable[Line]) -> dict[object, Counts]:
    """Lines in no order."""
    found: dict[object, Counts] = {}
    for line in lines:
        kind = astuple(replace(line, began=0, counts=Counts()))
        assert kind not in found, "two lines of one kind"
        found[kind] = line.counts
    return found


def figures(picture: Picture) -> dict[str, object]:
    """Everything that a picture says of requests."""
    spreads = picture.spreads()
    return {
        "today": of(picture.today()),
        "month": of(picture.month()),
        "window": of(picture.in_window()),
        "series": [(step.at, of(step.lines)) for step in picture.series()],
        "burn": picture.burn(),
        "projection": picture.projection(),
        "p95": [percentile(spreads, 0.95, ttft=ttft) for ttft in (True, False)],
    }


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_every_split_is_the_same(data: st.DataObject) -> None:
    """Whenever a history ends and however the rest is cut into pulses, the figures are those of all rows."""
    zone = data.draw(st.sampled_from(ZONES))
    window = data.draw(st.sampled_from(list(WINDOWS)))
    length, _ = WINDOWS[window]
    month = bucket(Window.MONTH, AT, ZoneInfo(zone)).end_ns
    # around the end of a month, which is the end of a day too
    end = month + data.draw(st.integers(-2 * length, 2 * length))
    seed, count = data.draw(st.integers(0, 10**6)), data.draw(st.integers(0, 40))
    random = Random(seed)
    moments = sorted(random.randrange(end - 2 * length - HOUR, end + 1) for _ in range(count))
    # rows in the order in which they ended; each began some time before
    rows = [row(at, at - random.randrange(0, 3 * MINUTE), random) for at in moments]

    whole_picture = Picture()
    whole_picture.take(history(rows, end, window, zone=zone))

    cut = data.draw(st.integers(0, count))
    start = moments[cut - 1] if cut else end - 2 * length - HOUR
    parted = Picture()
    parted.take(history(rows[:cut], start, window, zone=zone))
    at = cut
    while at < count:
        size = data.draw(st.integers(1, count - at))
        parted.take(pulse_of(rows[at : at + size], moments[at + size - 1], at + size))
        at += size
    parted.take(pulse_of([], end, count))
    assert figures(parted) == figures(whole_picture)


def test_told_twice() -> None:
    """A pulse that comes again, or from before the history, changes nothing."""
    beats = canned(5)
    once, twice = Picture(), Picture()
    for beat in beats:
        once.take(beat)
    for beat in (beats[1], *beats, beats[-1], beats[2]):
        twice.take(beat)
    assert figures(once) == figures(twice)
    assert once.last == twice.last


def test_a_new_history_begins_anew() -> None:
    """What was told before counts no more once a history comes, as after a restart or a jump of the clock."""
    picture, fresh = Picture(), Picture()
    for beat in (*canned(20), *canned(3, at=AT + DAY)):
        picture.take(beat)
    for beat in canned(3, at=AT + DAY):
        fresh.take(beat)
    assert figures(picture) == figures(fresh)
    assert len(picture.seen) == len(fresh.seen)


def test_an_hour_is_counted_as_budgets_count_it() -> None:
    """What an hour costs is told from the same quarter of an hour on as `budget list` tells it, before and after a pulse."""
    now = AT - AT % HOUR + 14 * MINUTE
    old, new = (replace(row(1, now - ago, Random(1)), cost=10**9) for ago in (70 * MINUTE, MINUTE))
    picture = Picture()
    picture.take(history([old], now, "1h"))
    assert picture.burn() == 10**9 * 60 // 74
    picture.take(pulse_of([new], now, 2))
    assert picture.burn() == 2 * 10**9 * 60 // 74
    picture.take(pulse_of([], now + MINUTE, 2))  # the next quarter has begun
    assert picture.burn() == 10**9


def test_time_moves_on_without_requests() -> None:
    """Steps that are over leave the window, a day that is over leaves today, a month that is over the month."""
    picture = Picture()
    picture.take(history([row(1, AT - MINUTE, Random(1))], AT))
    assert total(picture.in_window()).requests == total(picture.today()).requests == 1
    picture.take(pulse_of([], AT + 59 * MINUTE - AT % MINUTE, 1))
    assert total(picture.in_window()).requests == 0
    assert len(picture.series()) == 60
    assert total(picture.today()).requests == 1
    picture.take(pulse_of([], AT + DAY, 1))
    assert picture.burn() == 0
    assert not picture.today()
    assert total(picture.month()).requests == 1
    picture.take(pulse_of([], AT + 31 * DAY, 1))
    assert not picture.month()
    assert len(picture.series()) == 60


def test_standing_is_kept() -> None:
    """A part of how things stand holds until a pulse tells another one, also an empty one."""
    picture = Picture()
    picture.take(history([], AT))
    picture.take(pulse_of([], AT + SECOND, 0, Standing(kills=())))
    picture.take(pulse_of([], AT + 2 * SECOND, 0))
    assert picture.standing.kills == ()
    assert picture.standing.budgets == whole(AT).budgets


def test_rate() -> None:
    """The rate is of the last seconds, counted from when somebody began to look."""
    picture = Picture()
    picture.take(history([], AT))
    rows = [row(number, AT, Random(number)) for number in range(30)]
    for second in range(3):
        at = AT + (second + 1) * SECOND
        picture.take(pulse_of(rows[10 * second : 10 * second + 10], at, 10 * second + 10))
    assert picture.rate() == pytest.approx(10)
    assert picture.rate(1) == pytest.approx(10)
    picture.take(pulse_of([], AT + 6 * SECOND, 30))
    assert picture.rate() == pytest.approx(5)
    assert picture.rate(2) == 0


def test_groups() -> None:
    """Groups add up to the whole but for tags, of which a request has several; models go with their provider."""
    picture = Picture()
    for beat in canned(10):
        picture.take(beat)
    lines = picture.in_window()
    for axis in ("key", "tenant", "provider", "model", "tier", "cache", "surface", "rule"):
        groups = grouped(lines, axis)
        assert sum(group.counts.requests for group in groups) == total(lines).requests
        assert sum(group.counts.cost for group in groups) == total(lines).cost
        assert [group.counts.cost for group in groups] == sorted(
            (group.counts.cost for group in groups), reverse=True
        )
    assert {group.name for group in grouped(lines, "tag")} == {"", "batch", "project=seed", "build"}
    assert "groq/llama-4-8b" in {group.name for group in grouped(lines, "model")}
    hits = sum(line.counts.requests for line in lines if line.cache in set(CacheVerdict) - {"miss", "bypass"})
    assert hit_rate(lines) == hits / total(lines).requests
    assert hit_rate([]) is None


def test_many_callers() -> None:
    """Callers that are too many stand together; nobody is lost, and who was told by name always is."""
    random = Random(3)
    rows = [replace(row(at, AT, random), key_name=f"key{at % 50}", tenant="", tags="") for at in range(500)]
    callers = Callers(20)
    told = [callers.fold(lines_of([each])) for each in rows]
    assert sum(total(lines).requests for lines in told) == 500
    named = {line.key for lines in told for line in lines}
    assert len(named) <= 21
    assert REST in named
    for each, (line,) in zip(rows, told, strict=True):
        if each.key_name in named:
            assert line.key == each.key_name
    assert total(callers.fold(lines_of(rows))) == total(lines_of(rows))
