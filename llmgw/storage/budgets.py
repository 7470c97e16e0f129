"""Budgets as they were set, and what the ledger says was spent of each.

A window begins on a quarter of an hour, so its roll-ups are exactly its requests. Of a reset within one, and of
requests with several attempts, which may have spent at several targets, the rows themselves are read.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.clock import SYSTEM_CLOCK, Clock, Nanoseconds
from llmgw.domain.money import NANO
from llmgw.domain.route import Tier
from llmgw.domain.scope import Scope, parse_scope
from llmgw.errors import BadRequest, NotFound
from llmgw.rules.reservations import Standing
from llmgw.rules.windows import bucket, lately
from llmgw.storage.rows import BUCKET, DAY
from llmgw.storage.scopes import Scopes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence
    from zoneinfo import ZoneInfo

    from llmgw.storage.control import Control

_COLUMNS = "scope, window, unit, hard, medium, soft, warn, on_exceed, since"
_SET = f"""INSERT INTO budgets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)
    ON CONFLICT (scope, window, unit) DO UPDATE SET hard = excluded.hard, medium = excluded.medium,
    soft = excluded.soft, warn = excluded.warn, on_exceed = excluded.on_exceed
    WHERE (hard, medium, soft, warn, on_exceed)
    IS NOT (excluded.hard, excluded.medium, excluded.soft, excluded.warn, excluded.on_exceed)"""  # noqa: S608
_ROLLUPS = """SELECT dimension, sum(cost), sum(input_tokens + output_tokens) FROM rollups
    WHERE bucket >= ? AND bucket < ?{} GROUP BY dimension"""
_DAYS = "SELECT dimension, sum(cost), sum(tokens) FROM days WHERE day >= ? AND day < ?{} GROUP BY dimension"
_REQUESTS = """SELECT dimension, coalesce(cost, 0), input_tokens + output_tokens FROM requests
    WHERE started_at >= ? AND started_at < ?"""
_SEVERAL = "SELECT id FROM requests WHERE attempts > 1 AND started_at >= ? AND started_at < ?"
_ATTEMPTS = f"""SELECT dimension, coalesce(cost, 0), input_tokens + output_tokens FROM attempts
    WHERE request_id IN ({_SEVERAL})"""  # noqa: S608 (own columns)
_THEIR_ROWS = f"{_REQUESTS} AND attempts > 1"

MOST = 10**18
"""What no budget can mean to be above; it keeps every sum within a database's integers."""

Period = tuple[Nanoseconds, Nanoseconds]
Sums = dict[Scope, list[int]]
"""Nano-dollars and tokens by scope."""


class Spending(Struct, frozen=True):
    """A budget and what the ledger says was spent of it in its running window, which ends at ``until``."""

    budget: Budget
    spent: int
    since: Nanoseconds
    until: Nanoseconds
    bucket: str
    lately: int
    """What was spent since ``lately(now)``."""


