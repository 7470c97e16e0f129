"""The tier router beside simple baselines: ``python tests/bench/router/compare.py [--quick]`` (numpy, scikit-learn).

Prints APGR and the share of premium calls (percent) that recovers half and four fifths of the quality gap, on the
development split. No weights have seen the prompts they are scored on: they are trained without that fifth of the
prompts, without that third (so that the rest of it can be tested after learning from a part), or without the whole bench.
"""

import argparse
import importlib.util
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import train
from adapter import Online

from llmgw.rules.tiering.likeness import Likeness
from llmgw.rules.tiering.score import Model, Weights, glossary

BENCHES = ("mmlu", "gsm8k", "mix")
PUBLISHED = {"mmlu": (0.603, 35.4, 71.6), "gsm8k": (0.622, 33.6, 63.3)}
_LETTERS = re.compile(r"[^\W\d_]+")


def shared(name):
    """A module that lies beside the data."""
    path = train.DATA.parent.parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"shared_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def figures(scores, weak, gains):
    """APGR and the two costs; ties averaged."""
    found = shared("evaluate").met(np.asarray(scores, float), weak, gains)
    return found["apgr"], found["cpt50"], found["cpt80"]


def show(name, by_bench):
    cells = [
        "{:.3f} {:3.0f} {:3.0f}".format(*by_bench[each]) if each in by_bench else " " * 13 for each in BENCHES
    ]
    print(f"{name:52s} " + "  |  ".join(cells), flush=True)


class Bench:
    """The split, and what is asked of it."""

    def __init__(self):
        self.prompts, self.weak, self.strong, self.bench, self.topic = train.load()
        self.gains = self.strong - self.weak

    def at(self, bench):
        return np.flatnonzero(self.bench == bench)

    def show(self, name, scores):
        scores = np.asarray(scores, float)
        found = {}
        for bench in BENCHES:
            at = self.at(bench)
            found[bench] = figures(scores[at], self.weak[at], self.gains[at])
        show(name, found)
        return found

    def fit(self, known, **options):
        return train.fit(self.prompts[known], self.weak[known], self.strong[known], **options)

    def out_of_fold(self, splits, **options):
        """A model for each prompt that did not see it, as (indices, model)."""
        return [(new, self.fit(known, **options)) for known, new in splits]

    def without_bench(self):
        return [(np.flatnonzero(self.bench != bench), self.at(bench)) for bench in BENCHES]

    def without_topics(self, parts=3):
        """Every topic falls into one part whole, so that none is known and new."""
        topics = np.random.default_rng(0).permutation(np.unique(self.topic))
        part = {topic: at % parts for at, topic in enumerate(topics)}
        parted = np.array([part[topic] for topic in self.topic])
        return [(np.flatnonzero(parted != at), np.flatnonzero(parted == at)) for at in range(parts)]

    def score(self, models, of=lambda model, text: model.score(text).gain):
        scores = np.zeros(len(self.prompts))
        for new, model in models:
            scores[new] = [of(model, text) for text in self.prompts[new]]
        return scores

    def learnt(self, models, labels, embed, seeds, sides="both", trained=False):
        """Figures on one half of what a model has not seen, after ``labels`` outcomes of the other half, bench by bench.

        The halves are the same for any number of labels; a mean over models and seeds, nothing where labels lack.
        ``trained`` takes the outcomes from prompts that the weights were trained on instead.
        """
        found = {}
        for bench in BENCHES:
            rows = []
            for new, model in models:
                mine = new[self.bench[new] == bench]
                for seed in range(seeds if len(mine) else 0):
                    order = np.random.default_rng(seed).permutation(mine)
                    known, rest = np.array_split(order, 2)
                    if trained:
                        known = np.random.default_rng(seed).permutation(np.setdiff1d(self.at(bench), mine))
                    if len(known) >= labels:
                        rows.append(self._one(model, known[:labels], rest, embed, sides, seed))
            if rows:
                found[bench] = tuple(np.mean(rows, axis=0))
        return found

    def retaught(self, models, labels, embed):
        """Scores of what each model has not seen, after outcomes of the same bench on which it was trained."""
        scores = np.zeros(len(self.prompts))
        for new, model in models:
            for bench in BENCHES:
                known = np.setdiff1d(self.at(bench), new)
                router = Online(model, embed)
                for at in np.random.default_rng(0).permutation(known)[:labels]:
                    router.observe(self.prompts[at], self.weak[at], self.strong[at])
                mine = new[self.bench[new] == bench]
                scores[mine] = [router.score(text) for text in self.prompts[mine]]
        return scores

    def _one(self, model, known, new, embed, sides, seed):
        router = Online(model, embed)
        coin = np.random.default_rng(seed)
        for at in known:
            side = coin.choice(["weak", "strong"]) if sides == "either" else None
            weak = self.weak[at] if side in (None, "weak") else None
            strong = self.strong[at] if side in (None, "strong") else None
            router.observe(self.prompts[at], weak, strong)
        scores = [router.score(text) for text in self.prompts[new]]
        return figures(scores, self.weak[new], self.gains[new])


