"""Gate 9: the worst case of each attempt is held in every budget that concerns it, before its bytes leave."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.ledger import Hold
from llmgw.domain.money import NANO, format_usd
from llmgw.errors import BudgetExceeded, GatewayError
from llmgw.gates.settle import UNSAID_OUTPUT
from llmgw.gates.state import Attempt, Call, Gateway
from llmgw.rules.estimating import upper_bound_tokens
from llmgw.rules.pricing import hold_cost
from llmgw.rules.reservations import Event, Held, Refusal, Reservations, Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from llmgw.domain.clock import Nanoseconds
    from llmgw.domain.money import NanoUSD
    from llmgw.domain.route import Target
    from llmgw.gates.state import Destination
    from llmgw.storage.budgets import Budgets

DOWNGRADE = "downgrade:"


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
    ) -> None:
        """``tell`` hears of each mark that is passed."""
        self._budgets = budgets
        self._version = version
        self._zone = zone
        self._tell = tell
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

    def hold(self, call: Call, target: Target, cost: NanoUSD | None, tokens: int) -> Held:
        """Hold an attempt's worst case; OverBudget when one of its budgets has no room."""
        self.refresh(call.started_at)
        key = call.key
        subject = Subject(
            key.tenant, key.user, key.name, call.tags, target.tier, target.provider, target.model
        )
        held = self.reservations.admit(call.id, subject, call.started_at, cost, tokens)
        if isinstance(held, Refusal):
            if held.budget.unit is Unit.MONEY and held.budget.hard is not None:
                call.budget_left = max(0, held.budget.hard - held.spent - held.held)
            raise _over_budget(held, target, self._zone)
        self._show(call, held)
        return held

    def settle(self, call: Call, held: Held, cost: NanoUSD | None, tokens: int) -> None:
        """Charge what an attempt cost in place of what it held."""
        for event in self.reservations.settle(held, cost, tokens):
            self._tell(event)
        self._show(call, held)

    def _show(self, call: Call, held: Held) -> None:
        if held.entries:
            call.budget_left = held.left
            passed = held.passed
            call.budget_warning = "" if passed is None else spent_of(*passed)


def reserve(gateway: Gateway, call: Call, destination: Destination) -> tuple[Attempt, Hold]:
    """A new attempt at a destination, its worst case held in every budget, and its row for the ledger.

    OverBudget when a budget has no room for it. A worst case is None where no price is known.
    """
    target, peek = destination.target, call.peek
    price = gateway.price(destination, call.started_at)
    input_bound = upper_bound_tokens(peek.prompt_bytes, peek.attachments)
    output_bound = (peek.max_tokens or UNSAID_OUTPUT) * peek.n
    worst = None if price is None else hold_cost(price, input_bound, output_bound)
    held = gateway.purse.hold(call, target, worst, input_bound + output_bound)
    call.attempts += 1
    attempt = Attempt(call.attempts, destination, price, gateway.clock.tick(), held)
    attempt.output_bound = output_bound
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
