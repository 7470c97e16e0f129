"""A disk that is full, a file that is read-only, locked or half deleted, under a real gateway: whatever costs money is
refused, local models go on, and when it lifts nothing is missing.

The lock of 30 seconds: ``pytest -m slow tests/journeys/test_storage_lifts.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream
from support.process import GatewayProcess
from support.program import Program

from llmgw.domain.ledger import read_id

PAID, LOCAL = "gpt-4o-mini", "llama3"
LOCK = """import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()"""

Trouble = Callable[[Path], AbstractContextManager[None]]


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process has the file to itself."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", LOCK, database], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        yield


@contextmanager
def full(database: Path) -> Iterator[None]:
    """Not a byte is left on its disk, and what the log has to spare is used up."""
    filler = database.with_name("filler")
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def immutable(database: Path) -> Iterator[None]:
    """Nobody may write to the file or its log, not even who has it open."""
    files = [database, database.with_name(f"{database.name}-wal")]
    tried = subprocess.run(["chattr", "+i", *files], capture_output=True, check=False)
    try:
        if tried.returncode:
            pytest.skip("needs root and a file system with chattr +i")
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], capture_output=True, check=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", disk]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root, to mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


class Callers:
    """Calls through a gateway whose paid and local upstreams are both fakes."""

    def __init__(self, home: Path, paid: FakeOpenAI, local: FakeOpenAI) -> None:
        upstreams = [
            upstream("openai", paid.url + "/v1", models=(PAID,)),
            upstream("vllm", local.url + "/v1", models=(LOCAL,)),
        ]
        self.setup = RunningGateway(home, upstreams)
        self.url = ""
        self._client = httpx.Client(headers=self.setup.auth, timeout=30)
        self.answered: list[int] = []
        """The ids of requests whose answers arrived whole."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()

    def ask(self, model: str, *, stream: bool = False) -> httpx.Response:
        call = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        reply = self._client.post(self.url + "/v1/chat/completions", json=call)
        if reply.status_code == 200 and (not stream or reply.text.endswith("data: [DONE]\n\n")):
            self.answered.append(read_id(reply.headers["x-llmgw-request-id"]))
        return reply

    def healthy(self) -> bool:
        return self._client.get(self.url + "/health").status_code == 200

    def until_healthy(self) -> None:
        end = time.monotonic() + 15
        while not self.healthy():
            assert time.monotonic() < end, "the trouble has lifted, and nobody noticed"
            time.sleep(0.05)


def live_through(home: Path, trouble: Trouble, seconds: float = 0) -> None:
    with FakeOpenAI() as paid, FakeOpenAI() as local, Callers(home, paid, local) as callers:
        with GatewayProcess(callers.setup.launch) as gateway:
            callers.url = gateway.url
            assert callers.ask(PAID).status_code == 200
            begun = time.monotonic()
            with trouble(callers.setup.database):
                go_on_without_paying(callers, paid, until=begun + seconds)
            callers.until_healthy()
            assert callers.ask(PAID, stream=True).status_code == 200
            proof = Program(home).run("db", "verify", "--json")
            assert (proof.code, proof.json["findings"]) == (0, [])
            rows = callers.setup.requests()
        assert set(callers.answered) <= {row["id"] for row in rows}
        assert len(callers.answered) > 60
        assert len(paid.chats) == sum(row["cost"] > 0 for row in rows) == 2
        assert len(local.chats) == sum(row["model"] == LOCAL for row in rows)
        refused = [row for row in rows if row["status"] == 503]
        assert {(row["error"], row["cost"]) for row in refused} == {("storage_unavailable", 0)}


def go_on_without_paying(callers: Callers, paid: FakeOpenAI, until: float) -> None:
    """Paid calls are refused with words that help, the first after a few seconds, the rest at once; local ones go on."""
    for turn in range(60):
        if turn % 20 == 0:
            begun = time.monotonic()
            reply = callers.ask(PAID, stream=turn % 40 == 0)
            assert (reply.status_code, reply.json()["error"]["code"]) == (503, "storage_unavailable")
            assert reply.json()["error"]["hint"]
            assert time.monotonic() - begun < (7 if turn == 0 else 1)
        assert callers.ask(LOCAL, stream=turn % 2 == 0).status_code == 200
    while time.monotonic() < until:
        assert callers.ask(PAID).status_code == 503
        assert callers.ask(LOCAL).status_code == 200
        time.sleep(0.1)
    assert len(paid.chats) == 1
    assert not callers.healthy()


def test_locked_by_another_process(tmp_path: Path) -> None:
    """While another process holds the database locked nothing is paid for, local calls go on, and none of them is lost."""
    live_through(tmp_path, locked)


@pytest.mark.slow
def test_locked_for_half_a_minute(tmp_path: Path) -> None:
    """So it is for thirty seconds of it."""
    live_through(tmp_path, locked, seconds=30)


def test_full_disk(small_disk: Path) -> None:
    """So it is while the disk is full."""
    live_through(small_disk, full)


def test_read_only_file(tmp_path: Path) -> None:
    """So it is while the file and its log cannot be written to."""
    live_through(tmp_path, immutable)


def test_deleted_log(tmp_path: Path) -> None:
    """A log that is deleted under a gateway stops whatever costs money; after the restart that it asks for all is there."""
    with FakeOpenAI() as paid, FakeOpenAI() as local, Callers(tmp_path, paid, local) as callers:
        with GatewayProcess(callers.setup.launch) as gateway:
            callers.url = gateway.url
            assert callers.ask(PAID).status_code == 200
            time.sleep(1.1)  # a look a second
            callers.setup.database.with_name("llmgw.db-wal").unlink()
            time.sleep(1.1)
            reply = callers.ask(PAID)
            assert (reply.status_code, "restart" in reply.json()["error"]["hint"]) == (503, True)
            assert callers.ask(LOCAL).status_code == 200
        with GatewayProcess(callers.setup.launch) as gateway:
            callers.url = gateway.url
            assert callers.ask(PAID).status_code == 200
            proof = Program(tmp_path).run("db", "verify", "--json")
            assert (proof.code, proof.json["findings"]) == (0, [])
            assert set(callers.answered) <= {row["id"] for row in callers.setup.requests()}
            assert len(paid.chats) == 2
