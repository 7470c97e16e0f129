"""Texts become vectors: by the shipped table, by MiniLM where it is installed, by an endpoint. # D-14"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.domain.route import Tier
from llmgw.errors import ConfigInvalid, UpstreamFailed
from llmgw.providers.base import Upstream
from llmgw.providers.embedding import endpoint
from llmgw.providers.embedding.minilm import FOLDER, MANIFEST, MODEL, MiniLM, manifest, usable
from llmgw.providers.embedding.static import TABLE, StaticTable
from llmgw.providers.registry import providers

ARTIFACTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "semcache" / "artifacts"
TEXTS = (
    "How do I reset my password?",
    "naïve café — résumé, ÅNGSTRÖM; İstanbul ΣΑΣ",
    "北京天气怎么样\uff1f 今天 kyoto 東京",
    "def f(x): return x**2  # 3.14 $5 50%",
    "unbelievablyextraordinarywordsthatnobodyknows",
    "\t\n  ",
    "",
    "🙂 emoji \u200b zero width \ufffd",
    "x" * 300,
)


@pytest.fixture(scope="module")
def table() -> StaticTable:
    return StaticTable.load()


def test_the_table_ships_in_less_than_a_megabyte() -> None:
    """The file in the package is no larger than a megabyte."""
    assert TABLE.stat().st_size <= 1_000_000


def test_paraphrases_lie_nearer_than_other_questions(table: StaticTable) -> None:
    """A rewording has a larger cosine than a question about something else."""
    asked, reworded, other = map(
        table.embed,
        ("How can I lose weight quickly?", "what is a fast way of losing weight", "Who wrote Faust?"),
    )
    assert asked @ reworded > 0.6 > asked @ other + 0.2


@given(st.text(max_size=300))
def test_any_text_has_a_vector(text: str) -> None:
    """Whatever the script, a vector of length one comes out."""
    vector = _shared().embed(text)
    assert vector.shape == (128,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)


_tables: list[StaticTable] = []


def _shared() -> StaticTable:
    if not _tables:
        _tables.append(StaticTable.load())
    return _tables[0]


def test_word_pieces_are_those_of_the_tokenizers_library(table: StaticTable) -> None:
    """The own WordPiece gives the very ids that BERT's tokenizer gives."""
    tokenizers = pytest.importorskip("tokenizers")
    if not ARTIFACTS.exists():
        pytest.skip("no shared data")
    theirs = tokenizers.BertWordPieceTokenizer(str(ARTIFACTS / "vocab.txt"), lowercase=True)
    for text in TEXTS:
        assert table.pieces.pieces(text, 999) == theirs.encode(text).ids[1:-1], text


def test_long_texts_cost_no_more_than_a_bound(table: StaticTable) -> None:
    """A turn of 60 words takes 0.3 ms at most in the median, a megabyte 1 ms."""
    turn = "please tell me how the quick brown fox jumps over a lazy dog " * 5
    for text, most in ((turn, 0.3e-3), (turn * 3000, 1e-3)):
        table.embed(text)
        took = []
        for _ in range(30):
            begun = time.perf_counter()
            table.embed(text)
            took.append(time.perf_counter() - begun)
        assert min(took) < most


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """MiniLM's graph of the shared data, put where an installation puts its own."""
    pytest.importorskip("onnxruntime")
    graph = ARTIFACTS / "minilm_l6_int8_perchannel.onnx"
    if not graph.exists():
        pytest.skip("no shared data")
    (tmp_path / FOLDER).mkdir()
    content = graph.read_bytes()
    (tmp_path / FOLDER / MODEL).write_bytes(content)
    said = {
        "source": "shared", "source_sha256": "", "license": "Apache-2.0",
        "model_sha256": hashlib.sha256(content).hexdigest(), "installed_at": 0,
    }  # fmt: skip
    (tmp_path / FOLDER / MANIFEST).write_text(json.dumps(said))
    return tmp_path


def test_minilm_reads_paraphrases(installed: Path, table: StaticTable) -> None:
    """MiniLM's vectors have length one and tell a paraphrase from another question; a batch changes nothing."""
    assert usable(installed)
    model = MiniLM(installed, table.pieces)
    texts = ["How can I lose weight quickly?", "what is a fast way of losing weight", "Who wrote Faust?"]
    asked, reworded, other = model.embed(texts)
    assert np.linalg.norm(asked) == pytest.approx(1, abs=1e-3)
    assert asked @ reworded > 0.7 > asked @ other + 0.4
    assert np.allclose(model.embed(texts[1:2])[0], reworded)
    assert model.embed([]).shape == (0, 384)


def test_a_damaged_model_is_not_loaded(installed: Path, table: StaticTable) -> None:
    """One flipped bit in the graph is noticed before it is used."""
    path = installed / FOLDER / MODEL
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigInvalid, match="install"):
        MiniLM(installed, table.pieces).embed(["hi"])


def test_nothing_installed(tmp_path: Path) -> None:
    """Without a manifest there is no MiniLM."""
    assert manifest(tmp_path) is None
    assert not usable(tmp_path)


def _upstream(kind: str) -> Upstream:
    return Upstream(name="x", provider=providers()[kind], base_url="http://127.0.0.1:1/v1/", tier=Tier.LOCAL)


def test_both_forms_of_an_endpoints_answer() -> None:
    """OpenAI's rows count by their index, Ollama's by their place; both come out at length one with their tokens."""
    openai, ollama = _upstream("openai"), _upstream("ollama")
    assert endpoint.url(openai) == "http://127.0.0.1:1/v1/embeddings"
    assert endpoint.url(ollama) == "http://127.0.0.1:1/v1/api/embed"
    rows = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
    vectors, usage = endpoint.answer(
        openai, json.dumps({"data": rows, "usage": {"prompt_tokens": 9}}).encode(), 2
    )
    assert np.allclose(vectors, [[0.6, 0.8], [0, 1]])
    assert (usage.input_tokens, usage.estimated) == (9, False)
    vectors, usage = endpoint.answer(ollama, b'{"embeddings": [[3, 4]]}', 1)
    assert np.allclose(vectors, [[0.6, 0.8]])
    assert usage.estimated


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"data": []}', b'{"data": [{"embedding": []}]}', b'{"data": [{"embedding": [0, 0]}]}',
        b'{"data": [{"embedding": ["a"]}]}', b'{"data": [{"embedding": [1]}, {"embedding": [1, 2]}]}',
        b'{"data": [{"embedding": [1e999]}]}', b'{"data": 3}', b'{"data": [{"embedding": [1]}], "usage": 3}',
    ],
)  # fmt: skip
def test_what_is_no_embedding_is_refused(body: bytes) -> None:
    """Anything but the asked number of finite vectors is an upstream's failure."""
    with pytest.raises(UpstreamFailed):
        endpoint.answer(_upstream("openai"), body, 1)
