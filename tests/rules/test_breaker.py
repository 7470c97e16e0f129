"""A breaker opens and closes as drawn: closed, open for a growing time, half-open for a single call. # B-04"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmgw.domain.breaker import State
from llmgw.rules.breaker import SECOND, Breaker, Breaking

RULES = Breaking(failures=3, error_rate=0.5, window_seconds=60, open_seconds=5, longest_seconds=12)


def opened(rules: Breaking = RULES) -> Breaker:
    breaker = Breaker(rules)
    for _ in range(rules.failures):
        breaker.fail(0, tried=False)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """Two failures and a success do nothing, the third failure in a row opens."""
    breaker = Breaker(RULES)
    assert [breaker.fail(0, tried=False) for _ in range(2)] == [False, False]
    breaker.succeed(0, tried=False)
    assert [breaker.fail(0, tried=False) for _ in range(3)] == [False, False, True]
    assert breaker.state(0) is State.OPEN
    assert not breaker.passes(5 * SECOND - 1)


def test_it_opens_for_a_share_of_failures() -> None:
    """Every second call fails: nothing is in a row, but half of twenty calls is too much."""
    breaker = Breaker(RULES)
    opens = []
    for second in range(20):
        breaker.succeed(second * SECOND, tried=False)
        opens.append(breaker.fail(second * SECOND, tried=False))
    assert opens.index(True) == 9
    mild = Breaker(Breaking(failures=0, error_rate=0))
    assert not any(mild.fail(0, tried=False) for _ in range(1000))


def test_old_failures_are_forgotten() -> None:
    """Failures of an earlier window do not count, and a target without any is not remembered."""
    breaker = Breaker(Breaking(failures=0, error_rate=0.3))
    for _ in range(15):
        breaker.fail(0, tried=False)
    for _ in range(30):
        breaker.succeed(200 * SECOND, tried=False)
    assert not breaker.fail(200 * SECOND, tried=False)
    breaker.succeed(200 * SECOND, tried=False)
    assert not breaker.quiet(200 * SECOND)
    breaker.succeed(400 * SECOND, tried=False)
    assert breaker.quiet(400 * SECOND)


def test_half_open_lets_one_call_through() -> None:
    """Once its time is over a single call tries the target; success closes it, and stragglers say nothing."""
    breaker = opened()
    assert breaker.state(5 * SECOND) is State.HALF_OPEN
    assert not breaker.succeed(5 * SECOND, tried=False)
    assert breaker.passes(5 * SECOND)
    assert [breaker.enter(), breaker.enter()] == [True, False]
    assert not breaker.passes(5 * SECOND)
    assert not breaker.fail(5 * SECOND, tried=False)
    assert breaker.succeed(5 * SECOND, tried=True)
    assert breaker.state(5 * SECOND) is State.CLOSED


def test_a_trial_that_says_nothing_lets_the_next_one_try() -> None:
    """A caller who hangs up while the target is tried does not keep it shut."""
    breaker = opened()
    assert breaker.enter()
    breaker.leave()
    assert breaker.passes(5 * SECOND)
    assert breaker.enter()


def test_the_time_grows_up_to_a_bound_and_begins_anew_later() -> None:
    """Each failed trial doubles the time; a target that was well for a whole window starts from the shortest."""
    breaker, now, spans = opened(), 0, []
    for _ in range(4):
        assert breaker.until is not None
        spans.append((breaker.until - now) // SECOND)
        now = breaker.until
        breaker.enter()
        assert breaker.fail(now, tried=True)
    assert spans == [5, 10, 12, 12]
    breaker.enter()
    breaker.succeed(now, tried=True)
    now += 61 * SECOND
    for _ in range(3):
        breaker.fail(now, tried=False)
    assert breaker.until == now + 5 * SECOND


def test_a_server_that_is_seen_again_is_tried_at_once() -> None:
    """What a health probe sees ends the wait."""
    breaker = opened()
    breaker.heal(SECOND)
    assert breaker.state(SECOND) is State.HALF_OPEN


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["call", "well", "bad", "gone"])), max_size=200)
)
def test_never_two_trials_never_shut_for_ever(steps: list[tuple[int, str]]) -> None:
    """Whatever happens, at most one call tries an open target, and it is open no longer than the longest time."""
    breaker, now, trying = Breaker(RULES), 0, 0
    for seconds, what in steps:
        now += seconds * SECOND
        if what == "call":
            passes = breaker.passes(now)
            entered = passes and breaker.enter()
            trying += entered
            assert trying <= 1
            continue
        if what == "gone":
            if trying:
                breaker.leave()
        elif what == "well":
            breaker.succeed(now, tried=bool(trying))
        else:
            breaker.fail(now, tried=bool(trying))
        trying = 0
        assert breaker.until is None or breaker.until <= now + 12 * SECOND
        assert breaker.until is None or breaker.passes(breaker.until)