class Budgets:
    """The budgets in a database; changes count in a running gateway from its next request on."""

    def __init__(self, control: Control, clock: Clock = SYSTEM_CLOCK) -> None:
        self._control = control
        self._clock = clock

    def load(self) -> tuple[Standing, ...]:
        """Every budget with the moment of its last reset, from the widest scope to the narrowest."""
        with self._control.moment() as connection:
            return _load(connection)

    def list(self) -> tuple[Budget, ...]:
        """Every budget, from the widest scope to the narrowest."""
        return tuple(standing.budget for standing in self.load())

    def show(self, scope: Scope) -> tuple[Budget, ...]:
        """The budgets of one scope; NotFound when it has none."""
        found = tuple(budget for budget in self.list() if budget.scope == scope)
        if not found:
            raise _missing(scope)
        return found

    def set(self, *budgets: Budget) -> None:
        """Put these budgets in force, all or none; each replaces the one of its scope, window and unit.

        What was spent so far stays spent. BadRequest when one of them makes no sense.
        """
        for budget in budgets:
            check(budget)
        with self._control.change() as connection:
            connection.executemany(_SET, [_values(budget) for budget in budgets])

    def remove(
        self, scope: Scope, window: Window | None = None, unit: Unit | None = None
    ) -> tuple[Budget, ...]:
        """Lift the budgets of a scope, or the one of that window and unit; those that were lifted. NotFound if none."""
        found = self._chosen(scope, window, unit)
        with self._control.change() as connection:
            connection.executemany(
                "DELETE FROM budgets WHERE scope = ? AND window = ? AND unit = ?",
                [_name(each) for each in found],
            )
        return found

    def replace(self, *budgets: Budget) -> None:
        """These budgets and no others, in one step; one that stays keeps its last reset."""
        for budget in budgets:
            check(budget)
        kept = {_name(budget) for budget in budgets}
        with self._control.change() as connection:
            gone = [_name(each.budget) for each in _load(connection) if _name(each.budget) not in kept]
            connection.executemany("DELETE FROM budgets WHERE scope = ? AND window = ? AND unit = ?", gone)
            connection.executemany(_SET, [_values(budget) for budget in budgets])

    def reset(
        self, scope: Scope | None = None, window: Window | None = None, unit: Unit | None = None
    ) -> tuple[Budget, ...]:
        """Count from now on as if nothing had been spent, in one scope or everywhere; the ledger keeps its history."""
        found = self.list() if scope is None else self._chosen(scope, window, unit)
        now = self._clock.now()
        with self._control.change() as connection:
            connection.executemany(
                "UPDATE budgets SET since = ? WHERE scope = ? AND window = ? AND unit = ?",
                [(now, *_name(each)) for each in found],
            )
        return found

    def spending(self, zone: ZoneInfo, now: Nanoseconds | None = None) -> tuple[Spending, ...]:
        """What was spent of each budget in its running window, as far as the ledger has it; what is held is not in it."""
        now = self._clock.now() if now is None else now
        with self._control.moment() as connection:
            standing = _load(connection)
            scopes = Scopes(connection, {each.budget.scope for each in standing})
            spent = _spent(connection, scopes, standing, zone, now)
            sums = _sums(connection, scopes, lately(now), now + 1)
        return tuple(
            Spending(
                each.budget,
                amount,
                max(period.start_ns, each.since),
                period.end_ns,
                period.id,
                sums.get(each.budget.scope, (0, 0))[each.budget.unit is Unit.TOKENS],
            )
            for each, amount in zip(standing, spent, strict=True)
            for period in (bucket(each.budget.window, now, zone),)
        )

    def spent(
        self, standing: Sequence[Standing], zone: ZoneInfo, now: Nanoseconds, requests: Collection[int] = ()
    ) -> tuple[Sequence[int], Collection[int]]:
        """What was spent of each of these in the bucket that holds ``now``, and which of ``requests`` are in it."""
        with self._control.moment() as connection:
            known = {
                number
                for number in requests
                if connection.execute("SELECT 1 FROM requests WHERE id = ?", (number,)).fetchone()
            }
            scopes = Scopes(connection, {each.budget.scope for each in standing})
            return _spent(connection, scopes, standing, zone, now), known

    def _chosen(self, scope: Scope, window: Window | None, unit: Unit | None) -> tuple[Budget, ...]:
        found = tuple(
            budget
            for budget in self.list()
            if budget.scope == scope and window in {None, budget.window} and unit in {None, budget.unit}
        )
        if not found:
            raise _missing(scope)
        return found


def check(budget: Budget) -> None:
    """BadRequest when a budget makes no sense."""
    amounts = [amount for amount in (budget.soft, budget.medium, budget.hard) if amount is not None]
    if not amounts:
        raise BadRequest("a budget needs an amount", hint="write it as `llmgw budget set all 20/month`")
    if min(amounts) < 0 or amounts != sorted(amounts):
        raise BadRequest("amounts are not negative, and soft is at most medium, medium at most hard")
    if amounts[-1] > MOST:
        raise BadRequest(f"a budget is at most {MOST // NANO:,} dollars, or {MOST:,} tokens")
    if budget.warn and (budget.hard is None or not all(0 < percent <= 100 for percent in budget.warn)):
        raise BadRequest("`warn` is in percent of the hard amount, 1 to 100", param="warn")
    action, colon, tier = budget.on_exceed.partition(":")
    if budget.on_exceed not in {"stop", "cache"} and not (
        action == "downgrade" and colon and tier in Tier.__members__.values()
    ):
        raise BadRequest(
            f"`on_exceed` is stop, cache or downgrade:TIER, not {budget.on_exceed!r}", param="on_exceed"
        )


