"""Trains the weights of the tier score: ``python tests/bench/router/train.py`` (needs numpy, scipy and scikit-learn).

Ridge regression of the gain (strong minus weak quality) and of the strong model's quality on idf of one and two tokens
and on whether code is asked for. The weight of length is set so that it moves the gain half as far as the words do:
words learnt on some topics say less on others while length says the same everywhere. Code starts from a hand-set prior
(``CODE``): a small model is known to be worst there, and most of the training prompts ask for none. Then the
gain and the chance are stretched or shrunk so that they are calibrated on folds that did not train them. Last it writes
along which axes prompts are compared: the main ones of the training prompts' embeddings, none of whose grades it looks at.
"""

import argparse
import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from llmgw.providers.embedding.static import StaticTable
from llmgw.rules.tiering.likeness import MEANING, look, part
from llmgw.rules.tiering.score import Model, Weights, glossary
from llmgw.rules.tiering.words import asks_for_code, english, pairs, size, tokens

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data" / "router" / "dev" / "prompts.jsonl.gz"
ROOM = ROOT / "llmgw" / "rules" / "tiering"
PROVENANCE = (
    "ridge on 10,810 prompts of the public RouteLLM evaluation responses (MMLU, GSM8K, mixed benches; Mixtral-8x7B "
    "as weak and GPT-4 as strong model), made by tests/bench/router/train.py"
)
FEATURES, FEWEST, ALPHA, LENGTH_SHARE, STRANGER = 8000, 4, 8.0, 0.5, 8.0
USUAL = 128
CODE, CODE_TRUST = 0.2, 0.2  # gain added for code before any data, and how readily data changes it


def load(path=DATA):
    """Prompts, weak and strong quality, bench, topic, as arrays."""
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    prompts = np.array([row["prompt"] for row in rows], object)
    weak, strong = (np.array([float(row[side]) for row in rows]) for side in ("weak", "strong"))
    return prompts, weak, strong, *(np.array([row[name] for row in rows]) for name in ("bench", "domain"))


def vocabulary(documents, prompts):
    """The idf of the grams that stand in enough prompts; pairs only of words that are kept."""
    counts = Counter()
    for found in documents:
        counts.update({*found, *pairs(found)})
    kept = {gram for gram, count in counts.most_common(FEATURES) if count >= FEWEST}
    kept = {gram for gram in kept if kept.issuperset(gram.split(" "))}
    return {gram: round(float(np.log((1 + prompts) / (1 + counts[gram])) + 1), 3) for gram in sorted(kept)}


def fit(prompts, weak, strong, slopes=(1.0, 1.0), code=CODE, usual=()):
    """A model of these prompts; ``slopes`` stretch what moves its gain and its premium chance."""
    found = [tokens(text) for text in prompts]
    idf = vocabulary([english(each, glossary()) for each in found], len(prompts))
    sizes = np.log1p([size(text) for text in prompts])
    mean, deviation = sizes.mean(), sizes.std()
    model = Model(_bare(idf), glossary())
    numbers = np.array(list(idf.values()))
    columns, rows, values = [], [0], []
    for each in found:
        seen, norm = model.read(each)
        at = sorted(seen)
        columns += at
        values += list(numbers[at] / norm)
        rows.append(len(columns))
    words = csr_matrix((values, columns, rows), shape=(len(prompts), len(idf)))
    codes = np.array([float(asks_for_code(each)) for each in found])
    spans = np.clip((sizes - mean) / deviation, -3, 3)
    matrix = csr_matrix(hstack([words, codes[:, None] * CODE_TRUST, spans[:, None]]))
    gain = Ridge(alpha=ALPHA, solver="sparse_cg", tol=1e-3)
    gain.fit(matrix[:, :-1], strong - weak - code * codes)
    best = Ridge(alpha=ALPHA, solver="sparse_cg", tol=1e-3).fit(matrix, strong)
    moved = words @ gain.coef_[:-1]
    length = LENGTH_SHARE * float(moved.std())
    code += float(gain.coef_[-1]) * CODE_TRUST
    middle = float((moved + code * codes).mean() + gain.intercept_)
    slope, best_slope = slopes
    bias = middle + slope * (float(gain.intercept_) - middle)
    best_middle = float((matrix @ best.coef_).mean() + best.intercept_)
    best_bias = best_middle + best_slope * (float(best.intercept_) - best_middle)
    return Model(
        Weights(
            provenance=PROVENANCE,
            bias=(round(bias, 5), round(best_bias, 5)),
            length=(round(slope * length, 5), round(best_slope * float(best.coef_[-1]), 5)),
            code=(round(slope * code, 5), round(best_slope * float(best.coef_[-2]) * CODE_TRUST, 5)),
            mean=round(float(mean), 4),
            deviation=round(float(deviation), 4),
            stranger=STRANGER,
            usual=tuple(usual),
            words={
                gram: (
                    idf[gram],
                    round(slope * float(gain.coef_[at]), 4),
                    round(best_slope * float(best.coef_[at]), 4),
                )
                for at, gram in enumerate(idf)
            },
        ),
        glossary(),
    )


def _bare(idf):
    """Weights that only read."""
    return Weights(
        provenance="",
        bias=(0.0, 0.0),
        length=(0.0, 0.0),
        code=(0.0, 0.0),
        mean=0.0,
        deviation=1.0,
        stranger=STRANGER,
        usual=(),
        words={gram: (value, 0.0, 0.0) for gram, value in idf.items()},
    )


def folds(count, parts=5):
    """Random parts of the prompts, the same at every call: (known, new) index arrays."""
    return list(KFold(parts, shuffle=True, random_state=0).split(np.arange(count)))


def likeness(prompts):
    """The arrays that ``Likeness`` reads."""
    embed = StaticTable.load().embed
    seen = [part(text) for text in prompts]
    vectors = np.stack([embed(text) for text in seen]).astype(float)
    forms = np.array([look(text) for text in seen])
    mean = vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(vectors - mean, full_matrices=False)
    found = {
        "mean": mean,
        "axes": axes[:MEANING].T,
        "usual": forms.mean(axis=0),
        "deviation": forms.std(axis=0),
    }
    return {name: array.astype(np.float16) for name, array in found.items()}


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    prompts, weak, strong, _, _ = load()
    scores = [None] * len(prompts)
    for known, new in folds(len(prompts)):
        model = fit(prompts[known], weak[known], strong[known])
        for at in new:
            scores[at] = model.score(prompts[at])
    gains = np.array([score.gain for score in scores])
    slope = float(np.polyfit(gains, strong - weak, 1)[0])
    best_slope = float(np.polyfit([score.premium for score in scores], strong, 1)[0])
    calibrated = gains.mean() + slope * (gains - gains.mean())
    usual = [round(float(gain), 3) for gain in np.quantile(calibrated, (np.arange(USUAL) + 0.5) / USUAL)]
    model = fit(prompts, weak, strong, (slope, best_slope), usual=usual)
    fields = {name: getattr(model.weights, name) for name in Weights.__struct_fields__}
    (ROOM / "weights.json").write_text(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")
    np.savez(ROOM / "likeness.npz", **likeness(prompts))
    print(f"slopes {slope:.3f} and {best_slope:.3f}, {len(model.weights.words):,} words")


if __name__ == "__main__":
    main()
