"""Gate 9: the worst case of each attempt is held in every budget that concerns it, before its bytes leave."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.ledger import Hold
from llmgw.domain.money import NANO, format_usd
from llmgw.errors import BudgetExceeded, GatewayError
from llmgw.gates.settle import UNSAID_OUTPUT
from llmgw.gates.state import Attempt, Call, Gateway
from llmgw.gates.waiting import WAIT, Lines
from llmgw.rules.estimating import estimate_tokens, upper_bound_tokens
from llmgw.rules.pricing import hold_cost
from llmgw.rules.reservations import Event, Held, Name, Refusal, Reservations, Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.money import NanoUSD
    from llmgw.domain.route import Target
    from llmgw.gates.exchange import Exchange
    from llmgw.gates.state import Destination
    from llmgw.providers.base import Peek
    from llmgw.storage.budgets import Budgets

DOWNGRADE = "downgrade:"

MOST_OUTPUT = 131_072
"""Output tokens that no model writes more of in one answer; held for a call that names no limit, where there is room."""

TOLERANCE = 512
"""Tokens by which a count of a stream's text may be off, and that may come in one piece."""

LEAST_BYTES = 8
"""Bytes of a stream for each token of it, events and all, at the very least as long as nothing is known."""
LEAST_STEP = 2048
"""Bytes between two counts."""

SPARE = 4
"""As long as a hard budget has room for so many answers of that length, such a call may be as long as it likes."""


