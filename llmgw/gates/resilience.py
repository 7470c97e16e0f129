"""How calls survive bad targets: whom to ask first, whom to leave alone, when to ask once more or another one too."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from llmgw.gates.breakers import Breakers, says
from llmgw.rules.backoff import RetryBudget, Retrying, next_wait
from llmgw.rules.balancing import EXPLORE, FAILED, Balance, Latencies, equals
from llmgw.rules.breaker import Breaking
from llmgw.rules.planning import VIRTUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmgw.domain.clock import Clock
    from llmgw.domain.route import Target
    from llmgw.gates.state import Attempt, Call, Gateway

USUAL_OUTPUT = 512
"""Output tokens that prices are compared for where the caller names no limit."""


class Resilient(Struct, frozen=True, kw_only=True):
    """What an operator decides; ``hedge_seconds`` 0: a second target is asked only when the first has failed."""

    balance: Balance = Balance.ORDER
    breaking: Breaking = Breaking()
    retrying: Retrying = Retrying()
    hedge_seconds: float = 0


class Resilience:
    """The gateway's memory of how its targets fare."""

    __slots__ = (
        "_balance",
        "_clock",
        "_latencies",
        "_random",
        "breakers",
        "budget",
        "hedge_seconds",
        "retrying",
    )

    def __init__(
        self,
        options: Resilient,
        clock: Clock,
        tell: Callable[[str, str, str], None],
        random: Random | None = None,
    ) -> None:
        self._balance = options.balance
        self._clock = clock
        self._latencies = Latencies()
        self._random = random or Random()  # noqa: S311 (chance, no secret)
        self.breakers = Breakers(options.breaking, clock, tell)
        self.budget = RetryBudget(options.retrying.budget)
        self.hedge_seconds = options.hedge_seconds
        self.retrying = options.retrying

    def order(self, gateway: Gateway, call: Call) -> list[Target]:
        """The targets of a call, the ones to ask first at the front; RateLimited when none may be asked yet."""
        targets: Sequence[Target] = call.route.targets
        if self._balance is not Balance.ORDER and len(targets) > 1:
            targets = self._balanced(gateway, call, targets)
        ordered = gateway.headroom.order(gateway, call, targets)
        return self.breakers.order(ordered) if self.breakers and len(ordered) > 1 else ordered

    def _balanced(self, gateway: Gateway, call: Call, targets: Sequence[Target]) -> list[Target]:
        found: list[Target] = []
        for run in equals(targets, any_model=call.route.asked in VIRTUAL):
            if len(run) > 1:
                if self._balance is Balance.COST:
                    run.sort(key=lambda target: _cost(gateway, call, target))
                else:
                    run.sort(key=lambda target: self._latencies.of((target, call.peek.stream)))
                    if self._random.random() < EXPLORE:
                        run.insert(0, run.pop(self._random.randrange(1, len(run))))
            found += run
        return found

    def observe(self, call: Call, attempt: Attempt) -> None:
        """An answer went well: remember how soon it began. A plain one begins when it is whole."""
        if self._balance is Balance.LATENCY and attempt.first_byte is not None:
            name = attempt.destination.target, call.peek.stream
            self._latencies.observe(name, attempt.first_byte - attempt.started, attempt.first_byte)

    def leave(self, call: Call, target: Target, error: BaseException | None, *, tried: bool) -> None:
        """A target's turn is over; ``error`` None: it went well, ``tried`` is what its breaker said."""
        if self._balance is Balance.LATENCY and error is not None and says(error) is False:
            now = self._clock.tick()
            self._latencies.observe((target, call.peek.stream), FAILED, now)
        self.breakers.leave(target, error, tried=tried)

    def wait(self, before: float) -> float:
        """Seconds before the next round, by chance; ``before`` is the last such wait."""
        return next_wait(before, self.retrying, self._random.uniform)


def _cost(gateway: Gateway, call: Call, target: Target) -> float:
    """What a usual answer of a target costs, in nano-dollars per million; dearer than any where no price is known."""
    price = gateway.price(gateway.router.destination(target), call.started_at)
    if price is None:
        return float("inf")
    output = (call.peek.max_tokens or USUAL_OUTPUT) * call.peek.n
    return (
        price.input * (call.peek.prompt_bytes // 4) + price.output * output + 1_000_000 * (price.request or 0)
    )
