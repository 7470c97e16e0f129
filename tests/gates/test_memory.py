"""Answers at hand take no more memory than allowed, and go in the order in which nobody wanted them. # D-13"""

from __future__ import annotations

from storage.test_answers import answer, entry, name

from llmgw.domain.cache import Stored
from llmgw.gates.caches import Held, Memory, held


def of(number: int, size: int = 100) -> Held:
    return held(Stored(entry(number), answer(), None, size))


def test_the_least_wanted_goes_first() -> None:
    """What was looked at stays, what was not makes room, what is larger than everything is not held at all."""
    memory = Memory(300)
    for number in (1, 2, 3):
        memory.put(name(number), of(number))
    assert memory.get(name(1)) is not None
    memory.put(name(4), of(4))
    assert [memory.get(name(number)) is not None for number in (1, 2, 3, 4)] == [True, False, True, True]
    memory.put(name(5), of(5, 301))
    assert memory.get(name(5)) is None
    assert memory.get(name(4)) is not None


def test_an_answer_that_grows_makes_others_go() -> None:
    """A reply made ready is counted too; one that is held no more counts nothing."""
    memory = Memory(300)
    one, other = of(1), of(2)
    memory.put(name(1), one)
    memory.put(name(2), other)
    memory.grow(name(2), other, 150)
    assert memory.get(name(1)) is None
    memory.grow(name(1), one, 10**6)
    assert memory.get(name(2)) is other
    memory.put(name(2), of(2))
    memory.put(name(3), of(3))
    memory.put(name(4), of(4))
    assert memory.get(name(2)) is not None
    memory.clear()
    assert memory.get(name(2)) is None


def test_no_memory_holds_nothing() -> None:
    """Zero switches it off."""
    memory = Memory(0)
    memory.put(name(1), of(1))
    assert memory.get(name(1)) is None
