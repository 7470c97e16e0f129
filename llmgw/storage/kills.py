"""The kill switch as it was thrown; it outlives every process, and a running gateway sees a change at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.killswitch import AUTOMATIC, PAID, REQUEST, Kill, Mode
from llmgw.domain.scope import parse_scope
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from llmgw.storage.control import Control


class Kills:
    """The switches in a database, at most one for each scope; a scope without one is open."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def list(self) -> tuple[Kill, ...]:
        """Every switch that is thrown, oldest first."""
        with self._control.moment() as connection:
            rows = connection.execute('SELECT scope, mode, reason, "by", at FROM kills ORDER BY at, scope')
            return tuple(
                Kill(scope=scope, mode=Mode(mode), reason=reason, by=by, at=at)
                for scope, mode, reason, by, at in rows
            )

    def set(self, kill: Kill, *, replace: bool = True) -> None:
        """Throw a switch; one of the same scope gives way unless ``replace`` is False. BadRequest for no scope."""
        _check(kill.scope)
        if kill.mode is Mode.OFF:
            raise BadRequest("a switch that is off is removed, not set", param="mode")
        if kill.mode is Mode.PAUSE and kill.by != AUTOMATIC:
            raise BadRequest("only the gateway itself pauses a loop", param="mode")
        clash = (
            'UPDATE SET mode = excluded.mode, reason = excluded.reason, "by" = excluded."by", at = excluded.at'
            if replace
            else "NOTHING"
        )
        with self._control.change() as connection:
            connection.execute(
                f"INSERT INTO kills VALUES (?, ?, ?, ?, ?) ON CONFLICT (scope) DO {clash}",  # noqa: S608
                (kill.scope, kill.mode.value, kill.reason, kill.by, kill.at),
            )

    def remove(self, scope: str) -> Kill | None:
        """Open a scope again; the switch that was on it, None where there was none. BadRequest for no scope."""
        _check(scope)
        found = next((kill for kill in self.list() if kill.scope == scope), None)
        if found is not None:
            with self._control.change() as connection:
                connection.execute("DELETE FROM kills WHERE scope = ?", (scope,))
        return found


def _check(scope: str) -> None:
    if scope != PAID and not scope.startswith(REQUEST):
        try:
            parse_scope(scope)
        except ValueError as error:
            raise BadRequest(str(error), hint=f"or `{PAID}`: whatever costs money", param="scope") from None
