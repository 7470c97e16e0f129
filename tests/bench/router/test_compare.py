"""The promise of the cold router: better than length and keywords on prompts of a bench that its weights never saw."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from llmgw.rules.tiering.likeness import Likeness

HERE = Path(__file__).parent
DATA = HERE.parents[2].parent / "shared" / "data" / "router" / "dev" / "prompts.jsonl.gz"


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command's module, where what it needs is there."""
    pytest.importorskip("sklearn", reason="training needs scikit-learn")
    if not DATA.exists():
        pytest.skip("the development split is not there")
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import compare

    return compare


@pytest.mark.slow
def test_cold_router_beats_length_and_keywords_on_every_set(compare: Any) -> None:
    """Weights that never saw a bench rank its prompts better than length and keywords do, the mix at 0.60 or more."""
    bench = compare.Bench()
    models = bench.out_of_fold(bench.without_bench())
    cold = bench.show("cold", bench.score(models))
    length = bench.show("length", [len(text) for text in bench.prompts])
    keywords = bench.show(
        "keywords", [compare.shared("metrics").seed_heuristic(text) for text in bench.prompts]
    )
    for name in compare.BENCHES:
        assert cold[name][0] > length[name][0] + 0.01
        assert cold[name][0] > keywords[name][0] + 0.05
    assert cold["mix"][0] >= 0.60
    for pairs in (True, False):
        german = bench.show(
            "German", bench.score([(new, compare.german(model, pairs)) for new, model in models])
        )
        assert all(german[name][0] > cold[name][0] - 0.03 for name in compare.BENCHES)


@pytest.mark.slow
def test_outcomes_of_a_new_kind_of_work_help(compare: Any) -> None:
    """Weights that never saw a bench rank it better after 1,000 outcomes than before."""
    static = pytest.importorskip(
        "llmgw.providers.embedding.static", reason="the static embedding is not there"
    )
    embed = Likeness(static.StaticTable.load().embed).of
    bench = compare.Bench()
    models = bench.out_of_fold(bench.without_bench()[:1])
    before = bench.learnt(models, 0, embed, 1)["mmlu"][0]
    assert bench.learnt(models, 1000, embed, 1)["mmlu"][0] > before + 0.03
