"""A gateway as people have it: seen live by the key of its run file, a request of it ended, killed and seen again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from support.program import Program

from llmgw.client.feed import State
from llmgw.client.feed_live import Address, Live
from llmgw.client.feed_replay import Replaying
from llmgw.client.past import LedgerPast
from llmgw.rules.picture import HOUR, Picture, total
from llmgw.storage.database import Database


def test_seen_ended_killed_seen_again(tmp_path: Path) -> None:
    """The run file opens the pulse for its owner alone; `request stop` ends a stream; after a kill -9 all is told."""
    llmgw = Program(tmp_path / "home")
    started = llmgw.run("serve", "--port", "0", "--json")
    assert started.code == 0, started.err
    url, key = started.json["url"], started.json["key"]
    run_file = next(llmgw.home.rglob("gateway.json"))
    assert run_file.stat().st_mode & 0o077 == 0
    token = json.loads(run_file.read_bytes())["token"]
    for words in (["status", "--json"], ["logs"], ["config", "show"]):
        assert token not in llmgw.run(*words).out
    headers = {"authorization": f"Bearer {key}"}

    def stream() -> str:
        body = {
            "model": "echo/chunk_delay=50ms",
            "stream": True,
            "messages": [{"role": "user", "content": "go on " * 200}],
        }
        reply = httpx.post(f"{url}/v1/chat/completions", headers=headers, json=body, timeout=60)
        return reply.text

    async def play() -> None:
        feed = Live("here", lambda: Address(url, token))
        picture = Picture()

        async def see() -> None:
            async for beat in feed:
                picture.take(beat)

        seeing = asyncio.create_task(see())
        running = asyncio.create_task(asyncio.to_thread(stream))
        await until(lambda: len(picture.under_way) == 1)
        call = picture.under_way[0]
        stopped = await asyncio.to_thread(
            llmgw.run, "request", "stop", call.id, "--reason", "in circles", "--json"
        )
        assert stopped.code == 0, stopped.err
        assert (stopped.json["id"], stopped.json["error"]["code"]) == (call.id, "ended")
        assert "this request was ended by" in await running
        again = await asyncio.to_thread(llmgw.run, "request", "stop", call.id)
        assert again.code == 8
        await until(lambda: total(picture.today()).requests == 1)
        os.kill(started.json["pid"], signal.SIGKILL)
        assert await until(lambda: feed.state is State.DOWN) < 3
        await feed.close()
        await seeing

    asyncio.run(play())
    gone = llmgw.run("request", "stop", "req_06bq3k5xj0000")
    assert gone.code == 3
    database = next(llmgw.home.rglob("llmgw.db"))

    async def replay() -> None:
        now = time.time_ns()
        past = LedgerPast(Database.open(database, readonly=True), ZoneInfo("UTC"))
        feed, picture = Replaying("here", past, now - HOUR, now, speed=3600), Picture()
        async for beat in feed:
            picture.take(beat)
            if feed.state is State.ENDED and beat.at == now:
                break
        await feed.close()
        assert total(picture.today()).requests == 1

    asyncio.run(replay())


async def until(so: Callable[[], object], seconds: float = 10) -> float:
    began = time.monotonic()
    while not so():
        assert time.monotonic() - began < seconds
        await asyncio.sleep(0.02)
    return time.monotonic() - began
