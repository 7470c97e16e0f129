"""Holding money before it is spent: every call is checked against all budgets that concern it, in one step.

Each budget has an account for each of its buckets, of what was spent and what is held. A call is charged to the
bucket in which its request began, whenever it ends, so the end of a window rewrites nothing. No call can fall between
check and hold as long as ``admit`` is not interrupted, which on one event loop nothing can do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.clock import Nanoseconds
from llmgw.domain.route import Tier
from llmgw.domain.scope import ALL, Scope, ScopeKind
from llmgw.rules.windows import Bucket, bucket

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from zoneinfo import ZoneInfo

    from llmgw.domain.money import NanoUSD

MEMO_SIZE = 16_384
BUCKETS_KEPT = 48
"""Accounts of a budget that are remembered, so that a clock put back finds them: two days of hours."""

Name = tuple[Scope, Window, Unit]
Because = str
"""Why a call was refused: ``hard``, ``medium`` or ``unpriced``."""


class Subject(NamedTuple):
    """Whom a call concerns. ``tags`` is canonical: sorted, comma separated."""

    tenant: str
    user: str
    key: str
    tags: str
    tier: str
    provider: str
    model: str

    def scopes(self) -> tuple[Scope, ...]:
        """Every scope that holds the call, each once."""
        return (
            ALL,
            Scope(ScopeKind.TENANT, self.tenant),
            Scope(ScopeKind.USER, self.user),
            Scope(ScopeKind.KEY, self.key),
            *(Scope(ScopeKind.TAG, tag) for tag in self.tags.split(",") if tag),
            Scope(ScopeKind.TIER, self.tier),
            Scope(ScopeKind.PROVIDER, self.provider),
            Scope(ScopeKind.MODEL, self.model),
            Scope(ScopeKind.MODEL, f"{self.provider}/{self.model}"),
        )


class Standing(Struct, frozen=True):
    """A budget in force; what began before ``since``, its last reset, does not count."""

    budget: Budget
    since: Nanoseconds = 0


class Account:
    """What was spent and is held in one bucket, and how many of the budget's marks were told."""

    __slots__ = ("held", "spent", "told")

    def __init__(self, spent: int = 0) -> None:
        self.spent = spent
        self.held = 0
        self.told = 0


class Refusal(Struct, frozen=True):
    """The budget that has the least left of those that refuse a call, and when its window ends.

    ``waits`` says that the call would fit everywhere if nothing were held: what is under way may make room for it.
    """

    because: Because
    budget: Budget
    spent: int
    held: int
    asked: int
    until: Nanoseconds
    waits: bool = False


class Event(Struct, frozen=True):
    """A mark that was passed for the first time in a bucket: ``soft``, or a percentage such as ``80%``."""

    mark: str
    amount: int
    budget: Budget
    bucket: str
    spent: int


