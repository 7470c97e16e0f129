"""`kill -9` at any moment: every answer a client got whole is in the ledger, nothing is stuck, nothing is double.

The long run of the acceptance: ``pytest -m slow tests/journeys/test_crash.py`` (200 kills, some minutes).
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway, upstream
from support.process import GatewayProcess

from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.domain.ledger import read_id
from llmgw.storage.ledger import Ledger

CONCURRENT = 50
CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello there"}]}


async def client_of(client: Client, url: str, token: str, streams: bool, whole: list[int]) -> None:
    """Call again and again until the gateway is gone; note the id of every answer that arrived whole."""
    body = json.dumps(CALL | {"stream": streams}).encode()
    while True:
        request = client.post(url + "/v1/chat/completions").bearer_auth(token).body_bytes(body)
        try:
            reply = await request.header("content-type", "application/json").build().send()
            answer = bytes(await reply.bytes())
        except PyreqwestError:
            return
        if reply.status == 200 and (not streams or answer.endswith(b"data: [DONE]\n\n")):
            whole.append(read_id(reply.headers["x-llmgw-request-id"]))


async def load_until_killed(gateway: GatewayProcess, token: str, seconds: float) -> list[int]:
    whole: list[int] = []
    async with ClientBuilder().max_connections(CONCURRENT).build() as client:
        callers = [
            asyncio.create_task(client_of(client, gateway.url, token, number % 2 == 0, whole))
            for number in range(CONCURRENT)
        ]
        await asyncio.sleep(seconds)
        gateway.kill()
        await asyncio.wait_for(asyncio.gather(*callers), 20)
    return whole


def crash_again_and_again(home: Path, rounds: int, seed: int) -> Counter[str]:
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    with FakeOpenAI() as fake:
        fake.default = Behaviour(text="some words to stream", chunk_delay=0.002)
        setup = RunningGateway(home, [upstream("openai", fake.url + "/v1", models=("gpt-4o-mini",))])
        promised: set[int] = set()
        for _ in range(rounds):
            with GatewayProcess(setup.launch) as gateway:
                promised.update(
                    asyncio.run(load_until_killed(gateway, setup.token, chance.uniform(0.02, 0.5)))
                )
        with GatewayProcess(setup.launch):
            pass
        with closing(sqlite3.connect(setup.database)) as connection:
            ids = [number for (number,) in connection.execute("SELECT id FROM requests")]
            seen["stuck"] = connection.execute(
                "SELECT count(*) FROM attempts WHERE open OR state <= 1"
            ).fetchone()[0]
            seen["orphaned"] = connection.execute("SELECT count(*) FROM attempts WHERE state = 4").fetchone()[
                0
            ]
        seen["answers"] = len(promised)
        seen["rows"] = len(ids)
        seen["missing"] = len(promised - set(ids))
        seen["double"] = len(ids) - len(set(ids))
        seen["findings"] = len(asyncio.run(findings(setup.database)))
    return seen


async def findings(database: Path) -> list[object]:
    ledger = Ledger.open(database, "check", SYSTEM_CLOCK)
    try:
        return list(ledger.verify())
    finally:
        ledger.close()


def check(seen: Counter[str]) -> None:
    print(dict(seen))
    assert seen["answers"] > 0
    assert seen["missing"] == seen["double"] == seen["stuck"] == seen["findings"] == 0


def test_four_kills(tmp_path: Path) -> None:
    """Four kills under load lose no answer, leave no attempt open and no row twice."""
    check(crash_again_and_again(tmp_path, rounds=4, seed=1))


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    """Two hundred kills at random moments under 50 concurrent streams and plain calls lose nothing."""
    check(crash_again_and_again(tmp_path, rounds=200, seed=2026))
