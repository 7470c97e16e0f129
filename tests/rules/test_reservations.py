"""Budgets hold whatever happens in whatever order: nothing above a ceiling, nothing lost, nothing stuck. # D-20 B-05"""

from __future__ import annotations

import timeit
from collections import defaultdict
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.scope import ALL, parse_scope
from llmgw.rules.reservations import Held, Refusal, Reservations, Standing, Subject
from llmgw.rules.windows import bucket

BERLIN = ZoneInfo("Europe/Berlin")
SECOND = 10**9
HOUR = 3600 * SECOND
NOON = 1_795_262_400 * SECOND
SUMMER_ENDS = 1_792_882_800 * SECOND
"""2026-10-25 01:00 in Berlin, two hours before its clocks go back."""

CI = Subject("acme", "ada", "ci", "night,web", "cheap", "openai", "gpt-4o-mini")
DEAR = CI._replace(tier="premium", model="gpt-5")
HOME = CI._replace(tier="local", provider="ollama", model="llama")


def standing(scope="all", window="day", unit="money", since=0, **amounts):
    budget = Budget(scope=parse_scope(scope), window=Window(window), unit=Unit(unit), **amounts)
    return Standing(budget, since)


def installed(*budgets, zone=BERLIN):
    reservations = Reservations(zone)
    reservations.install(budgets, [(each, 0) for each in budgets], NOON)
    return reservations


def state(reservations, at=NOON):
    return [(spent, held) for _, spent, held in reservations.states(at)]


def test_all_budgets_or_none():
    """A call that one of five nested budgets refuses holds nothing in the other four, and the tightest is named."""
    names = ("all", "tenant:acme", "key:ci", "provider:openai", "model:openai/gpt-4o-mini")
    rooms = (100, 50, 30, 29, 90)
    reservations = installed(*(standing(name, hard=room) for name, room in zip(names, rooms, strict=True)))
    refusal = reservations.admit(1, CI, NOON, 40, 10)
    assert isinstance(refusal, Refusal)
    assert str(refusal.budget.scope) == "provider:openai"
    assert (refusal.because, refusal.spent, refusal.held, refusal.asked) == ("hard", 0, 0, 40)
    assert refusal.until == bucket("day", NOON, BERLIN).end_ns
    assert state(reservations) == [(0, 0)] * 5
    held = reservations.admit(1, CI, NOON, 29, 10)
    assert held.left == 0
    assert state(reservations) == [(0, 29)] * 5


@pytest.mark.parametrize(
    "scope",
    ["all", "tenant:acme", "user:ada", "key:ci", "tag:web", "tag:night", "tier:cheap", "provider:openai",
     "model:gpt-4o-mini", "model:openai/gpt-4o-mini"],
)  # fmt: skip
def test_every_scope_concerns_its_calls_and_no_others(scope):
    """A budget of any kind of scope counts the calls in it, and leaves a stranger's alone."""
    reservations = installed(standing(scope, hard=10))
    stranger = Subject("x", "x", "x", "x", "local", "x", "x")
    assert isinstance(reservations.admit(1, CI, NOON, 11, 0), Refusal)
    assert isinstance(reservations.admit(1, stranger, NOON, 11, 0), Refusal) == (scope == "all")


def test_settling_returns_what_was_not_needed_once():
    """A hold becomes what was spent; a second settle of the same attempt changes nothing."""
    reservations = installed(standing(hard=100), standing(unit="tokens", hard=1000))
    held = reservations.admit(1, CI, NOON, 80, 500)
    reservations.settle(held, 30, 200)
    reservations.settle(held, 99, 999)
    assert state(reservations) == [(30, 0), (200, 0)]
    assert isinstance(reservations.admit(2, CI, NOON, 70, 800), Held)


def test_money_never_stops_what_costs_nothing():
    """A local call passes a spent money budget, and one of zero; a budget of tokens counts it like any other."""
    reservations = installed(standing(hard=0), standing(unit="tokens", hard=10))
    held = reservations.admit(1, HOME, NOON, 0, 10)
    assert isinstance(held, Held)
    assert isinstance(reservations.admit(2, HOME, NOON, 0, 1), Refusal)
    assert isinstance(reservations.admit(2, CI, NOON, 1, 0), Refusal)


