"""On the development streams the promise holds, and near misses are never served. # D-14"""

from __future__ import annotations

import gzip
import json
import random
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[2].parent / "shared" / "data" / "semcache"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the shared research data is not here")
sys.path.insert(0, str(HERE))


def kept(run: object) -> bool:
    """Whether wrong hits stay within the promise and two deviations of chance; a single one is no evidence."""
    return run.wrong <= max(1, 0.01 * run.hits + 2 * (0.01 * run.hits) ** 0.5)


def outcome(
    embedder: str, name: str, order: int = 0, promise: float = 0.01, most: int | None = None, labels: int = 2
) -> object:
    """A run as in the gateway, which compares two answers with a fresh one; ``evaluate.py`` allows one."""
    import streams

    from llmgw.rules.similarity.judge import Judge

    judge = Judge(promise, embedder, chance=random.Random(order))
    cached = streams.Cache(streams.EMBEDDERS[embedder](), judge)
    return streams.run(streams.stream(name, order)[:most], cached, labels)


def test_the_static_table_alone_keeps_the_promise_on_support_questions() -> None:
    """Two thousand customer questions: some are served, and wrongly no more often than the promise and chance allow."""
    run = outcome("static", "bank", most=2_000)
    assert run.hits > 200
    assert kept(run)


@pytest.mark.slow
@pytest.mark.parametrize("embedder", ["minilm", "static"])
@pytest.mark.parametrize(("order", "labels"), [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("name", ["bank", "clinc", "tmpl", "qqp", "qqp_heavy", "mix"])
def test_the_promise_holds_on_every_stream_in_every_order(
    embedder: str, name: str, order: int, labels: int
) -> None:
    """Wrong hits stay within the promise and what chance allows; where nothing is safe next to nothing is served."""
    pytest.importorskip("onnxruntime")
    run = outcome(embedder, name, order, labels=labels)
    assert kept(run)
    if name in {"bank", "clinc"}:
        assert run.hits > 0.4 * run.requests


@pytest.mark.slow
@pytest.mark.parametrize("embedder", ["minilm", "static"])
def test_no_near_miss_is_ever_served(embedder: str) -> None:
    """Not where the other question stands alone, nor as one of the group that thousands of requests have proven most."""
    pytest.importorskip("onnxruntime")
    import streams

    from llmgw.rules.similarity.decision import Neighbour
    from llmgw.rules.similarity.judge import Judge

    embed = streams.EMBEDDERS[embedder]()
    warm = Judge(0.01, embedder, chance=random.Random(1))
    streams.run(streams.stream("bank")[:4_000], streams.Cache(embed, warm))
    with gzip.open(DATA / "dev" / "nearmiss.jsonl.gz", "rt") as lines:
        rows = [row for row in map(json.loads, lines) if row["label"] == 0]
    proven = max(warm.groups.records, key=lambda group: warm.groups.records[group].right)
    for row in rows:
        one, other = streams.turn(row["a"]), streams.turn(row["b"])
        cosine = float(embed(row["a"]) @ embed(row["b"]))
        for group in (10**9, proven):
            assert not warm.consider(other, [Neighbour(1, one, cosine, group)]).hit
