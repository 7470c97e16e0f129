"""Budgets in a file: what it declares, and how that differs from what is in force."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct

from llmgw.cli.output import Column
from llmgw.desk.budget_shapes import spell
from llmgw.domain import amounts, spelling
from llmgw.domain.budget import Budget, Unit, Window
from llmgw.domain.scope import Scope, parse_scope
from llmgw.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = [Column("scope"), Column("window"), Column("amount")]
Name = tuple[Scope, Window, Unit]


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[budget]]`` table."""

    scope: str
    amount: str
    soft: str | None = None
    medium: str | None = None
    warn: tuple[int, ...] = ()
    on_exceed: str = "stop"


class File(Struct, frozen=True, forbid_unknown_fields=True):
    budget: tuple[Entry, ...] = ()


class Change(NamedTuple):
    """What becomes of one budget."""

    before: Budget | None
    after: Budget | None

    @property
    def record(self) -> dict[str, Any]:
        one = self.after or self.before
        assert one is not None  # noqa: S101 (one of them is there)
        words = "added" if self.before is None else "removed" if self.after is None else "changed"
        return {
            "change": "unchanged" if self.before == self.after else words,
            "scope": str(one.scope),
            "window": one.window.value,
            "before": None if self.before is None else spell(self.before),
            "after": None if self.after is None else spell(self.after),
        }


def read(path: Path) -> list[Budget]:
    """The budgets that a file declares; BadRequest says what is wrong with it."""
    try:
        declared = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), File)
        budgets = [_budget(entry) for entry in declared.budget]
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise BadRequest(f"{path}: {error}", hint="each budget is a table [[budget]]") from None
    except BadRequest as error:
        raise BadRequest(f"{path}: {error.message}", hint=error.hint) from None
    names = [_key(budget) for budget in budgets]
    for budget in budgets:
        if names.count(_key(budget)) > 1:
            raise BadRequest(f"{path} names {name(budget)} more than once")
    return budgets


def difference(before: Sequence[Budget], after: Sequence[Budget]) -> list[Change]:
    """Every budget there is or will be, in the order of the file, those that go last."""
    old, new = ({_key(each): each for each in budgets} for budgets in (before, after))
    return [Change(old.get(key), new.get(key)) for key in (*new, *(key for key in old if key not in new))]


def name(budget: Budget) -> str:
    """A budget in words: ``key:ci's $5.00 a day``."""
    window = "in total" if budget.window is Window.TOTAL else f"a {budget.window.value}"
    amount = "no ceiling" if budget.hard is None else spelling.amount(budget.unit, budget.hard)
    return f"`{budget.scope}` {amount} {window}"


def _budget(entry: Entry) -> Budget:
    unit, hard, window = amounts.parse_rate(entry.amount)

    def mark(text: str | None) -> int | None:
        if text is None:
            return None
        found, amount = amounts.parse_amount(text)
        if found is not unit:
            raise BadRequest(f"`{text}` is not counted in {unit.value}, as {entry.scope} is")
        return amount

    return Budget(
        scope=parse_scope(entry.scope),
        window=window,
        unit=unit,
        hard=hard,
        soft=mark(entry.soft),
        medium=mark(entry.medium),
        warn=tuple(sorted(entry.warn)),
        on_exceed=entry.on_exceed,
    )


def _key(budget: Budget) -> Name:
    return budget.scope, budget.window, budget.unit
