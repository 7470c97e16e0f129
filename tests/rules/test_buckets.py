"""Limits as arithmetic: never more than the limit, exact waits, refunds that reach nobody else's tokens. # D-19"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.domain.limit import Limit, Measure
from llmgw.domain.scope import ALL
from llmgw.rules.buckets import PERIODS, Bucket, Lease, Meters, Refusal, Slots, admit, tightest

SECOND = 10**9
MINUTE = 60 * SECOND


def limit(measure: Measure, amount: int) -> Limit:
    return Limit(scope=ALL, measure=measure, amount=amount)


def bucket(measure: str, amount: int) -> Bucket:
    return Bucket(limit(Measure(measure), amount), 0)


def requests(amount: int) -> Meters:
    return Meters(requests=(bucket("rpm", amount),))


def tokens(amount: int) -> Meters:
    return Meters(tokens=(bucket("tpm", amount),))


def test_the_61st_request_waits_for_a_second() -> None:
    """Sixty a minute lets sixty through at once; the next is told to wait exactly one second, and passes then."""
    meters = requests(60)
    for _ in range(60):
        assert isinstance(admit(meters, 1, 1, 0), Lease)
    assert admit(meters, 1, 1, 0) == Refusal(meters.requests[0].limit, SECOND)
    assert admit(meters, 1, 1, SECOND - 1) == Refusal(meters.requests[0].limit, 1)
    assert isinstance(admit(meters, 1, 1, SECOND), Lease)


gaps = st.lists(st.one_of(st.just(0), st.integers(0, 3 * MINUTE), st.integers(0, SECOND)), max_size=60)


@given(amount=st.integers(1, 50), gaps=gaps)
def test_no_window_holds_more_than_the_limit_and_its_flow(amount: int, gaps: list[int]) -> None:
    """In every stretch of time at most ``amount + amount * stretch / period`` requests pass, whatever was tried."""
    meters = requests(amount)
    now, passed = 0, []
    for gap in gaps:
        now += gap
        if isinstance(admit(meters, 1, 1, now), Lease):
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert (last - first + 1) * MINUTE <= amount * MINUTE + amount * (passed[last] - start)


calls = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 10 * SECOND, 30 * SECOND, MINUTE, -30 * SECOND]),  # what the clock moves
        st.integers(0, 3),  # which open call to close first, if there are as many
        st.sampled_from([50, 200, 400]),  # foreseen
        st.sampled_from([0, 50, 100]),  # per cent of it used
    ),
    min_size=4,
    max_size=20,
)


@given(amount=st.integers(400, 500), calls=calls)
@settings(max_examples=400)
def test_refunds_let_no_more_tokens_through_than_the_limit(amount: int, calls: list[tuple[int, ...]]) -> None:
    """What calls used, counted when they began, never passes the limit in any stretch, however late refunds come."""
    meters = tokens(amount)
    now = true = 0
    opened: list[tuple[Lease, int, int]] = []
    used: list[tuple[int, int]] = []
    for gap, which, most, share in calls:
        now += gap
        true += max(0, gap)
        if which < len(opened):
            lease, began, spent = opened.pop(which)
            lease.close(spent)
            used.append((began, spent))
        taken = admit(meters, 1, most, now)
        if isinstance(taken, Lease):
            opened.append((taken, true, most * share // 100))
    used += [(began, spent) for _, began, spent in opened]
    used.sort()
    for first, (start, _) in enumerate(used):
        for last in range(first, len(used)):
            total = sum(spent for _, spent in used[first : last + 1])
            assert total * MINUTE <= amount * MINUTE + amount * (used[last][0] - start)


def test_a_late_refund_does_not_reach_what_others_took() -> None:
    """Tokens that have long flowed off are not given back out of another call's."""
    meters = tokens(1000)
    first = admit(meters, 1, 600, 0)
    assert isinstance(first, Lease)
    assert isinstance(admit(meters, 1, 1000, 36 * SECOND), Lease)
    first.close(0)
    assert isinstance(admit(meters, 1, 1, 36 * SECOND), Refusal)


