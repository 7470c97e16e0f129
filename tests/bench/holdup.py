"""How long the event loop is held up at most while the caches work: `python tests/bench/holdup.py [ENTRIES] [static|auto]`.

A gateway in a process of its own tells of each step of its loop how much CPU it took, and how long it waited besides for
the interpreter or the disk; time in which the machine ran others is left out. Printed are the worst steps of each phase.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from asyncio import events
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx  # noqa: E402
import msgspec  # noqa: E402
from support.fake_openai import FakeOpenAI  # noqa: E402
from support.gateway import SECRET, RunningGateway, upstream  # noqa: E402

from llmgw.config.caching import Cache, SemanticCache  # noqa: E402
from llmgw.domain.cache import Selector  # noqa: E402
from llmgw.domain.chat import ChatAnswer, Choice, FinishReason, Text  # noqa: E402
from llmgw.providers.embedding.static import StaticTable  # noqa: E402
from llmgw.service import semantics  # noqa: E402
from llmgw.storage.answers import AnswerStore  # noqa: E402
from llmgw.storage.meanings import Meanings  # noqa: E402
from llmgw.storage.vectors import code  # noqa: E402

AUTH = {"authorization": f"Bearer {SECRET}"}
TOLD = 0.001
"""Seconds of a step from which on it is told."""


class Step(NamedTuple):
    cpu: float
    waited: float
    name: str


class Steps:
    """What steps of an event loop took, in seconds, by phase."""

    def __init__(self) -> None:
        self.phase = "start"
        self.found: dict[str, list[Step]] = defaultdict(list)
        self._files: dict[int, int] = {}
        self._run = events.Handle._run

    def watch(self) -> None:
        """Measure each step from now on; not for uvloop, whose steps nobody sees."""
        steps = self

        def run(handle: Any) -> None:
            queued, cpu, wall = steps._queued(), time.thread_time(), time.perf_counter()
            steps._run(handle)
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            if wall > TOLD:
                waited = wall - cpu - (steps._queued() - queued)
                steps.found[steps.phase].append(Step(cpu, waited, _name(handle._callback)))

        events.Handle._run = run  # type: ignore[method-assign]
        sys.modules["uvloop"] = None  # type: ignore[assignment]

    def _queued(self) -> float:
        """How long this thread has waited for a processor so far."""
        thread = threading.get_native_id()
        if thread not in self._files:
            self._files[thread] = os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY)
        return int(os.pread(self._files[thread], 100, 0).split()[1]) / 1e9


def _name(callback: Any) -> str:
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return str(getattr(task.get_coro(), "__qualname__", task))
    return str(getattr(callback, "__qualname__", callback))


def serve(home: str, address: str, embedder: str) -> None:
    """The gateway: a line on stdin names a phase, `ready` waits for the semantic cache, `end` tells what was seen."""
    steps, opened, true = Steps(), [], semantics.open_semantics

    def remember(*given: Any) -> Any:
        opened.append(true(*given))
        return opened[0]

    semantics.open_semantics = remember
    steps.watch()
    options = Cache(size_mb=4096, semantic=SemanticCache(mode="on", embedder=embedder))
    with RunningGateway(
        Path(home), [upstream("openai", address + "/v1", models=("m",))], cache=options
    ) as gateway:
        print(gateway.url, flush=True)
        for line in sys.stdin:
            word = line.strip()
            if word == "end":
                break
            while word == "ready" and not (opened and opened[0].ready):
                time.sleep(0.01)
            steps.phase = word
            print(len(opened[0].index) if opened else 0, flush=True)
        print(json.dumps(steps.found), flush=True)


class Child:
    """The gateway from outside."""

    def __init__(self, home: Path, address: str, embedder: str) -> None:
        command = [sys.executable, "-u", __file__, "serve", str(home), address, embedder]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._client = httpx.Client(headers=AUTH, timeout=60)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()
        self._process.communicate(timeout=30)  # also ends it where it was not told to

    def say(self, word: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def ask(self, text: str = "", **more: Any) -> str:
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
        answer = self._client.post(self.url + "/v1/chat/completions", json=body)
        answer.raise_for_status()
        return answer.headers["x-llmgw-cache"]


def measure(home: Path, entries: int, embedder: str = "static") -> dict[str, list[Step]]:
    """The steps of each phase that took longest, at so many semantic entries of one context."""
    chance, table = random.Random(0), StaticTable.load()
    words = [f"{first}{last}" for first in ("re", "un", "over", "out", "under") for last in WORDS]

    def text() -> str:
        return (
            f"{chance.choice(('What is', 'Why would', 'Where does'))} {' '.join(chance.choices(words, k=7))}?"
        )

    texts = [text() for _ in range(entries)]
    with FakeOpenAI() as fake:
        with Child(home, fake.url, embedder) as child:
            child.say("ready")
            child.ask("What is the first of them?")
            child.say("end")
        _fill(home, texts, table)
        with Child(home, fake.url, embedder) as child, ThreadPoolExecutor(8) as pool:
            child.say("opening")
            child.say("ready")
            child.say("hopeless")
            for number in range(200):
                child.ask(f"zzq{number} xxj{number} qqw{number} vvk{number}")
            child.say("near")
            for _ in range(200):
                child.ask(chance.choice(texts).replace("?", " please?"))
            child.say("inserts")
            list(pool.map(child.ask, [text() for _ in range(1000)]))
            child.say("hits")
            list(pool.map(child.ask, chance.choices(texts[:50], k=2000)))
            child.say("large bodies")
            turns = [{"role": "user", "content": f"word {number}"} for number in range(10_001)]
            for number in range(3):
                child.ask('word "quoted"\n' * 60_000 + str(number))
                child.ask(messages=[*turns, {"role": "user", "content": str(number)}])
            child.say("eviction")
            with AnswerStore.open(home / "cache.db", cap_bytes=1 << 33) as store:
                store.remove(Selector(ids=tuple(each.id for each in store.list(limit=entries // 20))))
                time.sleep(7)
                store.remove(Selector())
            time.sleep(7)
            return {
                phase: [Step(*each) for each in found]
                for phase, found in json.loads(child.say("end")).items()
            }


WORDS = [
    "turn",
    "claim",
    "write",
    "state",
    "form",
    "count",
    "play",
    "mark",
    "view",
    "act",
    "move",
    "print",
    "place",
    "grow",
    "sign",
    "join",
    "heat",
    "load",
    "test",
    "view",
]


def _fill(home: Path, texts: list[str], table: StaticTable) -> None:
    answer = ChatAnswer(
        id="x", model="m", usage=None, choices=(Choice(0, (Text("Yes. " * 20),), FinishReason.STOP),)
    )
    with AnswerStore.open(home / "cache.db", cap_bytes=1 << 33) as store:
        (usual,) = store.list()
        meanings = Meanings(store)
        for at in range(0, len(texts), 5000):
            some = texts[at : at + 5000]
            entries = [
                msgspec.structs.replace(usual, id=0, fingerprint=os.urandom(32), prompt=text) for text in some
            ]
            with store.change() as connection:
                numbers = [store._put(connection, each, answer, None) for each in entries]
            for number, text in zip(numbers, some, strict=True):
                meanings.keep(number, table.mark, code(table.embed(text)).tobytes(), "screen", None)


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
        return
    entries, embedder = int((sys.argv[1:] or ["100000"])[0]), (sys.argv[2:] or ["static"])[0]
    with tempfile.TemporaryDirectory() as home:
        for phase, steps in measure(Path(home), entries, embedder).items():
            worst = sorted(steps, key=lambda step: -(step.cpu + step.waited))[:3]
            told = ", ".join(f"{1e3 * each.cpu:.1f} + {1e3 * each.waited:.1f} {each.name}" for each in worst)
            print(
                f"{phase:13} {len(steps):4} steps above {1e3 * TOLD:.0f} ms; ms of CPU + of waiting: {told}"
            )


if __name__ == "__main__":
    main()
