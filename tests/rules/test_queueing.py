"""Who is next: plans in their order, keys in turn, nobody for ever, the loaded model first within bounds. # E-09"""

from __future__ import annotations

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.queueing import AGING, LOWEST, SECOND, SWAP_PATIENCE, Queue, Ticket, level_of


def full(slots: int = 1, *, swaps: bool = False) -> tuple[Queue, list[Ticket]]:
    queue = Queue(slots, swaps=swaps)
    running = [Ticket(0, 0, "loaded", 0) for _ in range(slots)]
    assert all(queue.enter(ticket) for ticket in running)
    return queue, running


def drain(queue: Queue, running: list[Ticket], *, now: int = 1, step: int = 0) -> list[Ticket]:
    """End calls one after the other; those who waited, in the order in which they got their slot."""
    served: list[Ticket] = []
    while running:
        following = queue.end(running.pop(0), now)
        now += step
        if following is not None:
            served.append(following)
            running.append(following)
    return served


def put(queue: Queue, level: int, key: int, model: str = "m", came: int = 0) -> Ticket:
    ticket = Ticket(level, key, model, came)
    assert not queue.enter(ticket)
    return ticket


def test_plans_have_levels() -> None:
    """Enterprise, which is sold as Unlimited, goes before pro, and pro before everybody else."""
    plans = ("enterprise", "unlimited", "pro", "free", "")
    assert [level_of(plan) for plan in plans] == [0, 0, 1, LOWEST, LOWEST]


def test_a_free_slot_is_taken_at_once() -> None:
    """While there is a slot nobody stands in line."""
    queue, _ = full(3)
    assert not queue.enter(Ticket(0, 1, "m", 0))
    assert len(queue) == 1


def test_the_better_plan_goes_first() -> None:
    """Calls that came together are served by plan, and their positions say so."""
    queue, running = full()
    low, middle, high = put(queue, 2, 1), put(queue, 1, 2), put(queue, 0, 3)
    assert [low.position, middle.position, high.position] == [1, 1, 1]
    assert put(queue, 2, 1).position == 4
    assert drain(queue, running)[:3] == [high, middle, low]


def test_keys_take_turns() -> None:
    """The first call of a second key does not wait for the hundred of the first."""
    queue, running = full()
    many = [put(queue, 2, 1) for _ in range(100)]
    one = put(queue, 2, 2)
    assert one.position == 2
    assert drain(queue, running)[:3] == [many[0], one, many[1]]


@given(st.integers(1, 30), st.integers(3, 30), st.integers(1, 3))
def test_loops_of_one_key_have_no_more_than_its_share(many: int, few: int, slots: int) -> None:
    """However many calls of it are always in line, two keys that both keep the slots busy get as many of them."""
    queue = Queue(slots)
    running: list[Ticket] = []
    served = {1: 0, 2: 0}

    def enter(key: int, now: int) -> None:
        ticket = Ticket(LOWEST, key, "m", now)
        if queue.enter(ticket):
            running.append(ticket)

    for key, loops in ((1, many + 3), (2, few + 3)):
        for _ in range(loops):
            enter(key, 0)
    for now in range(1, 601):
        done = running.pop(0)
        served[done.key] += 1
        following = queue.end(done, now)
        assert following is not None
        running.append(following)
        enter(done.key, now)
    assert abs(served[1] - served[2]) <= 2 * slots + 2


def test_a_single_loop_beside_many_has_its_turn() -> None:
    """Of two slots a key with one call at a time has a third of the calls, as another one's ten are always in line."""
    queue = Queue(2)
    running: list[Ticket] = []

    def enter(key: int, now: int) -> None:
        ticket = Ticket(LOWEST, key, "m", now)
        if queue.enter(ticket):
            running.append(ticket)

    for key in (1,) * 10 + (2,):
        enter(key, 0)
    served = []
    for now in range(1, 301):
        done = running.pop(0)
        served.append(done.key)
        following = queue.end(done, now)
        assert following is not None
        running.append(following)
        enter(done.key, now)
    assert served.count(2) >= 98