def german(model, pairs):
    """A model that knows an English word only if the glossary leads to it: what it is left with of German.

    With ``pairs`` those of two such words are kept, as if the order of words were the same; without, none. Either way
    it is too little, as names and loan words are lost here that German shares.
    """
    reached = {*glossary().values()}
    weights = model.weights
    kept = {
        gram: numbers
        for gram, numbers in weights.words.items()
        if all(word in reached or not _LETTERS.fullmatch(word) for word in gram.split(" "))
        and (pairs or " " not in gram)
    }
    fields = {name: getattr(weights, name) for name in Weights.__struct_fields__}
    return Model(Weights(**{**fields, "words": kept}), {})


def reliability(name, expected, seen, *, stretch=True):
    """Mean expected and seen in ten equal parts, and the mean distance between them; stretched as training does."""
    if stretch:
        expected = np.clip(np.polyval(np.polyfit(expected, seen, 1), expected), -1, 1)
    parts = np.array_split(np.argsort(expected, kind="stable"), 10)
    pairs = [(expected[part].mean(), seen[part].mean()) for part in parts]
    error = sum(abs(a - b) * len(part) for (a, b), part in zip(pairs, parts, strict=True)) / len(expected)
    print(f"{name:32s} {error:.3f}   " + " ".join(f"{a:.2f}/{b:.2f}" for a, b in pairs))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed instead of three")
    seeds = 1 if parser.parse_args().quick else 3
    from llmgw.providers.embedding.static import StaticTable

    likeness = Likeness(StaticTable.load().embed)
    bench = Bench()
    vectors = {text: likeness.of(text) for text in bench.prompts}
    embed = vectors.__getitem__
    print(
        f"{'APGR, premium calls for 50 %, for 80 % of the gap':52s} "
        + "  |  ".join(f"{b:13s}" for b in BENCHES)
    )
    keywords = shared("metrics").seed_heuristic
    bench.show("random", np.random.default_rng(0).random(len(bench.prompts)))
    bench.show("length", [len(text) for text in bench.prompts])
    bench.show("keywords", [keywords(text) for text in bench.prompts])
    show("RouteLLM, best published (trained on gold labels)", PUBLISHED)
    fifths = bench.out_of_fold(train.folds(len(bench.prompts)))
    thirds = bench.out_of_fold(train.folds(len(bench.prompts), 3))
    without = bench.out_of_fold(bench.without_bench())
    bench.show("cold, whole bench never seen", bench.score(without))
    no_code = bench.out_of_fold(bench.without_bench(), code=0.0)
    bench.show("  the same, code without its hand-set prior", bench.score(no_code))
    for pairs, said in ((True, "pairs kept"), (False, "pairs lost")):
        models = [(new, german(model, pairs)) for new, model in without]
        bench.show(f"  the same, as if German, {said}", bench.score(models))
    cold = bench.score(fifths)
    bench.show("cold, prompt never seen (five folds)", cold)
    for pairs, said in ((True, "pairs kept"), (False, "pairs lost")):
        models = [(new, german(model, pairs)) for new, model in fifths]
        bench.show(f"  the same, as if German, {said}", bench.score(models))
    topics = bench.out_of_fold(bench.without_topics())
    for name, models in (
        ("prompt never seen", thirds),
        ("topic never seen", topics),
        ("bench never seen", without),
    ):
        for labels in (0, 100, 300, 1000):
            show(f"{labels:,} outcomes, both tiers seen ({name})", bench.learnt(models, labels, embed, seeds))
        show(f"1,000 outcomes, one tier seen ({name})", bench.learnt(models, 1000, embed, seeds, "either"))
        show(f"1,000 outcomes, no neighbours ({name})", bench.learnt(models, 1000, lambda _: None, seeds))
    show(
        "1,000 outcomes on which the weights were trained",
        bench.learnt(thirds, 1000, embed, seeds, trained=True),
    )
    for labels in (0, 300, 1000, 1500):
        name = f"{labels:,} outcomes of what was trained on, five folds as one"
        bench.show(name, bench.retaught(fifths, labels, embed))
    print("\nexpected/seen in tenths (five folds unless said), mean distance first")
    premium = bench.score(fifths, lambda model, text: model.score(text).premium)
    reliability("a premium model answers well", premium, bench.strong)
    reliability("a modest model answers well", np.clip(premium - cold, 0, 1), bench.weak)
    reliability("gain", cold, bench.gains)
    for name in BENCHES:
        at = bench.at(name)
        reliability(f"gain, {name} never seen", bench.score(without)[at], bench.gains[at], stretch=False)


if __name__ == "__main__":
    main()