def test_an_unknown_price_is_not_zero():
    """Under a hard money budget a call without a price is refused; under a soft one it passes."""
    assert installed(standing(hard=100)).admit(1, CI, NOON, None, 5).because == "unpriced"
    assert isinstance(installed(standing(soft=100)).admit(1, CI, NOON, None, 5), Held)
    assert isinstance(installed(standing(unit="tokens", hard=100)).admit(1, CI, NOON, None, 5), Held)


def test_medium_takes_the_premium_tier_away():
    """From the medium mark on, held money included, premium targets are refused and cheap ones go on."""
    reservations = installed(standing(hard=100, medium=50))
    assert isinstance(reservations.admit(1, DEAR, NOON, 50, 0), Held)
    assert reservations.admit(2, DEAR, NOON, 1, 0).because == "medium"
    assert isinstance(reservations.admit(2, CI, NOON, 50, 0), Held)


def test_marks_are_told_once_in_each_window():
    """Soft and warn marks make one event each when spending passes them, and again in the next window."""
    reservations = installed(standing(hard=100, soft=50, warn=(80, 95)))
    told = []
    for at in (NOON, NOON + 24 * HOUR):
        for _ in range(10):
            held = reservations.admit(1, CI, at, 10, 0)
            told += [(event.mark, event.amount, event.bucket) for event in reservations.settle(held, 10, 0)]
    marks = [("soft", 50), ("80%", 80), ("95%", 95)]
    assert told == [(*mark, day) for day in ("2026-11-21", "2026-11-22") for mark in marks]


def test_a_call_is_charged_to_the_day_on_which_it_began():
    """A call from before midnight that ends after it is yesterday's; today begins empty."""
    reservations = installed(standing(hard=100))
    late = bucket("day", NOON, BERLIN).end_ns - SECOND
    held = reservations.admit(1, CI, late, 100, 0)
    assert isinstance(reservations.admit(2, CI, late, 1, 0), Refusal)
    assert isinstance(reservations.admit(2, CI, late + SECOND, 100, 0), Held)
    reservations.settle(held, 60, 0)
    assert state(reservations, late) == [(60, 0)]
    assert state(reservations, late + SECOND) == [(0, 100)]


def test_a_clock_put_back_finds_what_was_spent():
    """After a jump to tomorrow and back today's spending is still there."""
    reservations = installed(standing(hard=100))
    reservations.settle(reservations.admit(1, CI, NOON, 100, 0), 100, 0)
    assert isinstance(reservations.admit(2, CI, NOON + 24 * HOUR, 100, 0), Held)
    assert isinstance(reservations.admit(3, CI, NOON, 1, 0), Refusal)


def test_the_day_on_which_clocks_change_is_one_day():
    """A budget of the 25 hours of that Sunday is one, while the hour that comes twice has two."""
    reservations = installed(standing(hard=10), standing(window="hour", hard=10), zone=BERLIN)
    twice = SUMMER_ENDS + HOUR  # 02:00 for the first time
    reservations.settle(reservations.admit(1, CI, twice, 10, 0), 10, 0)
    refusal = reservations.admit(2, CI, twice + HOUR, 1, 0)
    assert refusal.budget.window is Window.DAY
    assert refusal.until - bucket("day", twice, BERLIN).start_ns == 25 * HOUR
    assert [account[0] for account in state(reservations, twice + HOUR)] == [10, 0]


def test_another_ceiling_keeps_what_is_spent_and_held():
    """Raising a ceiling lifts the refusal at once; lowering it below what is taken refuses until there is room."""
    reservations = installed(standing(hard=100))
    reservations.settle(reservations.admit(1, CI, NOON, 60, 0), 60, 0)
    reservations.admit(2, CI, NOON, 40, 0)
    assert isinstance(reservations.admit(3, CI, NOON, 1, 0), Refusal)
    reservations.install([standing(hard=120)])
    assert state(reservations) == [(60, 40)]
    assert isinstance(reservations.admit(3, CI, NOON, 20, 0), Held)
    reservations.install([standing(hard=10)])
    assert isinstance(reservations.admit(4, CI, NOON, 1, 0), Refusal)


