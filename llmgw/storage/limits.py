"""Limits as they were set; a running gateway sees a change with its next request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.limit import Limit, Measure
from llmgw.domain.scope import Scope, ScopeKind, parse_scope
from llmgw.errors import BadRequest, NotFound
from llmgw.storage.rows import BUCKET, DAY
from llmgw.storage.scopes import Scopes

if TYPE_CHECKING:
    from collections.abc import Collection

    from llmgw.domain.clock import Clock, Nanoseconds
    from llmgw.storage.control import Control

MOST = 10**12
"""What no limit can mean to be above; it keeps every sum within a database's integers."""

_TAKEN = """SELECT bucket, dimension, requests, input_tokens + output_tokens
    FROM rollups WHERE bucket >= ? AND bucket <= ? AND dimension IN (SELECT id FROM dimensions WHERE model <> '')
    {} ORDER BY bucket"""
_KINDS = list(ScopeKind)
_MEASURES = list(Measure)


class Taken(NamedTuple):
    """What was used ``age`` nanoseconds ago."""

    age: Nanoseconds
    requests: int
    tokens: int


class Limits:
    """The limits in a database, one for each scope and measure."""

    def __init__(self, control: Control, clock: Clock = SYSTEM_CLOCK) -> None:
        self._control = control
        self._clock = clock

    def list(self) -> tuple[Limit, ...]:
        """Every limit, from the widest scope to the narrowest."""
        with self._control.moment() as connection:
            rows = connection.execute("SELECT scope, measure, amount FROM limits").fetchall()
        found = [
            Limit(scope=parse_scope(scope), measure=Measure(measure), amount=amount)
            for scope, measure, amount in rows
        ]
        return tuple(sorted(found, key=_order))

    def set(self, *limits: Limit) -> None:
        """Put these limits in force, all or none; each replaces the one of its scope and measure.

        BadRequest for an amount below one or beyond all sense.
        """
        for limit in limits:
            if not 1 <= limit.amount <= MOST:
                raise BadRequest(
                    f"a limit is at least 1 and at most {MOST:,}",
                    hint="what lets nothing through is the kill switch: `llmgw kill --help`",
                    param="amount",
                )
        with self._control.change() as connection:
            connection.executemany(
                "INSERT INTO limits VALUES (?, ?, ?) ON CONFLICT (scope, measure) DO UPDATE"
                " SET amount = excluded.amount WHERE amount <> excluded.amount",
                [(str(limit.scope), limit.measure.value, limit.amount) for limit in limits],
            )

    def remove(self, scope: Scope, measure: Measure | None = None) -> tuple[Limit, ...]:
        """Lift the limits of a scope, or the one on that measure; those that were lifted. NotFound when there is none."""
        found = tuple(
            limit for limit in self.list() if limit.scope == scope and measure in {None, limit.measure}
        )
        if not found:
            what = f"no limit on {measure}" if measure else "no limit"
            raise NotFound(f"{scope} has {what}", hint="`llmgw limit list` shows what there is")
        with self._control.change() as connection:
            connection.executemany(
                "DELETE FROM limits WHERE scope = ? AND measure = ?",
                [(str(limit.scope), limit.measure.value) for limit in found],
            )
        return found

    def taken(self, scopes: Collection[Scope]) -> dict[Scope, tuple[Taken, ...]]:
        """What each scope took in the last 24 hours, by the quarter of an hour, the oldest first.

        Calls that reached no target count nowhere, those of several targets at the last one.
        """
        now = self._clock.now()
        sums: dict[Scope, dict[Nanoseconds, tuple[int, int]]] = {scope: {} for scope in scopes}
        with self._control.moment() as connection:
            holding = Scopes(connection, scopes)
            rows = connection.execute(_TAKEN.format(holding.only), (now - DAY - BUCKET, now)).fetchall()
        for bucket, dimension, requests, tokens in rows:
            age = max(0, now - bucket - BUCKET)
            for scope in holding.of(dimension):
                calls, used = sums[scope].get(age, (0, 0))
                sums[scope][age] = (calls + requests, used + tokens)
        return {scope: tuple(Taken(age, *sum_) for age, sum_ in ages.items()) for scope, ages in sums.items()}


def _order(limit: Limit) -> tuple[int, str, int]:
    return _KINDS.index(limit.scope.kind), limit.scope.name, _MEASURES.index(limit.measure)
