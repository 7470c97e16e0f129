"""Measure the semantic cache at 100,000 entries: lookups, memory, the event loop's lag, the way back up.

    python tests/bench/semantic/measure.py --embedder-folder DATA [--entries 100000] [--contexts 1]

``--embedder-folder`` is a data folder in which `llmgw cache embedder install` has put MiniLM; without it the static
table is measured alone. The gateway runs in a process of its own for its memory, and in this one for its parts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from support.caches import Cached
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI

from llmgw.config.caching import Cache, SemanticCache
from llmgw.domain.cache import Stored
from llmgw.domain.chat import ChatAnswer, Choice, FinishReason, Text
from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.providers.embedding.minilm import FOLDER, WIDTH, MiniLM
from llmgw.providers.embedding.static import StaticTable
from llmgw.service.semantics import open_semantics
from llmgw.storage.answers import AnswerStore
from llmgw.storage.meanings import Meanings
from llmgw.storage.vectors import code

TURN = (
    "I ordered {a} {n} from your shop on Monday and it arrived with {m} missing, so please tell me how I can send it back, "
    "who pays for the return of the {n}, and how many days it takes until the money for the {m} is on my account again "
    "or whether you can also send me {a} new one"
)
"""Sixty word pieces, about."""


def prompts(count: int, words: list[str]) -> list[str]:
    chance = random.Random(0)
    return [
        f"{chance.choice(('What is', 'Why would', 'Where does', 'Tell me about', 'Compare'))} "
        + " ".join(chance.choices(words, k=6))
        for _ in range(count)
    ]


def fill(
    home: Path, context: bytes, contexts: int, texts: list[str], table: StaticTable, embedder: str
) -> None:
    """Entries of that context, but for those that have to make up so many contexts."""
    now = SYSTEM_CLOCK.now()
    chance = np.random.default_rng(0)
    with AnswerStore.open(home / "cache.db") as store:
        usual = store.list()[0]
        meanings = Meanings(store)
        for at in range(0, len(texts), 5000):
            batch = texts[at : at + 5000]
            entries = [
                msgspec.structs.replace(
                    usual,
                    id=0,
                    fingerprint=os.urandom(32),
                    context=os.urandom(32) if number < contexts - 1 else context,
                    prompt=text,
                    created_at=now,
                    expires_at=now + 10**15,
                )
                for number, text in enumerate(batch, at)
            ]
            answer = ChatAnswer(
                id="x", model="m", usage=None, choices=(Choice(0, (Text("Yes."),), FinishReason.STOP),)
            )
            numbers = store.put_all([Stored(entry, answer) for entry in entries])
            for number, text in zip(numbers, batch, strict=True):
                row = code(chance.normal(size=WIDTH).astype(np.float32)) if embedder == MiniLM.name else None
                screen = code(table.embed(text)).tobytes()
                meanings.keep(number, table.mark, screen, embedder, None if row is None else row.tobytes())


def rss(pid: int | str = "self") -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def told(name: str, took: list[float]) -> None:
    took.sort()
    print(
        f"{name}: p50 {1e3 * statistics.median(took):.2f} ms, p99 {1e3 * took[int(len(took) * 0.99)]:.2f} ms, n {len(took)}"
    )


async def parts(path: Path, chosen: SemanticCache, context: bytes, tenant: str, words: list[str]) -> None:
    """The two kinds of lookups on a loop of its own, with a probe of how late the loop gets to what is due."""
    begun = time.perf_counter()
    semantic = open_semantics(chosen, path, SYSTEM_CLOCK)
    lags: list[float] = []

    async def probe() -> None:
        while True:
            at = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - at - 0.001)

    probing = asyncio.create_task(probe())
    while not semantic.ready:
        await asyncio.sleep(0.01)
    print(f"{len(semantic.index):,} entries read back in {time.perf_counter() - begun:.2f} s")
    told("loop lag while reading", lags[:])
    lags.clear()
    call: Any = SimpleNamespace(key=SimpleNamespace(tenant=tenant), started_at=SYSTEM_CLOCK.now())

    def known(text: str) -> Any:
        return SimpleNamespace(asked=SimpleNamespace(prompt=text, context=context))

    chance = random.Random(5)
    hopeless, cpu = [], []
    for _ in range(500):
        text = f"zx{chance.random()} {chance.random()} qqq"
        at, busy = time.perf_counter(), time.process_time()
        semantic.glance(call, known(text))
        hopeless.append(time.perf_counter() - at)
        cpu.append(time.process_time() - busy)
        await asyncio.sleep(0)
    told("hopeless lookup", hopeless)
    told("  of it CPU", cpu)
    lags.clear()
    full = []
    for at in range(220):
        text = TURN.format(a="a", n=chance.choice(words), m=chance.choice(words))
        begun = time.perf_counter()
        sight, near = semantic.glance(call, known(text))
        near = near or [semantic.index.search(context, "screen", semantic._table.embed(text), 8, -1.0)[0]]
        await semantic.look(None, call, sight, near)  # type: ignore[arg-type]
        if at >= 20:
            full.append(time.perf_counter() - begun)
    told("lookup with the embedder, 60 pieces", full)
    told("loop lag meanwhile", lags[:])
    print(f"longest: {1e3 * max(lags):.2f} ms; memory of this process {rss():.0f} MB")
    probing.cancel()
    await semantic.close()


def whole(home: Path, launch: Any, words: list[str]) -> None:
    """A gateway in a process of its own: how soon it is up, and what it weighs once everything is loaded."""
    begun = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "llmgw.service.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(msgspec.json.encode(launch))
    child.stdin.close()
    running = json.loads(child.stdout.readline())["running"]
    print(f"answers after {time.perf_counter() - begun:.2f} s")
    import httpx

    time.sleep(5)
    for at in range(40):
        text = TURN.format(a="a", n=words[at], m=words[at + 50])
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
        httpx.post(
            running["url"] + "/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {launch.secret}"},
        )
    print(f"memory of the gateway with everything loaded: {rss(child.pid):.0f} MB")
    child.terminate()
    child.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--embedder-folder", type=Path)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--contexts", type=int, default=1)
    asked = parser.parse_args()
    table = StaticTable.load()
    words = [word for word in table.pieces._ids if word.isalpha() and len(word) > 4]
    with tempfile.TemporaryDirectory() as folder, FakeOpenAI() as openai, FakeAnthropic() as anthropic:
        home = Path(folder)
        if asked.embedder_folder:
            shutil.copytree(asked.embedder_folder / FOLDER, home / FOLDER)
        chosen = SemanticCache(mode="on", embedder="minilm" if asked.embedder_folder else "static")
        with Cached(home, openai, anthropic, cache=Cache(semantic=chosen, size_mb=4096)) as gateway:
            gateway.chat(TURN.format(a="a", n="book", m="page"))
            gateway.settled(1)
        with AnswerStore.open(home / "cache.db") as store:
            (first,) = store.list()
        fill(home, first.context, asked.contexts, prompts(asked.entries, words), table, chosen.embedder)
        asyncio.run(parts(home / "cache.db", chosen, first.context, first.tenant, words))
        whole(home, gateway.launch, words)


if __name__ == "__main__":
    main()