def _missing(scope: Scope) -> NotFound:
    return NotFound(f"there is no such budget for `{scope}`", hint="`llmgw budget list` shows what there is")


def _name(budget: Budget) -> tuple[str, str, str]:
    return str(budget.scope), budget.window.value, budget.unit.value


def _values(budget: Budget) -> tuple[Any, ...]:
    warn = ",".join(map(str, sorted(set(budget.warn))))
    return (*_name(budget), budget.hard, budget.medium, budget.soft, warn, budget.on_exceed)


def _load(connection: sqlite3.Connection) -> tuple[Standing, ...]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM budgets")  # noqa: S608 (own columns)
    kinds = list(type(parse_scope("all").kind))
    found = [
        Standing(
            Budget(
                scope=parse_scope(scope),
                window=Window(window),
                unit=Unit(unit),
                hard=hard,
                medium=medium,
                soft=soft,
                warn=tuple(map(int, filter(None, warn.split(",")))),
                on_exceed=on_exceed,
            ),
            since,
        )
        for scope, window, unit, hard, medium, soft, warn, on_exceed, since in rows
    ]
    windows = list(Window)
    return tuple(
        sorted(
            found,
            key=lambda each: (
                kinds.index(each.budget.scope.kind),
                each.budget.scope.name,
                windows.index(each.budget.window),
                each.budget.unit,
            ),
        )
    )


def _spent(
    connection: sqlite3.Connection,
    scopes: Scopes,
    standing: Iterable[Standing],
    zone: ZoneInfo,
    now: Nanoseconds,
) -> list[int]:
    """In the order of ``standing``; budgets of one period share one reading."""
    sums: dict[Period, Sums] = {}
    spent = []
    for each in standing:
        running = bucket(each.budget.window, now, zone)
        period = max(running.start_ns, each.since), running.end_ns
        if period not in sums:
            sums[period] = _sums(connection, scopes, *period)
        money, tokens = sums[period].get(each.budget.scope, (0, 0))
        spent.append(money if each.budget.unit is Unit.MONEY else tokens)
    return spent


def _sums(connection: sqlite3.Connection, scopes: Scopes, start: Nanoseconds, end: Nanoseconds) -> Sums:
    """What each scope spent from ``start`` to before ``end``, of requests by their start.

    Whole days in UTC are read as such; what lies before and behind them by the quarter of an hour.
    """
    sums: Sums = defaultdict(lambda: [0, 0])
    whole = -(-start // BUCKET) * BUCKET
    first, last = -(-whole // DAY) * DAY, end // DAY * DAY
    rollups, days = _ROLLUPS.format(scopes.only), _DAYS.format(scopes.only)
    if first < last:
        _add(sums, scopes, connection.execute(days, (first, last)), 1)
        _add(sums, scopes, connection.execute(rollups, (whole, first)), 1)
        _add(sums, scopes, connection.execute(rollups, (last, end)), 1)
    else:
        _add(sums, scopes, connection.execute(rollups, (whole, end)), 1)
    if start < whole:
        _add(sums, scopes, connection.execute(_REQUESTS + scopes.only, (start, min(whole, end))), 1)
    _add(sums, scopes, connection.execute(_THEIR_ROWS + scopes.only, (start, end)), -1)
    _add(sums, scopes, connection.execute(_ATTEMPTS + scopes.only, (start, end)), 1)
    return sums


def _add(sums: Sums, scopes: Scopes, rows: Iterable[tuple[int, int, int]], sign: int) -> None:
    of = scopes.of
    for dimension, cost, tokens in rows:
        for scope in of(dimension):
            entry = sums[scope]
            entry[0] += sign * cost
            entry[1] += sign * tokens
