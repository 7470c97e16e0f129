"""The development streams of ``../shared/data/semcache``, run through the product's own turn, vectors, index and judge."""

from __future__ import annotations

import atexit
import gzip
import json
import os
import random
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from shutil import copyfile

import numpy as np

from llmgw.providers.embedding.minilm import FOLDER, MANIFEST, MODEL, MiniLM
from llmgw.providers.embedding.static import StaticTable
from llmgw.rules.similarity.decision import Neighbour
from llmgw.rules.similarity.judge import Judge, Verdict
from llmgw.rules.similarity.turn import read
from llmgw.storage.vectors import VectorIndex, code

DATA = Path(
    os.environ.get("SEMCACHE", Path(__file__).resolve().parents[3].parent / "shared" / "data" / "semcache")
)
CACHED = Path(tempfile.gettempdir()) / "llmgw-bench-vectors"
NEAR = 0.45
CANDIDATES = 12
PART = b"stream"

Embed = Callable[[str], np.ndarray]
turn = lru_cache(60_000)(read)


@dataclass(frozen=True)
class Item:
    prompt: str
    answer: str
    source: str


def stream(name: str, order: int = 0) -> list[Item]:
    """A development stream in its own order, or shuffled as ``evaluate.py --orders`` does."""
    with gzip.open(DATA / "dev" / f"stream_{name}.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    if order:
        random.Random(1000 + order).shuffle(rows)
    return [Item(row["prompt"], str(row["cls"]), row.get("src", "-")) for row in rows]


def plain(prompt: str) -> str:
    """What ``evaluate.py`` calls an exact repeat."""
    return re.sub(r"\s+", " ", re.sub(r"[^\w\s]", " ", prompt.lower())).strip()


@cache
def table() -> StaticTable:
    return StaticTable.load()


@cache
def static() -> Embed:
    return lru_cache(60_000)(table().embed)


@cache
def minilm() -> Embed:
    """The research's ONNX graph in the product's own runtime; its vectors are kept below the temporary folder."""
    kept = _Kept(CACHED)
    own = tempfile.TemporaryDirectory()
    folder = Path(own.name)
    source = DATA / "artifacts" / "minilm_l6_int8_perchannel.onnx"
    (folder / FOLDER).mkdir()
    copyfile(source, folder / FOLDER / MODEL)
    digest = sha256(source.read_bytes()).hexdigest()
    (folder / FOLDER / MANIFEST).write_text(
        json.dumps(
            {
                "source": source.name,
                "source_sha256": digest,
                "license": "Apache-2.0",
                "model_sha256": digest,
                "installed_at": 0,
            }
        )
    )
    model = MiniLM(folder, table().pieces)
    atexit.register(own.cleanup)

    def embed(text: str) -> np.ndarray:
        vector = kept.get(text)
        return kept.put(text, model.embed([text])[0]) if vector is None else vector

    return embed


class _Kept:
    """Vectors by text in memory, from one file that is only read: ``keep`` writes it."""

    def __init__(self, folder: Path) -> None:
        self.vectors: dict[str, np.ndarray] = {}
        texts = folder / "texts.json"
        if texts.is_file():
            rows = np.load(folder / "minilm.npy")
            self.vectors = dict(zip(json.loads(texts.read_text()), rows, strict=True))

    def get(self, text: str) -> np.ndarray | None:
        found = self.vectors.get(text)
        return None if found is None else found.astype(np.float32)

    def put(self, text: str, vector: np.ndarray) -> np.ndarray:
        self.vectors[text] = vector.astype(np.float16)
        return vector


EMBEDDERS: dict[str, Callable[[], Embed]] = {"minilm": minilm, "static": static}


class Cache:
    """A semantic cache as the gateway has it, without the gateway: entries, groups, index and judge."""

    def __init__(self, embed: Embed, judge: Judge) -> None:
        self.embed, self.judge = embed, judge
        self.index = VectorIndex()
        self.prompts: dict[int, str] = {}
        self.groups: dict[int, int] = {}

    def consider(self, prompt: str) -> Verdict:
        near = self.index.search(PART, "vector", self.embed(prompt), CANDIDATES, NEAR)
        neighbours = [
            Neighbour(entry, turn(self.prompts[entry]), cosine, self.groups[entry]) for entry, cosine in near
        ]
        return self.judge.consider(turn(prompt), neighbours)

    def store(self, prompt: str, entry: int, group: int) -> None:
        self.index.add(PART, entry, vector=code(self.embed(prompt)))
        self.prompts[entry], self.groups[entry] = prompt, group


@dataclass
class Outcome:
    """Counts of one run; ``log`` holds features, label and score of every candidate."""

    requests: int = 0
    hits: int = 0
    wrong: int = 0
    audits: int = 0
    log: list[tuple[np.ndarray, bool, float]] = field(default_factory=list)


def run(items: list[Item], cached: Cache, labels: int = 1) -> Outcome:
    """A stream through a cache: misses are stored and compared with their candidate, audited hits too.

    Of a miss as many answers are compared as there are ``labels``: one, as ``evaluate.py`` allows, or two as in the gateway.
    """

    def same(item: Item, neighbour: Neighbour) -> bool:
        other = items[neighbour.entry_id]
        return other.answer == item.answer or plain(other.prompt) == plain(item.prompt)

    outcome = Outcome(len(items))
    for at, item in enumerate(items):
        verdict = cached.consider(item.prompt)
        right = verdict.neighbour is not None and same(item, verdict.neighbour)
        if verdict.features is not None:
            outcome.log.append((verdict.features, right, verdict.score))
        if verdict.hit:
            outcome.hits += 1
            outcome.wrong += not right
            outcome.audits += verdict.audit
            if verdict.audit:
                cached.judge.learn(verdict, right, verdict.weight)
            continue
        told = right if verdict.neighbour and (labels > 1 or not verdict.likelier) else None
        also = (
            same(item, verdict.other) if verdict.other and not told and (labels > 1 or told is None) else None
        )
        group = cached.judge.learn(verdict, told, also=also, fresh=at)
        cached.store(item.prompt, at, at if group is None else group)
    return outcome
