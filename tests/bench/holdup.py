"""How long the event loop is held up at most while the caches work: `python tests/bench/holdup.py`.

A gateway in a process of its own tells of each step of its loop how much CPU it took, and how long it waited besides for
the interpreter or the disk; time in which the machine ran others is left out. Of such waiting it also tells how long
meanwhile others of its threads, of which one may have had the interpreter, stood in line for a processor: on a machine
that has other work too, that much of it may be no doing of the gateway's. Printed are the worst steps of each phase.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from asyncio import events
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx  # noqa: E402
import msgspec  # noqa: E402
from support.fake_openai import FakeOpenAI  # noqa: E402
from support.gateway import SECRET, RunningGateway, upstream  # noqa: E402

from llmgw.config.caching import Cache, SemanticCache  # noqa: E402
from llmgw.domain.cache import Selector  # noqa: E402
from llmgw.domain.chat import ChatAnswer, Choice, FinishReason, Text  # noqa: E402
from llmgw.providers.embedding.minilm import FOLDER  # noqa: E402
from llmgw.providers.embedding.static import StaticTable  # noqa: E402
from llmgw.service import semantics  # noqa: E402
from llmgw.storage.answers import AnswerStore  # noqa: E402
from llmgw.storage.meanings import Meanings  # noqa: E402
from llmgw.storage.vectors import code  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

AUTH = {"authorization": f"Bearer {SECRET}"}
TOLD = 0.001
"""Seconds of a step from which on it is told."""
LONGEST = 0.005
RATE, SECONDS = 40, 20
"""Calls a second of mixed kinds, and for how long."""


class Step(NamedTuple):
    """In seconds; ``inline`` is how long other threads stood in line meanwhile, ``collected`` the collector's part."""

    cpu: float
    waited: float
    inline: float
    collected: float
    name: str

    @property
    def own(self) -> float:
        """What is surely the gateway's."""
        return self.cpu + max(0.0, self.waited - self.inline)

    def __str__(self) -> str:
        words = f"{1e3 * self.cpu:.1f} + {1e3 * self.waited:.1f} ({1e3 * self.inline:.1f}) {self.name}"
        return words + (f", collector {1e3 * self.collected:.1f}" if self.collected > TOLD / 10 else "")


class Steps:
    """What steps of an event loop took, in seconds, by phase."""

    def __init__(self) -> None:
        self.phase = "start"
        self.found: dict[str, list[Step]] = defaultdict(list)
        self.count: Counter[str] = Counter()
        self._collected = 0.0
        self._files: dict[int, int] = {}
        self._run = events.Handle._run

    def watch(self) -> None:
        """Measure each step from now on; not for uvloop, whose steps nobody sees."""
        steps = self

        def run(handle: Any) -> None:
            (queued, others), collected = steps._queued(), steps._collected
            cpu, wall = time.thread_time(), time.perf_counter()
            steps._run(handle)
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            if wall > TOLD:
                queued_now, others_now = steps._queued()
                waited = wall - cpu - (queued_now - queued)
                inline = others_now - others
                step = Step(cpu, waited, inline, steps._collected - collected, _name(handle._callback))
                steps.found[steps.phase].append(step)
            steps.count[steps.phase] += 1

        def collect(phase: str, _: Any) -> None:
            at = time.thread_time()
            self._collected += at if phase == "stop" else -at

        gc.callbacks.append(collect)
        events.Handle._run = run  # type: ignore[method-assign]
        sys.modules["uvloop"] = None  # type: ignore[assignment]

    def _queued(self) -> tuple[float, float]:
        """How long this thread has waited for a processor so far, and how long all others."""
        mine, others = threading.get_native_id(), 0.0
        for thread in threading.enumerate():
            if (number := thread.native_id) is not None and number != mine:
                others += self._waits(number)
        return self._waits(mine), others

    def _waits(self, thread: int) -> float:
        if thread not in self._files:
            self._files[thread] = os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY)
        try:
            return int(os.pread(self._files[thread], 100, 0).split()[1]) / 1e9
        except OSError:  # it has ended
            return 0.0


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
        print(json.dumps({"steps": steps.found, "count": steps.count}), flush=True)


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


def measure(
    home: Path, entries: int, embedder: str = "static", contexts: int = 1
) -> tuple[dict[str, list[Step]], dict[str, int]]:
    """The steps of each phase that took longest, at so many semantic entries, and how many steps there were."""
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
        _fill(home, texts, table, contexts)
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
            child.say("mixed")
            _mixed(child, pool, text, texts, chance)
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
            told = json.loads(child.say("end"))
            found = {phase: [Step(*each) for each in steps] for phase, steps in told["steps"].items()}
            return found, told["count"]


def _mixed(
    child: Child, pool: ThreadPoolExecutor, text: Callable[[], str], texts: list[str], chance: random.Random
) -> None:
    """Calls of all kinds at a steady pace: some like none, near ones, reworded ones, repeated ones, new ones."""
    kinds: list[Callable[[], str]] = [
        lambda: f"zzq{chance.random()} xxj{chance.random()}",
        lambda: chance.choice(texts).replace("?", ", and how?"),
        lambda: chance.choice(texts[:500]).replace("?", " please?"),
        lambda: chance.choice(texts[:50]),
        text,
    ]
    begun, asked = time.monotonic(), []
    for number in range(RATE * SECONDS):
        time.sleep(max(0.0, begun + number / RATE - time.monotonic()))
        asked.append(pool.submit(child.ask, chance.choice(kinds)()))
    for each in asked:
        each.result()


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


def _fill(home: Path, texts: list[str], table: StaticTable, contexts: int) -> None:
    """Entries of the first one's context, but for those that have to make up so many contexts."""
    answer = ChatAnswer(
        id="x", model="m", usage=None, choices=(Choice(0, (Text("Yes. " * 20),), FinishReason.STOP),)
    )
    with AnswerStore.open(home / "cache.db", cap_bytes=1 << 33) as store:
        (usual,) = store.list()
        meanings = Meanings(store)
        for at in range(0, len(texts), 5000):
            some = texts[at : at + 5000]
            others = [
                os.urandom(32) if at + number < contexts - 1 else usual.context for number in range(len(some))
            ]
            entries = [
                msgspec.structs.replace(usual, id=0, fingerprint=os.urandom(32), prompt=text, context=context)
                for text, context in zip(some, others, strict=True)
            ]
            with store.change() as connection:
                numbers = [store._put(connection, each, answer, None) for each in entries]
            for number, text in zip(numbers, some, strict=True):
                meanings.keep(number, table.mark, code(table.embed(text)).tobytes(), "screen", None)


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--contexts", type=int, default=1)
    parser.add_argument(
        "--embedder-folder", type=Path, help="where `llmgw cache embedder install` has put MiniLM"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if asked.embedder_folder:
            shutil.copytree(asked.embedder_folder / FOLDER, home / FOLDER)
        found, count = measure(
            home, asked.entries, "auto" if asked.embedder_folder else "static", asked.contexts
        )
    print("ms of CPU + of waiting (of it others of its threads in line) of the worst steps")
    for phase, steps in found.items():
        longer = [sum(step.cpu > LONGEST for step in steps), sum(step.own > LONGEST for step in steps)]
        worst = ", ".join(map(str, sorted(steps, key=lambda step: -step.own)[:3]))
        print(
            f"{phase:13} {count[phase]:6} steps, above 5 ms by CPU {longer[0]}, in all {longer[1]}: {worst}"
        )


if __name__ == "__main__":
    main()
