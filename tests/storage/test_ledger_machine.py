"""Random lives of a ledger: whatever happens in whatever order, its sums hold."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from support.ledger_words import NOON, a_hold, a_refusal, a_request, an_outcome, standing_clock

from llmgw.domain.ledger import AttemptState
from llmgw.storage.ledger import Ledger
from llmgw.storage.reports import Reports

COSTS = st.none() | st.integers(0, 10**12)
MODELS = st.sampled_from(["a", "b", ""])


def plus(left, right):
    return None if left is None or right is None else left + right


class LedgerMachine(RuleBasedStateMachine):
    """Keeps beside the ledger what each request must have cost; nothing is awaited before the check, so batches mix."""

    open_attempts = Bundle("open_attempts")
    ended = Bundle("ended")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.boots = 0
        self.last = 0
        self.pending = []
        self.closed = {}
        self.flying = {}
        self.start()

    def start(self):
        self.boots += 1

        async def opened():
            return Ledger.open(self.folder / "llmgw.db", f"boot{self.boots}", standing_clock())

        self.ledger = self.runner.run(opened())

    def do(self, submit, *arguments, **options):
        async def submitted():
            return submit(*arguments, **options)

        self.pending.append(self.runner.run(submitted()))

    def settle_pending(self):
        async def waited():
            await asyncio.gather(*self.pending)

        self.runner.run(waited())
        self.pending = []

    @rule(target=open_attempts, cost=COSTS, model=MODELS, dispatched=st.booleans())
    def hold(self, cost, model, dispatched):
        self.last += 1
        self.do(self.ledger.hold, a_hold(self.last, cost=cost, model=model), dispatched=dispatched)
        self.flying[self.last] = (0, 1, cost if dispatched else 0)
        return self.last, 1, self.boots

    @rule(
        target=open_attempts,
        attempt=consumes(open_attempts),
        spent=COSTS,
        cost=COSTS,
        dispatched=st.booleans(),
    )
    def fall_back(self, attempt, spent, cost, dispatched):
        number, count, boot = attempt
        if boot != self.boots:
            return multiple()
        self.do(self.ledger.settle, an_outcome(number, count, cost=spent, error="upstream_error"))
        self.do(self.ledger.hold, a_hold(number, count + 1, cost=cost), dispatched=dispatched)
        self.flying[number] = (plus(self.flying[number][0], spent), count + 1, cost if dispatched else 0)
        return number, count + 1, boot

    @rule(attempt=open_attempts)
    def dispatch(self, attempt):
        number, count, _ = attempt
        self.do(self.ledger.dispatch, number, count)
        known = self.flying.get(number)
        if known is not None and known[1] == count:
            held = self.held_cost(number, count)
            self.flying[number] = (known[0], count, held)

    def held_cost(self, number, count):
        self.settle_pending()
        reader = self.ledger._database.reader()
        sql = "SELECT held_cost FROM attempts WHERE request_id = ? AND attempt = ?"
        return reader.execute(sql, (number, count)).fetchone()[0]

    @rule(
        target=ended,
        attempt=consumes(open_attempts),
        cost=COSTS,
        premium=COSTS,
        model=MODELS,
        state=st.sampled_from([AttemptState.SETTLED, AttemptState.RELEASED]),
        late=st.integers(0, 10**13),
    )
    def settle(self, attempt, cost, premium, model, state, late):
        number, count, _ = attempt
        if number in self.flying:
            whole = plus(self.flying.pop(number)[0], cost)
            self.closed[number] = whole
        else:
            whole = cost
        row = a_request(
            number,
            cost=whole,
            premium_cost=premium,
            attempts=count,
            model=model,
            started_at=NOON + late,
            error="" if late % 2 else "cancelled",
        )
        self.do(self.ledger.settle, an_outcome(number, count, cost=cost, state=state), row)
        return number, count

    @rule(attempt=ended, cost=COSTS)
    def settle_again(self, attempt, cost):
        number, count = attempt
        row = a_request(number, cost=cost, attempts=count)
        self.do(self.ledger.settle, an_outcome(number, count, cost=cost), row)

    @rule()
    def refuse(self):
        self.last += 1
        self.do(self.ledger.record, a_refusal(self.last))
        self.closed[self.last] = 0

    @rule(clean=st.booleans())
    def die_and_start_again(self, clean):
        self.settle_pending()
        self.ledger.close()
        self.start()
        recovered = self.ledger.recover()
        assert recovered.requests == len(self.flying)
        for number, (spent, _, held) in self.flying.items():
            self.closed[number] = plus(spent, held)
        self.flying = {}
        if clean:
            assert not self.ledger.recover()

    @invariant()
    def sums_hold(self):
        if len(self.pending) < 4:  # let operations gather, so that batches are mixed
            return
        self.check()

    def check(self):
        self.settle_pending()
        assert self.ledger.verify() == []
        totals = Reports(self.ledger._database).totals()
        assert totals.requests == len(self.closed)
        assert totals.cost == sum(cost or 0 for cost in self.closed.values())
        assert totals.unknown_cost == sum(cost is None for cost in self.closed.values())
        rows = self.ledger._database.reader().execute("SELECT id, cost FROM requests")
        assert dict(rows) == self.closed

    def teardown(self):
        self.check()
        self.ledger.close()
        self.runner.close()
        shutil.rmtree(self.folder)


LedgerMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLedger = LedgerMachine.TestCase
