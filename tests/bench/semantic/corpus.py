"""The texts that the static table is distilled on: permissive sources only, and never QQP, which is for measuring.

- Open English WordNet (CC BY 4.0, derived from Princeton WordNet): definitions, examples, and questions made of its words.
- BANKING77 (CC BY 4.0), CLINC150 (CC BY 3.0), templates, MMLU and GSM8K prompts (MIT): the development halves.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
from pathlib import Path

QUESTIONS = (
    "What is {a} {n}?", "How do I {v} {a} {n}?", "Why do people {v} {p}?", "What is the difference between {a} {n} and {b} {m}?",
    "Which {n} is the best for {m}?", "How can I {v} my {n} without {m}?", "Is it possible to {v} {a} {j} {n}?",
    "What are the best {p} for {m}?", "Where can I find {a} {j} {n}?", "How long does it take to {v} {a} {n}?",
    "Should I {v} {a} {n} or {w} {b} {m}?", "What does {j} mean?", "Can you recommend {a} {n} for {j} {m}?",
    "explain {n} to me", "write a short poem about {a} {j} {n}", "tell me about {n} and {m}", "{v} the {n} please",
    "What should I know about {n} before I {v}?", "Does {n} cause {m}?", "Who invented the {n}?",
    "What happens if you {v} {a} {n}?", "give me an example of {a} {j} {n}", "How much does {a} {n} cost?",
    "What is the meaning of {n}?", "how to {v} {n} in {m}", "I want to {v} {a} {n}, what do I need?",
)  # fmt: skip


def _git(repository: Path, path: str) -> str:
    command = ["git", "-C", str(repository), "show", f"HEAD:{path}"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def wordnet(repository: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Definitions and examples, and the words by part of speech."""
    names = subprocess.run(
        ["git", "-C", str(repository), "ls-tree", "--name-only", "HEAD", "src/yaml/"],
        capture_output=True, check=True, text=True,
    ).stdout.split()  # fmt: skip
    texts, words = [], {kind: [] for kind in ("noun", "verb", "adj", "adv")}
    for name in sorted(names):
        kind = Path(name).name.partition(".")[0]
        if kind not in words:
            continue
        # An own reading of the few shapes that these files have: a YAML parser takes minutes for them.
        section = ""
        for line in _git(repository, name).split("\n"):
            if match := re.match(r"  (\w+):", line):
                section = match[1]
            elif match := re.match(r"  - (.*)", line):
                value = match[1].strip("'\"")
                if section in {"definition", "example"}:
                    texts.append(value)
                elif section == "members":
                    words[kind].append(value)
            elif line.startswith("    ") and section in {"definition", "example"} and texts:
                texts[-1] += " " + line.strip().strip("'\"")
    return [text for text in texts if not text.startswith("source:")], words


def questions(words: dict[str, list[str]], count: int, chance: random.Random) -> list[str]:
    """Questions as people put them, about anything that has a word."""

    def article(word: str) -> str:
        return "an" if word[0] in "aeiou" else "a"

    made = []
    while len(made) < count:
        n, m = chance.choice(words["noun"]), chance.choice(words["noun"])
        v, w, j = chance.choice(words["verb"]), chance.choice(words["verb"]), chance.choice(words["adj"])
        pattern = chance.choice(QUESTIONS)
        made.append(pattern.format(n=n, m=m, v=v, w=w, j=j, p=n + "s", a=article(n), b=article(m)))
    return made


def development(data: Path) -> list[str]:
    """Prompts of the streams but QQP's, and the router's, whole and by sentence."""
    prompts = []
    for name in ("bank", "clinc", "tmpl"):
        with gzip.open(data / f"semcache/dev/stream_{name}.jsonl.gz", "rt") as lines:
            prompts += [json.loads(line)["prompt"] for line in lines]
    with gzip.open(data / "router/dev/prompts.jsonl.gz", "rt") as lines:
        tasks = [json.loads(line)["prompt"] for line in lines]
    sentences = [part.strip() for task in tasks for part in re.split(r"(?<=[.?!])\s+|\n", task)]
    return prompts + tasks + [each for each in sentences if 15 < len(each) < 300]


def texts(repository: Path, data: Path) -> list[str]:
    """All of it in a fixed order, each text once."""
    natural, words = wordnet(repository)
    made = questions(words, 150_000, random.Random(1))
    members = sorted({word for kind in words.values() for word in kind})
    return list(dict.fromkeys([*development(data), *natural, *made, *members]))