def test_a_new_budget_knows_what_is_under_way():
    """A budget set while calls run counts what they hold, and what ended without being in the ledger yet, once."""
    reservations = installed()
    running = reservations.admit(1, CI, NOON, 40, 7)
    reservations.settle(reservations.admit(2, CI, NOON, 30, 7), 20, 5)  # ended, not written
    reservations.settle(reservations.admit(3, CI, NOON, 30, 7), 10, 5)  # written, and read from the ledger
    reservations.settle(reservations.admit(4, CI, NOON, 30, 7), 10, 5)  # written and forgotten
    reservations.written(4)
    new = standing(hard=100)
    reservations.install([new], [(new, 20)], NOON, written={3})
    assert state(reservations) == [(40, 40)]
    reservations.settle(running, 35, 7)
    assert state(reservations) == [(75, 0)]


def test_a_reset_begins_anew():
    """After a reset nothing is spent; what began before it is charged to the past."""
    reservations = installed(standing(hard=100))
    running = reservations.admit(1, CI, NOON, 100, 0)
    new = standing(hard=100, since=NOON + SECOND)
    assert reservations.unread([new]) == [new]
    reservations.install([new], [(new, 0)], NOON + SECOND)
    reservations.settle(running, 100, 0)
    assert state(reservations) == [(0, 0)]


def test_a_thousand_budgets_cost_a_call_microseconds():
    """With 1,000 budgets of which five concern a call, holding and settling stays in the order of ten microseconds."""
    names = ["all", "tenant:acme", "key:ci", "provider:openai", "tier:cheap"]
    names += [f"key:other{number}" for number in range(995)]
    reservations = installed(*(standing(name, hard=10**12) for name in names))

    def once():
        reservations.settle(reservations.admit(1, CI, NOON, 10, 10), 5, 5)
        reservations.written(1)

    best = min(timeit.repeat(once, number=2000, repeat=5)) / 2000
    assert best < 60e-6, f"{best * 1e6:.1f} µs"


SUBJECTS = [CI, DEAR, HOME, CI._replace(key="web", tags=""), CI._replace(tenant="other", provider="groq")]
SCOPES = ["all", "tenant:acme", "key:ci", "provider:openai", "tag:web", "tier:premium", "model:gpt-5"]
MOMENTS = st.sampled_from([0, SECOND, 20 * 60 * SECOND, HOUR, 7 * HOUR, 24 * HOUR, -HOUR, -25 * HOUR])


