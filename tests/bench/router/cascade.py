"""What a cascade's verifier finds in real answers: `python tests/bench/router/cascade.py [--solutions FILE] [--dates FOLDER]`.

GSM8K's part of the router's data holds the answers of Mixtral-8x7B with whether they are right, one each, so that only what
can be seen of a single answer is measured on it. FILE is `example_model_solutions.jsonl` of openai/grade-school-math: answers
of four models to 1,319 questions. FOLDER is a copy of MurongYue/LLM_MoT_cascade, whose results for DATE hold many answers
of Llama-2-13B and GPT-3.5 to each of 369 questions, and GPT-4's: what it is worth to ask the same model again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
DATA = ROOT.parent / "shared" / "data" / "router" / "dev" / "prompts.jsonl.gz"

from llmgw.domain.chat import (  # noqa: E402 (once the path is known)
    ChatAnswer,
    ChatRequest,
    Choice,
    FinishReason,
    Message,
    Role,
    Text,
)
from llmgw.rules.verifying.checks import examine  # noqa: E402
from llmgw.rules.verifying.finals import same_result  # noqa: E402
from llmgw.rules.verifying.wish import wish_of  # noqa: E402


def checks(prompt: str, said: str) -> list[str]:
    """The names of the checks that speak against an answer."""
    wish = wish_of(ChatRequest(model="", messages=(Message(Role.USER, (Text(prompt),)),)))
    choice = Choice(0, (Text(said),), FinishReason.STOP)
    return [
        finding.check for finding in examine(wish, ChatAnswer(id="", model="", choices=(choice,), usage=None))
    ]


def apgr(order: np.ndarray, gain: np.ndarray) -> float:
    """Share of the gap that is recovered, averaged over every share of calls that go up in this order; ties are split."""
    means = {value: gain[order == value].mean() for value in np.unique(order)}
    recovered = np.cumsum([0.0, *(means[value] for value in np.sort(order)[::-1])]) / gain.sum()
    return float(np.trapezoid(recovered, dx=1 / len(gain)))


def one_answer() -> None:
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if "weak_resp" in row]
    weak = np.array([row["weak"] for row in rows])
    gain = np.array([row["strong"] for row in rows]) - weak
    found = [checks(row["prompt"], row["weak_resp"]) for row in rows]
    bad = np.array([bool(each) for each in found])
    length = np.array([len(row["prompt"]) for row in rows], float)
    print(
        f"GSM8K, Mixtral-8x7B then GPT-4, {len(rows)} answers: {weak.mean():.3f} and {(weak + gain).mean():.3f} right"
    )
    print(
        f"  not passed {bad.sum()}, of which right {int(weak[bad].sum())}: {dict(Counter(chain.from_iterable(found)))}"
    )
    print(
        f"  share of calls that go up {bad.mean():.3f}, of the gap recovered {gain[bad].sum() / gain.sum():.3f}"
    )
    print(f"  APGR by length {apgr(length, gain):.3f}, not passed first and then by length", end=" ")
    print(f"{apgr(length + bad * 1e6, gain):.3f}")


def several_answers(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")

    def right(model: str) -> np.ndarray:
        return np.array([float(row[model]["is_correct"]) for row in rows])

    answers = [(row["question"], row[model]) for row in rows for model in models]
    found = [bool(checks(question, said["solution"])) for question, said in answers]
    true = np.array([said["is_correct"] for _, said in answers])[found].sum()
    print(
        f"grade-school-math, {len(answers)} answers of four models: not passed {sum(found)}, of which right {true}"
    )
    strong = right("175b_verification")
    for first, again in (("6b_verification", "6b_finetuning"), ("175b_finetuning", "6b_verification")):
        weak = right(first)
        agree = np.array([_agree(row, first, again) for row in rows])
        gain = strong - weak
        print(f"  {first}, asked again {again}: agree {agree.mean():.3f}", end=", ")
        print(f"right if so {weak[agree].mean():.3f}, if not {weak[~agree].mean():.3f}", end="; ")
        print(f"cascade to 175b_verification: {(~agree).mean():.3f} go up", end=", ")
        print(f"{gain[~agree].sum() / gain.sum():.3f} of the gap recovered")


def _agree(row: dict[str, Any], first: str, again: str) -> bool:
    prompt = f"{row['question']} How many?"
    return same_result(prompt, row[first]["solution"], row[again]["solution"]) is True


def asked_again(folder: Path) -> None:
    def load(name: str) -> list[dict[str, Any]]:
        return list(json.loads((folder / name).read_text(encoding="utf-8")))

    best = load("GPT4_result/date_greedy_cot1.json")
    strong = np.array([_is_date(row["generated"][0], row["answer"]) for row in best])
    for name, most in (
        ("llama2_13B_result", 10),
        ("GPT3_result", 20),
    ):  # Llama's other ten are the first ones again
        for style in ("date_cot1.json", "date_cot2.json"):
            known = {row["question"]: row["generated"] for row in load(f"{name}/{style}")}
            answers = [[_own(text) for text in known[row["question"]][:most]] for row in best]
            for samples in (1, 2, 3, 5):
                figures = _cascades(best, answers, strong, samples)
                print(f"DATE, {name} {style}, asked again {samples} times: {figures}")


def _own(text: str) -> str:
    """What a model said before it went on to questions of its own."""
    return re.split(r"\n\s*\n\s*\n|●Question|\nQ:", text)[0]


def _is_date(text: str, wanted: str) -> float:
    said, right = (re.findall(r"(\d{1,2})/(\d{1,2})/(\d{4})", each) for each in (text, wanted))
    return float(bool(said) and [*map(int, said[-1])] == [*map(int, right[-1])])


def _cascades(rows: list[dict[str, Any]], answers: list[list[str]], strong: np.ndarray, samples: int) -> str:
    """Means over eight choices of the answer that comes first; those after it are the ones that are asked for again."""
    figures = []
    length = np.array([len(row["question"]) for row in rows], float)
    for first in range(8):
        weak = np.array(
            [_is_date(each[first], row["answer"]) for row, each in zip(rows, answers, strict=True)]
        )
        others = [[each[(first + 1 + at) % len(each)] for at in range(samples)] for each in answers]
        unlike = np.array(
            [
                sum(same_result(row["question"], each[first], other) is not True for other in again)
                for row, each, again in zip(rows, answers, others, strict=True)
            ]
        )
        up, gain = 2 * (samples - unlike) < samples, strong - weak
        order = apgr(unlike + length / 1e6, gain)
        figures.append((weak.mean(), up.mean(), gain[up].sum() / gain.sum(), order, apgr(length, gain)))
    weak_, up_, recovered, order, plain = np.mean(figures, axis=0)
    return (
        f"right {weak_:.3f} and {strong.mean():.3f}, {up_:.3f} go up, {recovered:.3f} of the gap recovered;"
        f" APGR by disagreement {order:.3f}, by length {plain:.3f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solutions", type=Path)
    parser.add_argument("--dates", type=Path)
    given = parser.parse_args()
    one_answer()
    if given.solutions:
        several_answers(given.solutions)
    if given.dates:
        asked_again(given.dates)
