"""Simulated callers: each asks in its own way, a few at a time, until told to stop."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import httpx

from llmgw.service.demo.world import CALLERS, prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmgw.service.demo.world import Caller

RATE = 2.0
"""Calls a second, of all together."""
SECONDS = 30.0


async def call_on(url: str, tokens: Mapping[str, str], seed: int = 2) -> None:
    """Send calls to the gateway at ``url`` with the keys of callers by name, until cancelled."""
    random = Random(seed)  # noqa: S311 (nothing is kept secret by it)
    under_way: set[asyncio.Task[None]] = set()
    weights = [caller.weight for caller in CALLERS]
    async with httpx.AsyncClient(base_url=url, timeout=SECONDS, trust_env=False) as client:
        while True:
            (caller,) = random.choices(CALLERS, weights)
            task = asyncio.create_task(_call(client, caller, tokens[caller.key], random))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(random.expovariate(RATE))


async def _call(client: httpx.AsyncClient, caller: Caller, token: str, random: Random) -> None:
    (model,) = random.choices(list(caller.models), list(caller.models.values()))
    body = {
        "model": model,
        "max_tokens": 300,
        "messages": [{"role": "user", "content": prompt(caller, random)}],
        "stream": random.random() < caller.stream,
    }
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    with suppress(httpx.HTTPError):  # a refusal is an answer, and a gateway that stops is the end
        async with client.stream(
            "POST", "/v1/chat/completions", content=json.dumps(body), headers=headers
        ) as reply:
            async for _ in reply.aiter_bytes():
                pass