class Machine(RuleBasedStateMachine):
    """Keeps a plain list of every charge beside the accounts and adds it up anew after each step."""

    running = Bundle("running")

    def __init__(self):
        super().__init__()
        self.now = SUMMER_ENDS
        self.reservations = Reservations(BERLIN)
        self.budgets = {}
        self.charges = []
        self.elsewhere = defaultdict(set)
        """Charges in the ledger that a budget did not read when it came: those of windows that were not running."""

    def concerns(self, each, held, at):
        period = bucket(each.budget.window, at, BERLIN)
        return each.budget.scope in held.subject.scopes() and period.start_ns <= held.at < period.end_ns

    def counts(self, each, charge, at):
        """A call from before a reset does not count, unless it came after it, when the clock had been put back."""
        after = charge["held"].at >= each.since or (each.budget.name, each.since) in charge["under"]
        return after and self.concerns(each, charge["held"], at)

    def truth(self, each, at):
        """What a budget's account must be: spent and held."""
        spent = held = 0
        for number, charge in enumerate(self.charges):
            if number not in self.elsewhere[each.budget.name] and self.counts(each, charge, at):
                money = each.budget.unit is Unit.MONEY
                if charge["settled"] is None:
                    held += charge["worst"][0 if money else 1]
                else:
                    spent += charge["settled"][0 if money else 1]
        return spent, held

    @rule(
        target=running,
        subject=st.sampled_from(SUBJECTS),
        cost=st.integers(1, 60),
        tokens=st.integers(0, 60),
        late=st.sampled_from([0, 0, 0, 10 * SECOND, HOUR]),
    )
    def admit(self, subject, cost, tokens, late):
        at = self.now - late  # a slow upload, a fallback: the request began before
        cost = 0 if subject is HOME else cost
        before = {name: self.truth(each, at) for name, each in self.budgets.items()}
        result = self.reservations.admit(len(self.charges), subject, at, cost, tokens)
        probe = Held(subject, at, cost, tokens)
        refusing = []
        for name, each in self.budgets.items():
            budget, (spent, held) = each.budget, before[name]
            money = budget.unit is Unit.MONEY
            if budget.scope not in subject.scopes() or (money and cost == 0):
                continue
            over = budget.hard is not None and spent + held + (cost if money else tokens) > budget.hard
            premium = (
                budget.medium is not None and subject.tier == "premium" and spent + held >= budget.medium
            )
            if over or premium:
                refusing.append(budget)
        assert isinstance(result, Refusal) == bool(refusing)
        if isinstance(result, Refusal):
            assert result.budget in refusing
            assert (result.spent, result.held) == before[result.budget.name]
            return {}
        charge = {"held": result, "worst": (probe.cost, tokens), "settled": None, "written": False}
        charge["under"] = {(each.budget.name, each.since) for each in self.budgets.values()}
        self.charges.append(charge)
        return charge

    @rule(charge=consumes(running), part=st.integers(0, 100))
    def settle(self, charge, part):
        """From nothing at all, as after a refusal or a cancel, to the whole worst case."""
        if charge and charge["settled"] is None:
            cost, tokens = (amount * part // 100 for amount in charge["worst"])
            self.reservations.settle(charge["held"], cost, tokens)
            self.reservations.settle(charge["held"], 10**6, 10**6)
            charge["settled"] = cost, tokens

    @rule(fates=st.lists(st.booleans()))
    def commit(self, fates):
        """The ledger writes what has ended; of some the gateway does not know yet."""
        ended = [c for c in self.charges if c["settled"] is not None and not c["written"]]
        for charge, known in zip(ended, fates, strict=False):
            charge["written"] = True
            if known:
                self.reservations.written(self.charges.index(charge))

    @rule(span=MOMENTS)
    def pass_time(self, span):
        """Also backwards, over midnight and over the day on which clocks change."""
        self.now += span

    @rule(
        scope=st.sampled_from(SCOPES),
        window=st.sampled_from(Window),
        unit=st.sampled_from(Unit),
        hard=st.none() | st.integers(0, 300),
        medium=st.none() | st.integers(0, 100),
    )
    def set_budget(self, scope, window, unit, hard, medium):
        each = standing(scope, window, unit, hard=hard, medium=medium)
        old = self.budgets.get(each.budget.name)
        self.budgets[each.budget.name] = Standing(each.budget, old.since if old else 0)
        self.install()

    @rule(pick=st.randoms(use_true_random=False), reset=st.booleans())
    def reset_or_remove(self, pick, reset):
        if self.budgets:
            name = pick.choice(list(self.budgets))
            each = self.budgets.pop(name)
            if reset:
                self.budgets[name] = Standing(each.budget, self.now)
            self.install()

    def install(self):
        standing_now = list(self.budgets.values())
        unread = self.reservations.unread(standing_now)
        written = {number for number, charge in enumerate(self.charges) if charge["written"]}
        spent = []
        for each in unread:
            kind = 0 if each.budget.unit is Unit.MONEY else 1
            held = {number: self.charges[number]["held"] for number in written}
            mine = {n for n in written if held[n].at >= each.since and self.concerns(each, held[n], self.now)}
            self.elsewhere[each.budget.name] = written - mine
            spent.append((each, sum(self.charges[number]["settled"][kind] for number in mine)))
        self.reservations.install(standing_now, spent, self.now, written & set(self.reservations.owners))

    @rule()
    def crash(self):
        """The process dies: orphans are charged at their hold, and a new one begins with what the ledger has."""
        for charge in self.charges:
            charge["settled"] = charge["worst"] if charge["settled"] is None else charge["settled"]
            charge["written"] = True
            charge["held"].open = False
        self.reservations = Reservations(BERLIN)
        self.install()

    @invariant()
    def accounts_are_the_sum_of_their_charges(self):
        for budget, spent, held in self.reservations.states(self.now):
            assert (spent, held) == self.truth(self.budgets[budget.name], self.now), budget


Machine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_any_life_of_the_budgets = Machine.TestCase


@pytest.mark.slow
def test_fifty_thousand_steps():
    """The same over 50,000 steps."""
    many = settings(
        max_examples=500, stateful_step_count=100, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Machine, settings=many)


def test_all_is_the_widest():
    """The scope of everybody concerns every call."""
    assert all(ALL in subject.scopes() for subject in SUBJECTS)
