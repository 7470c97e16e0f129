"""The gateway's keys follow every change of them, and only of them. # A-10"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.ledger_words import standing_clock

from llmgw.domain.budget import Budget, Window
from llmgw.domain.scope import ALL
from llmgw.storage.budgets import Budgets
from llmgw.storage.control import Control
from llmgw.storage.keyring import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with Control(tmp_path / "llmgw.db", standing_clock()) as opened:
        yield opened


def test_only_a_changed_key_is_read_again(control: Control) -> None:
    """A key that is made, rotated or revoked is another object from then on, the others stay what they were."""
    control.create("one")
    control.create("two")
    keys = Keys(control)
    before = keys()
    assert {key.name for key in before.values()} == {"one", "two"}
    assert keys() is before
    Budgets(control).set(Budget(scope=ALL, window=Window.DAY, hard=1))
    control.touch({1: 5})
    assert keys() is before

    control.revoke("two")
    after = keys()
    assert after is not before
    assert after[1] is before[1]
    assert (before[2].revoked_at, after[2].revoked_at is None) == (None, False)
    control.create("three")
    assert [key.name for key in keys().values()] == ["one", "two", "three"]


def test_keys_that_were_taken_away_are_gone(control: Control) -> None:
    """A row that somebody deletes opens nothing any more, and one that follows it does."""
    control.create("one")
    control.create("two")
    keys = Keys(control)
    keys()
    with control.change() as connection:
        connection.execute("DELETE FROM keys WHERE name = 'one'")
    assert [key.name for key in keys().values()] == ["two"]
    control.create("three")
    assert [key.name for key in keys().values()] == ["two", "three"]
