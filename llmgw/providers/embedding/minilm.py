"""MiniLM-L6-v2 on this machine: an ONNX graph of 8 bits that `llmgw cache embedder install` makes, never torch.

Nothing is loaded until the first text comes, and nothing is ever fetched.
"""

from __future__ import annotations

import threading
from hashlib import sha256
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from llmgw.providers.embedding.wordpiece import WordPiece

FOLDER = "embedder"
"""Beside the databases."""
MODEL = "minilm-l6-v2-int8.onnx"
MANIFEST = "minilm-l6-v2.json"
WIDTH = 384
MOST_PIECES = 254
"""What the model was trained to read, less the marks of begin and end."""
BEGIN, END = 101, 102


class Manifest(Struct, frozen=True, kw_only=True):
    """Where the installed graph comes from; hashes are SHA-256 in hex."""

    source: str
    source_sha256: str
    license: str
    model_sha256: str
    installed_at: int


def manifest(folder: Path) -> Manifest | None:
    """What is installed below the data folder, None where nothing whole is."""
    try:
        found = msgspec.json.decode((folder / FOLDER / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None
    return found if (folder / FOLDER / MODEL).is_file() else None


def usable(folder: Path) -> bool:
    """Whether it is installed and its runtime is there."""
    return find_spec("onnxruntime") is not None and manifest(folder) is not None


class MiniLM:
    """The encoder installed below a data folder. ``embed`` blocks: call it in a thread."""

    name = "minilm"
    width = WIDTH

    def __init__(self, folder: Path, pieces: WordPiece) -> None:
        self._folder = folder
        self._pieces = pieces
        self._session: Any = None
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length one a text, shape (texts, 384); ConfigInvalid where what is installed was damaged."""
        with self._lock:
            if self._session is None:
                self._session = self._load()
        rows = [[BEGIN, *self._pieces.pieces(text, MOST_PIECES), END] for text in texts]
        # One by one: padding a batch costs more than starting the model again, and moves the 8 bits of its neighbours.
        vectors = [self._run(row) for row in rows]
        return np.stack(vectors) if vectors else np.zeros((0, WIDTH), np.float32)

    def _run(self, row: list[int]) -> NDArray[np.float32]:
        numbers = np.array([row], np.int64)
        vector = self._session.run(None, {"input_ids": numbers, "attention_mask": np.ones_like(numbers)})[0][
            0
        ]
        return np.asarray(vector, np.float32)

    def _load(self) -> Any:
        known = manifest(self._folder)
        path = self._folder / FOLDER / MODEL
        if known is None or sha256(path.read_bytes()).hexdigest() != known.model_sha256:
            raise ConfigInvalid(
                f"{path} is missing or not what was installed", hint="`llmgw cache embedder install`"
            )
        import onnxruntime  # noqa: PLC0415 (only who asks for MiniLM has it, and loading it takes a while)

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it keeps the room of the longest text for ever
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