class OverBudget(BudgetExceeded):
    """A budget refuses a target; ``refusal`` says which and why."""

    def __init__(self, refusal: Refusal, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.refusal = refusal


class Purse:
    """The budgets in force, read again whenever ``version`` moves, so that a change counts on the next attempt."""

    def __init__(
        self,
        budgets: Budgets,
        version: Callable[[], int],
        zone: ZoneInfo,
        tell: Callable[[Event], None],
        wait: float = WAIT,
    ) -> None:
        """``tell`` hears of each mark that is passed; ``wait`` is how many seconds a call waits for what others hold."""
        self._budgets = budgets
        self._version = version
        self._zone = zone
        self._tell = tell
        self._wait = wait
        self._lines = Lines()
        self._refused: dict[tuple[object, str], Nanoseconds] = {}
        self._seen: int | None = None
        self.reservations = Reservations(zone)

    @property
    def zone(self) -> ZoneInfo:
        """Whose midnights end the days of budgets."""
        return self._zone

    def forget(self) -> None:
        """Read the budgets again on the next attempt."""
        self._seen = None

    def refresh(self, now: Nanoseconds) -> None:
        """Put in force what was set since; only a budget that is new here is asked from the ledger."""
        version = self._version()
        if version == self._seen:
            return
        reservations = self.reservations
        standing = self._budgets.load()
        unread = reservations.unread(standing)
        if unread:
            spent, written = self._budgets.spent(unread, self._zone, now, reservations.owners)
            reservations.install(standing, zip(unread, spent, strict=True), now, written)
        else:
            reservations.install(standing)
        self._seen = version
        self._lines.call_all()

    async def hold(self, call: Call, target: Target, cost: NanoUSD | None, tokens: int) -> Held:
        """Hold an attempt's worst case; OverBudget when one of its budgets has no room.

        Where only what others hold is in the way, it waits for them a little.
        """
        self.refresh(call.started_at)
        key = call.key
        subject = Subject(
            key.tenant, key.user, key.name, call.tags, target.tier, target.provider, target.model
        )
        held = self.reservations.admit(call.id, subject, call.started_at, cost, tokens)
        name = self._behind(held) if self._lines else None
        if name is not None and isinstance(held, Held):
            self.reservations.settle(held, 0, 0)
        elif isinstance(held, Refusal) and held.waits:
            name = held.budget.name
        if name is not None and self._wait:
            held = await self._hold_late(call, subject, name, cost, tokens)
        if isinstance(held, Refusal):
            if held.budget.unit is Unit.MONEY and held.budget.hard is not None:
                call.budget_left = max(0, held.budget.hard - held.spent - held.held)
            self._tell_refusal(held)
            raise _over_budget(held, target, self._zone)
        self._show(call, held)
        return held

    def _tell_refusal(self, refusal: Refusal) -> None:
        """Tell that a budget refuses calls, once in its window for each reason."""
        budget, because = refusal.budget, refusal.because
        amount = {"hard": budget.hard, "medium": budget.medium}.get(because)
        name = budget.name, because
        if amount is not None and not refusal.waits and self._refused.get(name) != refusal.until:
            self._refused[name] = refusal.until
            self._tell(Event(because, amount, budget, str(refusal.until), refusal.spent))

    def _behind(self, held: Held | Refusal) -> Name | None:
        """The budget that others wait for whose room a newcomer has taken."""
        if isinstance(held, Refusal):
            return None
        limited = (line for line, _ in held.entries if held.cost or not line.money)
        return next((line.budget.name for line in limited if self._lines.busy(line.budget.name)), None)

    async def _hold_late(
        self, call: Call, subject: Subject, name: Name, cost: NanoUSD | None, tokens: int
    ) -> Held | Refusal:
        """What ``admit`` says once others have given back enough, or when the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait
        again = False
        held: Held | Refusal | None = None
        while held is None or (isinstance(held, Refusal) and held.waits and end > loop.time()):
            if isinstance(held, Refusal):
                if again and held.budget.name != name:
                    self._lines.call(name)
                name = held.budget.name
            again = await self._lines.turn(name, max(0.0, end - loop.time()), again=again)
            held = self.reservations.admit(call.id, subject, call.started_at, cost, tokens)
        if again:  # whatever came of it, it stands there no longer
            self._lines.call(name)
        return held

    def grow(self, held: Held, cost: NanoUSD, tokens: int) -> bool:
        """Hold so much of an attempt under way instead; False when there is no room."""
        return self.reservations.amend(held, cost, tokens)

    def loosen(self, held: Held, cost: NanoUSD, tokens: int) -> bool:
        """Hold so much instead if there is room for ``SPARE`` times as much and nobody waits."""
        return not self._lines and self.reservations.amend(held, cost, tokens, parts=SPARE)

    def settle(self, call: Call, held: Held, cost: NanoUSD | None, tokens: int) -> None:
        """Charge what an attempt cost in place of what it held."""
        for event in self.reservations.settle(held, cost, tokens):
            self._tell(event)
        if self._lines:
            for line, _ in held.entries:
                self._lines.call(line.budget.name)
        self._show(call, held)

    def _show(self, call: Call, held: Held) -> None:
        if held.entries:
            call.budget_left = held.left
            passed = held.passed
            call.budget_warning = "" if passed is None else spent_of(*passed)


async def reserve(gateway: Gateway, call: Call, destination: Destination) -> tuple[Attempt, Hold]:
    """A new attempt at a destination, its worst case held in every budget, and its row for the ledger.

    OverBudget when a budget has no room for it. A worst case is None where no price is known. A call that names no
    limit gets one, ``attempt.most_output``, where a hard budget has not room to spare for whatever it may write.
    """
    target, peek = destination.target, call.peek
    price = gateway.price(destination, call.started_at)
    input_bound = upper_bound_tokens(peek.prompt_bytes, peek.attachments)
    output_bound = (peek.max_tokens or UNSAID_OUTPUT) * peek.n
    worst = None if price is None else hold_cost(price, input_bound, output_bound)
    held = await gateway.purse.hold(call, target, worst, input_bound + output_bound)
    call.attempts += 1
    attempt = Attempt(call.attempts, destination, price, gateway.clock.tick(), held)
    attempt.output_bound = output_bound
    if held.bounded:
        _bound(gateway, attempt, peek, input_bound)
    hold = Hold(
        request_id=call.id,
        attempt=attempt.number,
        started_at=gateway.clock.now() if attempt.number > 1 else call.started_at,
        tenant=call.key.tenant,
        user=call.key.user,
        key_id=call.key.id,
        key_name=call.key.name,
        tags=call.tags,
        surface=call.surface,
        stream=peek.stream,
        model_asked=peek.model,
        provider=target.provider,
        model=target.model,
        tier=target.tier,
        cost=worst,
    )
    return attempt, hold


def _bound(gateway: Gateway, attempt: Attempt, peek: Peek, input_bound: int) -> None:
    """See to it that an answer cannot outgrow what is held for it: hold more, say a limit, or watch its stream."""
    attempt.input_bound = input_bound
    if peek.max_tokens is not None:
        attempt.output_held = attempt.output_bound
        attempt.grow_at = (
            attempt.output_bound * 3 // 2 + TOLERANCE
        )  # who keeps to the limit does not get there
        return
    most = MOST_OUTPUT * peek.n
    if gateway.purse.loosen(attempt.held, _worst(attempt, most), input_bound + most):
        attempt.output_held = most
    else:
        attempt.output_held = attempt.output_bound
        attempt.most_output = attempt.output_bound // peek.n * 3 // 4
    attempt.grow_at = attempt.output_held - TOLERANCE


class Growth:
    """Watches a stream that a hard budget concerns: before it outgrows what is held more is held, or it ends.

    Its text is counted anew only where it may have grown halfway there since the last time.
    """

    __slots__ = ("_attempt", "_call", "_crossing", "_gateway", "_look_at", "_seen")

    def __init__(self, gateway: Gateway, call: Call, attempt: Attempt, crossing: Exchange) -> None:
        self._gateway = gateway
        self._call = call
        self._attempt = attempt
        self._crossing = crossing
        self._seen = 0
        self._look_at = (attempt.grow_at or 0) * LEAST_BYTES

    def add(self, size: int) -> None:
        """So many bytes of the stream more; BudgetExceeded where there is no room for what they may have said."""
        self._seen += size
        if self._seen < self._look_at:
            return
        attempt = self._attempt
        written = estimate_tokens(self._crossing.text())
        if attempt.grow_at is not None and written >= attempt.grow_at:
            self._hold_more(written)
        left = (attempt.grow_at or 0) - written
        self._look_at = self._seen + max(LEAST_STEP, left * (self._seen // max(1, written)) // 2)

    def _hold_more(self, written: int) -> None:
        attempt = self._attempt
        for step in (UNSAID_OUTPUT, UNSAID_OUTPUT // 4):
            more = max(written, attempt.output_held) + step
            worst = _worst(attempt, more)
            if self._gateway.purse.grow(attempt.held, worst, attempt.input_bound + more):
                attempt.output_held = more
                attempt.grow_at = more - TOLERANCE
                self._gateway.ledger.amend(self._call.id, attempt.number, worst)
                return
        raise BudgetExceeded(
            f"the answer outgrew what its budgets have room for, after about {written:,} tokens",
            hint="raise the budget, or name a `max_tokens` that the provider keeps to",
        )


def _worst(attempt: Attempt, output: int) -> NanoUSD:
    return 0 if attempt.price is None else hold_cost(attempt.price, attempt.input_bound, output)


def downgrade(gateway: Gateway, call: Call, refusal: Refusal, tried: list[Target]) -> list[Target]:
    """The further targets that the refusing budget sends a call to, of those that its key may use."""
    if refusal.because == "unpriced" or not refusal.budget.on_exceed.startswith(DOWNGRADE):
        return []
    tier = refusal.budget.on_exceed.removeprefix(DOWNGRADE)
    try:
        targets = gateway.router.route(f"gateway-{tier}", None).targets
    except GatewayError:  # nothing is in that tier
        return []
    return [
        target
        for target in targets
        if target not in tried
        and call.key.allows(call.peek.model, target.model, target.name, f"{target.tier}/{target.model}")
    ]


def shown(amount: int, unit: Unit) -> str:
    """An amount in a budget's unit, for people."""
    return format_usd(amount) if unit is Unit.MONEY else f"{amount:,} tokens"


def spent_of(budget: Budget, spent: int) -> str:
    """``budget key:ci: $4.00 of $5.00 spent this day``."""
    ceiling = next(each for each in (budget.hard, budget.medium, budget.soft) if each is not None)
    share = f"{shown(spent, budget.unit)} of {shown(ceiling, budget.unit)} spent"
    return f"budget {budget.scope}: {share} {_stretch(budget.window)}"


def _stretch(window: Window) -> str:
    return "in total" if window is Window.TOTAL else f"this {window}"


def _over_budget(refusal: Refusal, target: Target, zone: ZoneInfo) -> OverBudget:
    budget = refusal.budget
    spent = spent_of(budget, refusal.spent)
    raising = f"`llmgw budget set {budget.scope} AMOUNT/{budget.window}` raises it"
    if refusal.because == "unpriced":
        return OverBudget(
            refusal,
            f"the price of {target.name} is not known, which the {spent.split(':')[0]} does not allow",
            f'give it a price: [prices."{target.name}"] in llmgw.toml',
        )
    if refusal.held:
        spent += f", {shown(refusal.held, budget.unit)} held by calls under way"
    if refusal.because == "medium":
        what = f"no premium target any more, {target.name} is one"
    else:
        what = f"no room for a call that may take {shown(refusal.asked, budget.unit)}"
    if budget.on_exceed == "cache":
        what += "; only cached answers are given"
    if budget.window is Window.TOTAL:
        return OverBudget(refusal, f"{spent}: {what}", raising)
    ends = datetime.fromtimestamp(refusal.until // NANO, zone).isoformat(" ", "minutes")
    return OverBudget(refusal, f"{spent}: {what}", f"{raising}, or wait until {ends}")
