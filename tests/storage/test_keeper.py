"""The thread behind the caches: trouble with the file costs hits, is said once, and passes. # D-13"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
from storage.test_answers import NOW, answer, entry, name

from llmgw.domain.cache import Stored
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.storage import keeper as module
from llmgw.storage.answers import AnswerStore
from llmgw.storage.keeper import MOST_BYTES, Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.02)
    running = Keeper(partial(AnswerStore.open, tmp_path / "cache.db", patience=0), SYSTEM_CLOCK)
    yield running
    running.close()


def write(keeper: Keeper, number: int) -> None:
    assert keeper.submit(
        lambda store: store.put_all([Stored(entry(number, expires_at=NOW * 2), answer())]) and None
    )


def wait(what: object) -> None:
    assert callable(what)
    for _ in range(300):
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def test_trouble_is_said_once_and_passes(
    keeper: Keeper, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While another process holds the file nothing is remembered; afterwards everything is again."""
    other = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for number in range(5):
        write(keeper, number)
    wait(lambda: "locked" in keeper.trouble)
    other.execute("ROLLBACK")
    other.close()
    write(keeper, 9)
    wait(lambda: not keeper.trouble)
    said = [each.message for each in caplog.records if each.name == "llmgw.cache"]
    assert len(said) == 2, said
    with AnswerStore.open(tmp_path / "cache.db") as store:
        assert store.find(name(9), NOW) is not None


def test_hits_are_counted_together(keeper: Keeper, tmp_path: Path) -> None:
    """A thousand hits are one write, none is lost, not even at the end."""
    write(keeper, 1)
    for _ in range(1000):
        keeper.hit(1, 7)
    keeper.close()
    with AnswerStore.open(tmp_path / "cache.db") as store:
        (found,) = store.list()
        assert (found.hits, found.saved) == (1000, 7000)


def test_what_waits_is_bounded(keeper: Keeper) -> None:
    """While the disk stands still no more than so many bytes wait for it."""
    go = threading.Event()
    assert keeper.submit(lambda _: go.wait(5) and None)
    assert keeper.submit(lambda _: None, MOST_BYTES)
    assert not keeper.submit(lambda _: None, 1)
    go.set()
    wait(lambda: keeper.submit(lambda _: None, 1))


def test_a_faulty_job_harms_no_other(
    keeper: Keeper, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of ours is logged and the thread goes on."""
    keeper.submit(lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    write(keeper, 1)
    keeper.close()
    assert "could not be remembered" in caplog.text
    with AnswerStore.open(tmp_path / "cache.db") as store:
        assert len(store.list()) == 1


def test_closing_does_not_wait_for_a_locked_file(tmp_path: Path) -> None:
    """One write finds the file locked; the others are forgotten instead of waiting as long each."""
    path = tmp_path / "cache.db"
    keeper = Keeper(partial(AnswerStore.open, path, patience=0.3), SYSTEM_CLOCK)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(30):
            keeper.submit(lambda store: store.count("x", 1))
        began = time.monotonic()
        keeper.close()
        assert time.monotonic() - began < 3
