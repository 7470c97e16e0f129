"""What callers do after an answer: asked again, or a dearer model forced, it was not good; programs that repeat say nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.tiering.hints import (
    ESCALATION,
    MOST,
    PATIENCE,
    REGENERATION,
    WEIGHTS,
    WINDOW,
    Hint,
    Hints,
)

CALLER = 7


def answered(hints: Hints, number: int, at: int, question: int = 1, conversation: int = 1) -> Hint | None:
    """An answer that took no time."""
    return hints.answered(CALLER, conversation, question, number, 0, at, at)[0]


def test_feedback_counts_most() -> None:
    """Every other source is believed less than half as much as somebody who says it."""
    assert all(weight < 0.5 for source, weight in WEIGHTS.items() if source != "feedback")
    assert WEIGHTS["feedback"] == 1.0


def test_asked_again_the_earlier_answer_was_not_good() -> None:
    """The same question again within the window speaks of the answer before; another one, or a later one, does not."""
    hints = Hints()
    assert answered(hints, 1, 0) is None
    assert answered(hints, 2, WINDOW) == Hint(1, REGENERATION)
    assert answered(hints, 3, WINDOW + 1, question=2) is None
    assert answered(hints, 4, 2 * WINDOW + 2, question=2) is None


def test_asked_at_once_it_says_nothing() -> None:
    """Several answers to one question that were asked for together are samples, not complaints."""
    hints = Hints()
    assert hints.answered(CALLER, 1, 1, 1, 0, 0, 100) == (None, [])
    assert hints.answered(CALLER, 1, 1, 2, 0, 50, 150) == (None, [])


def test_whoever_repeats_without_end_is_a_program() -> None:
    """What was concluded is taken back, once, and nothing more is concluded."""
    hints = Hints()
    answered(hints, 0, 0)
    assert [answered(hints, number, number) for number in (1, 2)] == [
        Hint(0, REGENERATION),
        Hint(1, REGENERATION),
    ]
    assert hints.answered(CALLER, 1, 1, 3, 0, 3, 3) == (None, [0, 1])
    assert hints.answered(CALLER, 1, 1, 4, 0, 4, 4) == (None, [])
    assert hints.forced(1, 2, 5) is None


def test_a_dearer_model_that_is_forced_speaks_of_the_last_answer() -> None:
    """Once; a model of the same tier or a cheaper one says nothing, nor does another conversation or a late call."""
    hints = Hints()
    hints.answered(CALLER, 1, 1, 5, 1, 0, 10)
    assert hints.forced(1, 1, 20) is None
    assert hints.forced(2, 2, 20) is None
    assert hints.forced(1, 2, 5) is None
    assert hints.forced(1, 2, 20) == Hint(5, ESCALATION)
    assert hints.forced(1, 2, 30) is None
    hints.answered(CALLER, 3, 1, 6, 1, 0, 10)
    assert hints.forced(3, 2, 11 + WINDOW) is None


def test_only_callers_of_late_are_looked_at() -> None:
    """Nobody else's calls cost more than a look."""
    hints = Hints()
    assert not hints.expects(CALLER, 0)
    answered(hints, 1, 0)
    assert hints.expects(CALLER, WINDOW)
    assert not hints.expects(CALLER, WINDOW + 1)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.integers(0, WINDOW // 3)),
        max_size=60,
    )
)
def test_no_answer_is_spoken_of_twice(steps: list[tuple[int, int, bool, int]]) -> None:
    """Whatever callers do, an answer has at most one hint that holds, of an answer that was given, and hints are bounded."""
    hints, now, standing = Hints(), 0, dict[int, str]()
    for number, (conversation, question, force, later) in enumerate(steps):
        now += later
        if force:
            hint, void = hints.forced(conversation, 2, now), list[int]()
        else:
            hint, void = hints.answered(CALLER, conversation, question, number, 0, now, now)
        for each in void:
            del standing[each]
        if hint is not None:
            assert hint.request_id not in standing
            assert hint.request_id < number
            standing[hint.request_id] = hint.source


def test_memory_is_bounded() -> None:
    """The conversation that has paused longest is forgotten first."""
    hints = Hints()
    for conversation in range(MOST + 5):
        answered(hints, conversation, conversation, conversation=conversation)
    assert answered(hints, -1, MOST + 6, conversation=0) is None
    assert answered(hints, -2, MOST + 6, conversation=MOST) == Hint(MOST, REGENERATION)


def test_people_ask_again_so_often() -> None:
    """Twice is a picky person."""
    assert PATIENCE == 2
