"""The semantic cache with its own judge: promises hold through the gateway, and the event loop never waits. # D-14"""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour, Reply, Request
from support.semantics import DATA, Semantic, semantic_options, willing_judge

from llmgw.providers.embedding.minilm import FOLDER, MANIFEST, MODEL, Manifest

if TYPE_CHECKING:
    from support.fake_anthropic import FakeAnthropic

__all__ = ["willing_judge"]


def stream(name: str) -> list[dict[str, str]]:
    path = DATA / f"dev/stream_{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("no shared data")
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


class Classified(FakeOpenAI):
    """Gives every class of a stream an answer of its own, also to whoever asks later."""

    def __init__(self, items: list[dict[str, str]]) -> None:
        super().__init__()
        names: dict[str, int] = {}
        self.answers = {
            item["prompt"]: f"Answer {names.setdefault(item['cls'], len(names))} it is." for item in items
        }

    def chat(self, request: Request, how: Behaviour) -> Reply:
        return super().chat(request, replace(how, text=self.answers[request.json["messages"][-1]["content"]]))

    def ask(self, gateway: Semantic, item: dict[str, str]) -> tuple[str, bool]:
        """Where the answer came from, and whether it is the right one."""
        answer = gateway.chat(item["prompt"])
        said = answer.json()["choices"][0]["message"]["content"]
        return answer.headers["x-llmgw-cache"], said == self.answers[item["prompt"]]


def test_a_new_cache_proves_itself_before_it_serves(tmp_path: Path, fake_anthropic: FakeAnthropic) -> None:
    """With its own judge a new cache serves little, rightly, and learns from what it compares."""
    items = stream("bank")[:150]
    with (
        Classified(items) as upstream,
        Semantic(tmp_path, upstream, fake_anthropic, cache=semantic_options()) as gateway,
    ):
        wrong = [item for item in items if upstream.ask(gateway, item) == ("semantic", False)]
    assert len(wrong) <= 2
    with gateway.store() as store:
        (judged,) = store.connection.execute(
            'SELECT count(*) FROM sightings WHERE "right" IS NOT NULL'
        ).fetchone()
    assert judged > 30


@pytest.mark.slow
def test_a_stream_keeps_its_promise_and_a_restart_its_hits(
    tmp_path: Path, fake_anthropic: FakeAnthropic
) -> None:
    """Over 2,000 banking questions hits come, few are wrong, and a restart does not lower their share."""
    items = stream("bank")[:2000]
    found: list[tuple[str, bool]] = []
    with Classified(items) as upstream:
        for part in (items[:1500], items[1500:]):
            options = semantic_options(audit=0.03)
            with Semantic(tmp_path, upstream, fake_anthropic, cache=options) as gateway:
                found += [upstream.ask(gateway, item) for item in part]
    hits = [(at, right) for at, (verdict, right) in enumerate(found) if verdict == "semantic"]
    before, after = (sum(start <= at < start + 500 for at, _ in hits) for start in (1000, 1500))
    assert len(hits) > 200
    assert sum(not right for _, right in hits) / len(hits) < 0.03
    assert after > 0.8 * before


@pytest.mark.slow
def test_the_event_loop_never_waits_for_a_judgement(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> None:
    """While prompts are judged without pause, the loop gets to what is due within 5 ms, but for what the machine does."""
    items = stream("bank")
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        for item in items[:300]:
            gateway.chat(item["prompt"])
        gateway.quiet()
        lags = [_lag_of(gateway, items[start : start + 200]) for start in (300, 500, 700)]
    assert min(lags) < 0.005, lags


def _lag_of(gateway: Semantic, items: list[dict[str, str]]) -> float:
    """How late the loop is at the 99th percentile while these are asked, in seconds; the machine has its part in it."""
    lags: list[float] = []
    over = threading.Event()

    async def probe() -> None:
        while not over.is_set():
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - due)

    probing = asyncio.run_coroutine_threadsafe(probe(), gateway.semantic._loop)
    for item in items:
        gateway.chat(item["prompt"])
    over.set()
    probing.result(5)
    assert len(lags) > 100
    return sorted(lags)[int(len(lags) * 0.99)]


def test_a_locked_file_holds_no_call_up(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> None:
    """While another process writes to the file for long, calls that look like remembered ones wait half a second at most."""
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        gateway.ask("How do I reset the password of my account?")
        with closing(sqlite3.connect(tmp_path / "cache.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            took = []
            for hello in ("please", "hello", "thanks"):
                began = time.monotonic()
                assert gateway.chat(f"{hello} how do I reset the password of my account").status_code == 200
                took.append(time.monotonic() - began)
            other.execute("ROLLBACK")
    assert max(took) < 1.5, took


def test_a_thread_with_too_much_to_do_is_passed_by(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> None:
    """Where lookups pile up, a call goes upstream at once instead of queueing; a failing judge costs a hit only."""
    asked, reworded = (
        "How do I reset the password of my account?",
        "how can i reset the password of my account",
    )
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        gateway.ask(asked)
        gateway.semantic._waiting = 8
        assert gateway.ask(reworded).headers["x-llmgw-cache"] == "miss"
        gateway.semantic._waiting = 0
        gateway.semantic.judging._read = None  # type: ignore[assignment]
        answer = gateway.chat("How could I reset the password of my account")
        assert (answer.status_code, answer.headers["x-llmgw-cache"]) == (200, "miss")
    with gateway.store() as store:
        assert store.counters()["semantic_skipped"] == 2


def test_minilm_reads_what_lies_near_and_is_remembered(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> None:
    """Where MiniLM is installed it decides; its vectors are in the file and serve after a restart."""
    pytest.importorskip("onnxruntime")
    graph = DATA / "artifacts" / "minilm_l6_int8_perchannel.onnx"
    if not graph.exists():
        pytest.skip("no shared data")
    (tmp_path / FOLDER).mkdir()
    content = graph.read_bytes()
    (tmp_path / FOLDER / MODEL).write_bytes(content)
    said = Manifest(
        source="shared",
        source_sha256="",
        license="",
        model_sha256=sha256(content).hexdigest(),
        installed_at=0,
    )
    (tmp_path / FOLDER / MANIFEST).write_bytes(msgspec.json.encode(said))
    options = semantic_options(embedder="auto")
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=options) as gateway:
        gateway.ask("How do I reset the password of my account?")
        with gateway.store() as store:
            assert store.connection.execute("SELECT vector FROM vectors").fetchall() == [(None,)]
        assert gateway.semantic._embedder.read.__self__._session is not None  # type: ignore[union-attr]
        gateway.ask("how can i reset the password of my account")
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=options) as gateway:
        assert (
            gateway.ask("How could I reset the password of my account").headers["x-llmgw-cache"] == "semantic"
        )
        assert gateway.semantic.index.has(1, "minilm")
    with gateway.store() as store:
        kept = store.connection.execute(
            "SELECT embedder, length(vector) FROM vectors WHERE entry_id = 1"
        ).fetchall()
    assert kept == [("minilm", 384)]