def test_refunds_to_others_do_not_cost_a_long_call_its_own() -> None:
    """What a call left unused in its first seconds is given back, however many short ones came and went behind it."""
    meters = tokens(1000)
    long = admit(meters, 1, 500, 0)
    assert isinstance(long, Lease)
    for _ in range(20):
        short = admit(meters, 1, 500, 0)
        assert isinstance(short, Lease)
        short.close(0)
    long.close(0)
    assert meters.tokens[0].left(6 * SECOND) == 1000


def test_a_refund_is_what_is_left_of_the_call_itself() -> None:
    """Of two calls under way half has flowed off of each; one gives its own other half back and not the other's."""
    meters = tokens(1000)
    one, two = admit(meters, 1, 500, 0), admit(meters, 1, 500, 0)
    assert isinstance(one, Lease)
    assert isinstance(two, Lease)
    assert meters.tokens[0].left(30 * SECOND) == 500
    one.close(0)
    assert meters.tokens[0].left(30 * SECOND) == 750
    two.close(500)
    assert meters.tokens[0].left(30 * SECOND) == 750


def test_a_changed_limit_keeps_what_is_in_use() -> None:
    """A limit that is raised leaves room for the difference, and one that is lowered waits for what was taken."""
    meters = requests(10)
    [count] = meters.requests
    for _ in range(10):
        admit(meters, 1, 1, 0)
    count.change(limit(Measure.REQUESTS_PER_MINUTE, 30), 0)
    assert count.left(0) == 20
    count.change(limit(Measure.REQUESTS_PER_MINUTE, 5), 0)
    assert admit(meters, 1, 1, 0) == Refusal(count.limit, 72 * SECOND)


def test_unused_tokens_come_back_at_once() -> None:
    """A call that foresaw everything and used little leaves the rest to the next."""
    meters = tokens(1000)
    lease = admit(meters, 1, 1000, 0)
    assert isinstance(lease, Lease)
    assert admit(meters, 1, 900, 0) == Refusal(meters.tokens[0].limit, 54 * SECOND, held=meters.tokens[0])
    lease.close(100)
    assert isinstance(admit(meters, 1, 900, 0), Lease)
    lease.close(0)
    assert admit(meters, 1, 950, 0) == Refusal(meters.tokens[0].limit, 57 * SECOND)
    assert isinstance(admit(meters, 1, 1, 0), Refusal)


def test_more_than_foreseen_is_owed() -> None:
    """A call that used more than it foresaw delays the next one for it, and a lease counts once only."""
    meters = tokens(1000)
    lease = admit(meters, 1, 500, 0)
    assert isinstance(lease, Lease)
    lease.close(2000)
    lease.close(2000)
    assert admit(meters, 1, 100, 0) == Refusal(meters.tokens[0].limit, 66 * SECOND)


def test_a_call_larger_than_the_limit() -> None:
    """One that may write more than the whole limit waits for all of it; one whose prompt is larger never passes."""
    meters = tokens(1000)
    assert isinstance(admit(meters, 10, 5000, 0), Lease)
    refusal = Refusal(meters.tokens[0].limit, 30 * SECOND, held=meters.tokens[0])
    assert admit(meters, 10, 5000, 30 * SECOND) == refusal
    assert admit(meters, 1001, 5000, 10 * MINUTE) == Refusal(meters.tokens[0].limit, None)


def snapshot(meters: Meters, now: int) -> list[int]:
    counts = [bucket.level(now) for bucket in (*meters.requests, *meters.tokens)]
    return counts + [each.used for each in meters.slots]


