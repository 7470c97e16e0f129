"""Limits as they were set; a running gateway sees a change with its next request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.limit import Limit, Measure
from llmgw.domain.scope import Scope, ScopeKind, parse_scope
from llmgw.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from llmgw.storage.control import Control

MOST = 10**12
"""What no limit can mean to be above; it keeps every sum within a database's integers."""

_KINDS = list(ScopeKind)
_MEASURES = list(Measure)


class Limits:
    """The limits in a database, one for each scope and measure."""

    def __init__(self, control: Control) -> None:
        self._control = control

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


def _order(limit: Limit) -> tuple[int, str, int]:
    return _KINDS.index(limit.scope.kind), limit.scope.name, _MEASURES.index(limit.measure)