def test_who_leaves_does_not_keep_back_its_key() -> None:
    """After ninety-nine of a hundred calls have left, the next one of their key is behind one call, not a hundred."""
    queue, running = full()
    many = [put(queue, LOWEST, 1) for _ in range(100)]
    for ticket in many[:-1]:
        queue.leave(ticket)
    others = [put(queue, LOWEST, 2) for _ in range(5)]
    last = put(queue, LOWEST, 1)
    assert drain(queue, running)[:4] == [many[-1], others[0], others[1], last]


def test_the_lowest_waits_for_a_bounded_time() -> None:
    """While better plans come faster than they are served, a free call has its turn after two times ``AGING``."""
    queue, running = full()
    low = put(queue, 2, 1)
    now = 0
    while low not in running:
        now += SECOND
        put(queue, 0, 2, came=now)
        put(queue, 0, 3, came=now)
        following = queue.end(running.pop(), now)
        assert following is not None
        running.append(following)
        assert now < 3 * 2 * AGING
    assert now >= AGING


def test_the_loaded_model_goes_first_within_bounds() -> None:
    """Calls are batched by model, but nobody is passed over for longer than ``SWAP_PATIENCE``, and no plan."""
    queue, running = full(swaps=True)
    other, loaded = put(queue, 2, 1, "other"), put(queue, 2, 2, "loaded", 1)
    better = put(queue, 1, 3, "other", 2)
    assert drain(queue, running) == [better, other, loaded]
    queue, running = full(swaps=True)
    other, loaded = put(queue, 2, 1, "other"), put(queue, 2, 2, "loaded", 1)
    assert drain(queue, running) == [loaded, other]
    queue, running = full(swaps=True)
    other, loaded = put(queue, 2, 1, "other"), put(queue, 2, 2, "loaded", 1)
    assert drain(queue, running, now=SWAP_PATIENCE) == [other, loaded]


def test_the_wait_is_foreseen() -> None:
    """After calls of two seconds the fourth in line before two slots has about four to wait."""
    queue, running = full(2)
    assert queue.end(running.pop(), 2 * SECOND) is None
    running.append(Ticket(0, 0, "m", 2 * SECOND))
    assert queue.enter(running[-1])
    waiting = [put(queue, 2, 1) for _ in range(4)]
    assert queue.wait_of(waiting[-1]) == 4 * SECOND


def test_four_slots_two_hundred_waiting() -> None:
    """Priority holds, enterprise waits less than pro and pro less than free, and everybody is served. # acceptance 4"""
    queue, running = full(4)
    plans = {"enterprise": 0, "pro": 1, "free": 2}
    waiting = [put(queue, list(plans.values())[n % 3], n % 7, came=n) for n in range(200)]
    served = drain(queue, running, step=SECOND // 100)
    assert sorted(map(id, served)) == sorted(map(id, waiting))
    waits = [
        median(ticket.begun - ticket.came for ticket in served if ticket.level == level)
        for level in plans.values()
    ]
    assert waits == sorted(waits)
    assert waits[0] < waits[1] < waits[2]


@given(
    st.lists(
        st.tuples(st.sampled_from(["come", "end", "leave"]), st.integers(0, 2), st.integers(0, 3)),
        max_size=120,
    ),
    st.integers(1, 4),
    st.booleans(),
)
def test_slots_are_never_exceeded_nor_idle(
    steps: list[tuple[str, int, int]], slots: int, swaps: bool
) -> None:
    """Whatever comes, ends and leaves: no more run than there are slots, and nobody waits beside a free one."""
    queue, running, waiting, now = Queue(slots, swaps=swaps), [], [], 0
    for what, level, number in steps:
        now += SECOND
        if what == "come":
            ticket = Ticket(level, number, f"m{number}", now)
            (running if queue.enter(ticket) else waiting).append(ticket)
        elif what == "end" and running:
            following = queue.end(running.pop(number % len(running)), now)
            if following is not None:
                waiting.remove(following)
                running.append(following)
        elif what == "leave" and waiting:
            queue.leave(waiting.pop(number % len(waiting)))
        assert len(running) <= slots
        assert len(queue) == len(waiting)
        assert not waiting or len(running) == slots
