"""A gateway whose budgets a test sets, sees into, and compares with the ledger."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from support.gateway import RunningGateway

from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.scope import parse_scope
from llmgw.gates.state import Gateway
from llmgw.service import run
from llmgw.storage.budgets import Budgets
from llmgw.storage.database import Database
from llmgw.storage.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

UTC = ZoneInfo("UTC")


def budget(scope: str, window: str = "day", unit: str = "money", **amounts: Any) -> Budget:
    return Budget(scope=parse_scope(scope), window=Window(window), unit=Unit(unit), **amounts)


class Budgeted(RunningGateway):
    """Calls come with the key ``ci`` of tenant ``acme``, user ``ada``, tag ``batch``."""

    gateway: Gateway

    def __init__(self, home: Path, *arguments: Any, **options: Any) -> None:
        super().__init__(home, *arguments, **options)
        with self.control as control:
            if not control.load_keys():
                self.token = control.create("ci", tenant="acme", user="ada", tags=("batch",))[1]
                (home / "token").write_text(self.token)
        self.token = (home / "token").read_text()
        self.auth = {"authorization": f"Bearer {self.token}"}

    def _run(self) -> None:
        outer = self

        class Seen(Gateway):
            __slots__ = ()

            def __init__(self, **parts: Any) -> None:
                super().__init__(**parts)
                outer.gateway = self

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "Gateway", Seen)
            super()._run()

    def set(self, *budgets: Budget) -> None:
        with self.control as control:
            Budgets(control).set(*budgets)

    def reset(self, scope: str) -> None:
        with self.control as control:
            Budgets(control).reset(parse_scope(scope))

    def accounts(self) -> dict[str, tuple[int, int]]:
        """What is spent and held of each budget in memory, once nothing is under way."""
        purse = self.gateway.purse
        end = time.monotonic() + 20
        while purse.reservations.owners and time.monotonic() < end:
            time.sleep(0.02)
        states = purse.reservations.states(SYSTEM_CLOCK.now())
        return {f"{each.scope}/{each.window}": (spent, held) for each, spent, held in states}

    def recorded(self) -> dict[str, int]:
        """What the ledger says was spent of each budget."""
        with self.control as control:
            return {
                f"{each.budget.scope}/{each.budget.window}": each.spent
                for each in Budgets(control).spending(UTC)
            }

    def holes(self) -> list[Any]:
        """What does not add up in the ledger; an attempt that is still open is a hole."""
        with Database.open(self.database) as database, closing(database.connect()) as connection:
            return verify(connection, 0)
