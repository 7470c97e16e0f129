"""Whatever happens to the caches' file while the gateway runs costs hits, never an answer, and passes. # D-13"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.caches import Cached
from support.semantics import semantic_options

from llmgw.storage import keeper as keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI


@pytest.fixture
def gateway(tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic) -> Iterator[Cached]:
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=semantic_options("shadow")) as running:
        yield running


def deleted(path: Path) -> None:
    for each in path.parent.glob("cache.db*"):
        each.unlink()


def file_deleted(path: Path) -> None:
    path.unlink()


def log_deleted(path: Path) -> None:
    path.with_name("cache.db-wal").unlink()


def replaced(path: Path) -> None:
    beside = path.with_name("other")
    shutil.copy(path, beside)
    beside.replace(path)


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    time.sleep(3)
    path.rmdir()


def garbled(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(os.urandom(size))


def cut(path: Path) -> None:
    os.truncate(path, 4096)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def log_garbled(path: Path) -> None:
    log = path.with_name("cache.db-wal")
    with log.open("r+b") as file:
        file.write(os.urandom(log.stat().st_size))


@pytest.mark.parametrize(
    "harm",
    [
        deleted,
        log_deleted,
        garbled,
        *(
            pytest.param(harm, marks=pytest.mark.slow)
            for harm in (file_deleted, replaced, replaced_by_folder, cut, emptied, log_garbled)
        ),
    ],
    ids=lambda harm: harm.__name__,
)
def test_harm_to_the_file_passes(
    gateway: Cached, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    """Callers get their answers throughout; within seconds equal requests are answered from memory again."""
    for number in range(20):
        gateway.chat(f"question {number}", max_tokens=5)
    gateway.settled(20)
    with ThreadPoolExecutor() as pool:
        harming = pool.submit(harm, gateway.home / "cache.db")
        end = time.monotonic() + 1.5
        number = 0
        while time.monotonic() < end or not harming.done():
            number += 1
            answer = gateway.chat(f"question {number % 40}", max_tokens=5)
            assert answer.status_code == 200, answer.text
            time.sleep(0.02)
        harming.result()
    gateway.until_exact()
    gateway.settled(1)
    assert gateway.health()["components"]["cache"] == "ok"
    with gateway.store() as store:
        assert store.verify().damaged == ()
        assert sum(each.entries for each in store.stats()) >= 1
    said = [each for each in caplog.records if each.name == "llmgw.cache" and each.levelname == "WARNING"]
    assert len(said) <= 12, [each.getMessage() for each in said]
    assert not [each for each in caplog.records if each.levelname == "ERROR"], caplog.text


def test_a_file_that_another_process_holds_at_the_start_is_used_once_it_lets_go(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Locked wholly at the start: the gateway comes up at once, serves without memory, and with it when the lock lifts."""
    with Cached(tmp_path, fake_openai, fake_anthropic) as gateway:
        gateway.until_exact()
    with closing(sqlite3.connect(tmp_path / "cache.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")  # in which a lock keeps readers out too
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with Cached(tmp_path, fake_openai, fake_anthropic, cache=semantic_options("shadow")) as gateway:
            assert time.monotonic() - began < 3
            for number in range(3):
                answer = gateway.chat(f"question {number}")
                assert (answer.status_code, answer.headers["x-llmgw-cache"]) == (200, "miss")
            assert "locked" in gateway.health()["components"]["cache"]
            other.execute("ROLLBACK")
            other.close()
            gateway.until_exact()
            assert gateway.health()["components"]["cache"] == "ok"


def test_a_full_disk_costs_nobody_an_answer(
    gateway: Cached, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While nothing can be written calls go on and what is held is given; then new answers are remembered again."""
    gateway.chat("held")
    gateway.settled(1)
    true, full = keeping.Keeper._try, [True]

    def small(self, job):
        if self._store is not None:
            (pages,) = self._store.connection.execute("PRAGMA page_count").fetchone()
            most = pages if full[0] else 1 << 20
            self._store.connection.execute(f"PRAGMA max_page_count = {most}").fetchone()
        return true(self, job)

    monkeypatch.setattr(keeping.Keeper, "_try", small)
    big = "x" * 50_000
    for number in range(10):
        answer = gateway.chat(f"{number} {big}", max_tokens=5)
        assert (answer.status_code, answer.headers["x-llmgw-cache"]) == (200, "miss")
    end = time.monotonic() + 5
    while "full" not in gateway.health()["components"]["cache"]:
        assert time.monotonic() < end
        assert gateway.chat(f"more {end}").status_code == 200
        time.sleep(0.05)
    assert gateway.chat("held").headers["x-llmgw-cache"] == "exact"
    full[0] = False
    gateway.until_exact()
    assert gateway.health()["components"]["cache"] == "ok"