class Line:
    """One budget at work."""

    __slots__ = ("_bucket", "_current", "accounts", "budget", "marks", "money", "since")

    def __init__(self, standing: Standing) -> None:
        self.accounts: dict[str, Account] = {}
        self._bucket: Bucket | None = None
        self.since = standing.since
        self.change(standing.budget)

    def change(self, budget: Budget) -> None:
        """Put other amounts in force; what is spent and held stays."""
        self.budget = budget
        self.money = budget.unit is Unit.MONEY
        hard = budget.hard
        percents = [] if hard is None else [(-(-hard * each // 100), f"{each}%") for each in budget.warn]
        soft = [] if budget.soft is None else [(budget.soft, "soft")]
        self.marks = sorted(percents + soft)
        for account in self.accounts.values():
            account.told = 0

    def bucket(self, at: Nanoseconds, zone: ZoneInfo) -> Bucket:
        """The bucket of a moment; the last one asked for is remembered, with its account."""
        known = self._bucket
        if known is None or not known.start_ns <= at < known.end_ns:
            known = self._bucket = bucket(self.budget.window, at, zone)
            self._current = self.accounts.setdefault(known.id, Account())
            if len(self.accounts) > BUCKETS_KEPT:
                oldest = next(name for name in self.accounts if name != known.id)
                del self.accounts[oldest]
        return known

    def account(self, at: Nanoseconds, zone: ZoneInfo) -> Account:
        self.bucket(at, zone)
        return self._current


class Held:
    """What one attempt holds: an amount in each account that concerns it, until it is settled."""

    __slots__ = ("at", "cost", "entries", "open", "subject", "tokens")

    def __init__(self, subject: Subject, at: Nanoseconds, cost: NanoUSD | None, tokens: int) -> None:
        self.subject = subject
        self.at = at
        self.cost = cost or 0
        self.tokens = tokens
        self.entries: list[tuple[Line, Account]] = []
        self.open = True

    @property
    def left(self) -> NanoUSD | None:
        """The least money left under any hard ceiling that concerns the call; None where there is none."""
        least = None
        for line, account in self.entries:
            hard = line.budget.hard
            if line.money and hard is not None:
                left = max(0, hard - account.spent - account.held)
                least = left if least is None or left < least else least
        return least

    @property
    def bounded(self) -> bool:
        """Whether a ceiling that is never to be exceeded concerns the call."""
        return any(
            line.budget.hard is not None and not (line.money and not self.cost) for line, _ in self.entries
        )

    @property
    def passed(self) -> tuple[Budget, int] | None:
        """The first budget with a mark that its spending has passed, and what was spent."""
        for line, account in self.entries:
            if line.marks and account.spent >= line.marks[0][0]:
                return line.budget, account.spent
        return None


class Reservations:
    """All budgets and their accounts. ``owner`` is a request's id throughout; amounts are nano-dollars or tokens."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._lines: dict[Name, Line] = {}
        self._by_scope: dict[Scope, list[Line]] = {}
        self._memo: dict[Subject, tuple[Line, ...]] = {}
        self._owners: dict[int, list[Held]] = {}

    @property
    def owners(self) -> Collection[int]:
        """Requests that hold something, or whose end is not in the ledger yet."""
        return self._owners.keys()

    def admit(
        self, owner: int, subject: Subject, at: Nanoseconds, cost: NanoUSD | None, tokens: int
    ) -> Held | Refusal:
        """Hold the worst case of an attempt in every account that concerns it, or in none of them.

        ``at`` is when the request began. ``cost`` None means that no price is known, which under a hard ceiling is
        refused; a cost of zero is never refused for money. From a medium mark on the premium tier is refused.
        """
        held = Held(subject, at, cost, tokens)
        lines = self._memo.get(subject)
        if lines is None:
            lines = self._matching(subject)
        refusal, waits = None, True
        for line in lines:
            account = line.account(at, self._zone)
            because = _verdict(line, account, subject, cost, tokens)
            if because:
                refusal = _tighter(refusal, self._refusal(because, line, account, held))
                waits = waits and _fits_alone(because, line, account, held)
            else:
                held.entries.append((line, account))
        if refusal is not None:
            return replace(refusal, waits=True) if waits else refusal
        for line, account in held.entries:
            account.held += held.cost if line.money else tokens
        self._owners.setdefault(owner, []).append(held)
        return held

    def amend(self, held: Held, cost: NanoUSD, tokens: int, *, parts: int = 1) -> bool:
        """Hold so much instead, in every account or in none; whether there was room, for ``parts`` times the rise."""
        more, more_tokens = cost - held.cost, tokens - held.tokens
        for line, account in held.entries:
            hard, rise = line.budget.hard, more if line.money else more_tokens
            if hard is not None and rise > 0 and account.spent + account.held + rise * parts > hard:
                return False
        for line, account in held.entries:
            account.held += more if line.money else more_tokens
        held.cost, held.tokens = cost, tokens
        return True

    def settle(self, held: Held, cost: NanoUSD | None, tokens: int) -> tuple[Event, ...]:
        """Turn what is held into what was spent; zeros release it. A second time changes nothing."""
        if not held.open:
            return ()
        held.open = False
        spent, events = cost or 0, list[Event]()
        for line, account in held.entries:
            if line.money:
                account.held -= held.cost
                account.spent += spent
            else:
                account.held -= held.tokens
                account.spent += tokens
            marks = line.marks
            if account.told < len(marks) and account.spent >= marks[account.told][0]:
                events += self._tell(line, account, held.at)
        held.cost, held.tokens = spent, tokens
        return tuple(events)

    def written(self, owner: int) -> None:
        """A request has ended and is in the ledger, where a later budget will find what it spent."""
        self._owners.pop(owner, None)

    def unread(self, standing: Iterable[Standing]) -> list[Standing]:
        """Those whose spending has to be read before they are installed: new ones, and those that were reset."""
        lines = self._lines
        return [
            each
            for each in standing
            if each.budget.name not in lines or lines[each.budget.name].since != each.since
        ]

    def install(
        self,
        standing: Sequence[Standing],
        spent: Iterable[tuple[Standing, int]] = (),
        now: Nanoseconds = 0,
        written: Collection[int] = (),
    ) -> None:
        """Put exactly these budgets in force. What others have spent and hold stays, whatever their new ceilings.

        ``spent`` tells of each unread one what the ledger has of its bucket at ``now``; ``written`` are the owners
        that the ledger has counted in it. The rest of what is under way is added here.
        """
        old, self._lines, self._by_scope = self._lines, {}, {}
        self._memo.clear()
        fresh = {each.budget.name: amount for each, amount in spent}
        for each in standing:
            if each.budget.name in fresh:
                line = Line(each)
                line.account(now, self._zone).spent = fresh[each.budget.name]
            else:
                line = old[each.budget.name]
                if line.budget != each.budget:
                    line.change(each.budget)
            self._lines[each.budget.name] = line
            self._by_scope.setdefault(each.budget.scope, []).append(line)
        if fresh:
            for owner, attempts in self._owners.items():
                for held in attempts:
                    for line in self._matching(held.subject):
                        if line.budget.name in fresh and held.at >= line.since:
                            self._catch_up(held, line, counted=owner in written)

    def states(self, at: Nanoseconds) -> list[tuple[Budget, int, int]]:
        """Each budget with what is spent and held of it in the bucket of a moment."""
        found = []
        for line in self._lines.values():
            account = line.account(at, self._zone)
            found.append((line.budget, account.spent, account.held))
        return found

    def _catch_up(self, held: Held, line: Line, *, counted: bool) -> None:
        """Charge an attempt that is under way to a budget which it did not know when it was admitted."""
        account = line.account(held.at, self._zone)
        amount = held.cost if line.money else held.tokens
        if held.open:
            account.held += amount
            held.entries.append((line, account))
        elif not counted:
            account.spent += amount

    def _matching(self, subject: Subject) -> tuple[Line, ...]:
        lines = self._memo.get(subject)
        if lines is None:
            if len(self._memo) >= MEMO_SIZE:  # callers invent tags and models
                self._memo.clear()
            scopes = dict.fromkeys(subject.scopes()) if self._by_scope else ()
            lines = tuple(line for scope in scopes for line in self._by_scope.get(scope, ()))
            self._memo[subject] = lines
        return lines

    def _refusal(self, because: Because, line: Line, account: Account, held: Held) -> Refusal:
        asked = held.cost if line.money else held.tokens
        until = line.bucket(held.at, self._zone).end_ns
        return Refusal(because, line.budget, account.spent, account.held, asked, until)

    def _tell(self, line: Line, account: Account, at: Nanoseconds) -> list[Event]:
        told = account.told
        while account.told < len(line.marks) and account.spent >= line.marks[account.told][0]:
            account.told += 1
        name = bucket(line.budget.window, at, self._zone).id
        return [
            Event(mark, amount, line.budget, name, account.spent)
            for amount, mark in line.marks[told : account.told]
        ]


def _verdict(line: Line, account: Account, subject: Subject, cost: NanoUSD | None, tokens: int) -> Because:
    """Why a budget refuses a call; empty when it does not."""
    budget = line.budget
    if line.money and cost == 0:
        return ""
    taken = account.spent + account.held
    amount = cost if line.money else tokens
    if budget.hard is not None:
        if amount is None:
            return "unpriced"
        if taken + amount > budget.hard:
            return "hard"
    if budget.medium is not None and taken >= budget.medium and subject.tier == Tier.PREMIUM:
        return "medium"
    return ""


def _fits_alone(because: Because, line: Line, account: Account, held: Held) -> bool:
    """Whether a refusing budget would let a call pass if nobody held anything of it."""
    budget = line.budget
    if because == "hard" and budget.hard is not None:
        return account.spent + (held.cost if line.money else held.tokens) <= budget.hard
    return because == "medium" and budget.medium is not None and account.spent < budget.medium


def _tighter(one: Refusal | None, other: Refusal) -> Refusal:
    """The refusal with less left of its ceiling; money before tokens, a ceiling before a medium mark."""
    return other if one is None or _room(other) < _room(one) else one


def _room(refusal: Refusal) -> tuple[bool, bool, int]:
    budget = refusal.budget
    ceiling = budget.hard if budget.hard is not None else budget.medium or 0
    return refusal.because == "medium", budget.unit is Unit.TOKENS, ceiling - refusal.spent - refusal.held