@given(
    amounts=st.tuples(*[st.integers(1, 5)] * 3, st.integers(1, 3)),
    steps=st.lists(
        st.tuples(st.integers(0, 20 * SECOND), st.integers(1, 6), st.booleans()), min_size=1, max_size=40
    ),
)
def test_all_or_nothing_and_the_wait_is_exact(
    amounts: tuple[int, ...], steps: list[tuple[int, int, bool]]
) -> None:
    """A refused call leaves every meter as it was; after its wait it passes, a nanosecond before it does not."""
    rpm, rpd, tpm, most_slots = amounts
    meters = Meters(
        requests=(bucket("rpm", rpm), bucket("rpd", rpd)),
        tokens=(bucket("tpm", tpm * 2), bucket("tpd", tpm * 50)),
        slots=(Slots(limit(Measure.CONCURRENCY, most_slots)),),
    )
    now = 0
    leases: list[Lease] = []
    for gap, count, close in steps:
        now += gap
        if close and leases:
            leases.pop(0).close(1)
        before = snapshot(meters, now)
        verdict = admit(meters, 1, count, now)
        if isinstance(verdict, Lease):
            leases.append(verdict)
            continue
        assert snapshot(meters, now) == before
        if verdict.wait is None:
            assert meters.slots[0].used == most_slots
            continue
        early = admit(meters, 1, count, now + verdict.wait - 1)
        assert isinstance(early, Refusal)
        assert early.wait == 1
        now += verdict.wait
        verdict = admit(meters, 1, count, now)
        if isinstance(verdict, Lease):
            leases.append(verdict)
        else:
            assert verdict.wait is None
    for lease in leases:
        lease.close(0)
    assert meters.slots[0].used == 0


@given(amount=st.integers(1, 20), jumps=st.lists(st.integers(-5 * MINUTE, MINUTE), max_size=50))
def test_a_clock_that_goes_back(amount: int, jumps: list[int]) -> None:
    """Time that goes back neither makes room nor makes anybody wait for longer than the limit is really in use."""
    meters = requests(amount)
    now, forward = 0, 0
    passed: list[int] = []
    for jump in jumps:
        now += jump
        forward += max(0, jump)
        verdict = admit(meters, 1, 1, now)
        if isinstance(verdict, Lease):
            passed.append(forward)
        else:
            assert verdict.wait is not None
            assert 0 < verdict.wait <= -(-MINUTE // amount)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert (last - first + 1) * MINUTE <= amount * MINUTE + amount * (passed[last] - start)


def test_a_call_that_was_never_made_counts_as_no_request() -> None:
    """What is refused at a later gate gives its request back."""
    meters = requests(1)
    lease = admit(meters, 1, 1, 0)
    assert isinstance(lease, Lease)
    lease.close(0, made=False)
    assert isinstance(admit(meters, 1, 1, 0), Lease)


@pytest.mark.parametrize("measure", ["rpm", "rpd"])
def test_ninety_per_cent_sees_no_refusal(measure: str) -> None:
    """A steady stream at nine tenths of a limit passes, all 20,000 of it, and so does one in bursts of nine tenths."""
    amount = 60
    step = PERIODS[Measure(measure)] * 10 // (9 * amount)
    steady = Meters(requests=(bucket(measure, amount),))
    assert all(isinstance(admit(steady, 1, 1, number * step), Lease) for number in range(20_000))
    bursts = Meters(requests=(bucket(measure, amount),))
    period = PERIODS[Measure(measure)]
    assert all(isinstance(admit(bursts, 1, 1, number // 54 * period), Lease) for number in range(20_000))


def test_ninety_per_cent_of_tokens_in_long_calls_sees_no_refusal() -> None:
    """Calls that foresee five times what they use, nineteen at a time and ten seconds long, pass at nine tenths."""
    meters = tokens(100_000)
    step = MINUTE * 800 // 90_000
    running: list[tuple[int, Lease]] = []
    for number in range(20_000):
        now = number * step
        while running and running[0][0] <= now:
            running.pop(0)[1].close(800)
        lease = admit(meters, 500, 4596, now)
        assert isinstance(lease, Lease), number
        running.append((now + 10 * SECOND, lease))


def test_the_tightest_is_told() -> None:
    """Of several limits the one with the smallest share left is what a caller should know of."""
    minute, day = bucket("rpm", 10), bucket("rpd", 1000)
    assert tightest((), 0) is None
    for _ in range(5):
        admit(Meters(requests=(minute, day)), 1, 1, 0)
    assert tightest((day, minute), 0) is minute
    assert (minute.left(0), minute.dry(0)) == (5, 30 * SECOND)
    assert [a < b for a, b in pairwise([minute.left(0), minute.left(6 * SECOND)])] == [True]
