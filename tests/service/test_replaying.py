"""Workloads and what policies make of them. # D-15"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmgw.config.caching import ExactCache
from llmgw.errors import BadRequest, NotFound
from llmgw.providers.embedding.static import StaticTable
from llmgw.service.caches import rules_of
from llmgw.service.recognising import Recogniser
from llmgw.service.replaying import ExactOnly, FixedThreshold, Found, replay, same_answer, same_label
from llmgw.service.workloads import Question, load

RULES = rules_of(ExactCache())


def questions(folder: Path, *records: Any, limit: int | None = None) -> list[Question]:
    path = folder / "work.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return load(path, RULES, limit)


def chat(text: str, system: str = "", **more: Any) -> dict[str, Any]:
    before = [{"role": "system", "content": system}] if system else []
    return {"model": "gpt-5.4-mini", "messages": [*before, {"role": "user", "content": text}], **more}


def test_every_form_of_a_line(tmp_path):
    """A text, a prompt with a label, a body, and a line of an OpenAI batch are one question each."""
    found = questions(
        tmp_path,
        "What is a moat?",
        {"prompt": "What is a moat?", "cls": 7, "model": ""},
        chat("What is a moat?", label="moats", answer="A ditch.", cost_usd="0.002"),
        {"custom_id": "1", "url": "/v1/chat/completions", "body": chat("What is a moat?"), "cls": "moats"},
    )

    assert {each.asked.prompt for each in found} == {"What is a moat?"}
    assert [each.label for each in found] == [None, "7", "moats", "moats"]
    assert found[0].asked == found[1].asked != found[2].asked == found[3].asked
    assert (found[2].answer, found[2].cost_usd, found[2].input_tokens) == ("A ditch.", "0.002", 5)


def test_a_file_may_be_compressed_and_cut(tmp_path):
    """A gzipped file reads the same; a limit ends it early; empty lines are no questions."""
    path = tmp_path / "work.jsonl.gz"
    path.write_bytes(gzip.compress(b'"one"\n\n"two"\n"three"\n'))

    assert [each.asked.prompt for each in load(path, RULES, 2)] == ["one", "two"]


def test_lines_of_plain_text_are_questions(tmp_path):
    """A file from an editor does: no quotation marks, the mark that Windows puts first, its line ends."""
    path = tmp_path / "work.txt"
    path.write_bytes(b"\xef\xbb\xbfWhat is a moat?\r\n\r\n  2 + 2? \r\n")

    assert [each.asked.prompt for each in load(path, RULES)] == ["What is a moat?", "2 + 2?"]
    with pytest.raises(BadRequest, match="directory"):
        load(tmp_path, RULES)


def test_no_more_than_all_repeated_questions_are_found(tmp_path):
    """The same words under two labels count as there, since an exact hit serves them."""
    given = questions(tmp_path, *({"prompt": "same", "cls": at % 2} for at in range(4)))

    assert replay(given, ExactOnly()).recall == 1.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'"one"\n{bad', "line 2"),
        (b"[1]", "line 1"),
        (b'{"cls": "a"}', "line 1"),
        (b"\n", "no question"),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path, content, words):
    """What cannot be read is refused with its line; a file that is not there is not found."""
    path = tmp_path / "work.jsonl"
    path.write_bytes(content)

    with pytest.raises(BadRequest, match=words):
        load(path, RULES)
    with pytest.raises(NotFound):
        load(tmp_path / "nowhere.jsonl", RULES)


def test_exact_hits_are_those_of_the_gateway(tmp_path):
    """The same body is a hit, in any order of its members; another system prompt is none; tools pass by."""
    found = questions(
        tmp_path,
        chat("hi"),
        dict(reversed(chat("hi").items())),
        chat("hi", system="Be brief."),
        chat("hi", tools=[{"type": "function", "function": {"name": "f"}}]),
        chat("hi", tools=[{"type": "function", "function": {"name": "f"}}]),
    )

    result = replay(found, ExactOnly(), costs=[10] * 5)

    assert (result.exact, result.semantic, result.bypass, result.saved) == (1, 0, 2, 10)
    assert result.hit_rate == 0.2


VECTORS = np.array([[1, 0], [0.6, 0.8], [0.8, 0.6], [1, 0]], np.float32)


def test_a_threshold_serves_what_is_near_and_is_judged_by_labels(tmp_path):
    """A threshold takes the nearest of what it has stored; wrong is what has another label; contexts never mix."""
    records = [
        {"prompt": "a", "cls": "x"},
        {"prompt": "b", "cls": "y"},
        {"prompt": "c", "cls": "x"},
        chat("d", system="another context", cls="x"),
    ]
    found = questions(tmp_path, *records)

    loose = replay(found, FixedThreshold(VECTORS, 0.7))
    strict = replay(found, FixedThreshold(VECTORS, 0.99))

    assert (loose.semantic, loose.right, loose.wrong, loose.repeated) == (1, 0, 1, 2)
    assert loose.wrong_rate == 1
    assert loose.bounds.low > 0.2
    assert (strict.semantic, strict.wrong_rate, strict.bounds, strict.recall) == (0, None, None, 0)


class Noting:
    """A policy that finds the first question and the second, serves every third time, and notes what it is told."""

    name = "noting"

    def __init__(self) -> None:
        self.told: list[tuple[int, bool, bool | None]] = []
        self.stored: list[int] = []

    def lookup(self, number: int, question: Question) -> Found | None:
        hit, other = number % 3 == 0, 1 if len(self.stored) > 1 else None
        return Found(0, hit, audit=number == 6, other=None if hit else other) if self.stored else None

    def learn(self, number: int, right: bool, also: bool | None) -> None:
        self.told.append((number, right, also))

    def store(self, number: int, question: Question) -> None:
        self.stored.append(number)


def test_a_policy_hears_of_misses_and_of_checked_hits_alone(tmp_path):
    """A hit that is not checked teaches nothing and stores nothing; a miss and a checked hit tell who was right.

    Of a miss that the first was not right for, they tell of the other one too.
    """
    policy = Noting()
    found = questions(
        tmp_path, *({"prompt": str(n), "cls": "even" if n % 2 == 0 else "odd"} for n in range(8))
    )

    result = replay(found, policy)

    assert policy.told == [
        (1, False, None),
        (2, True, None),
        (4, True, None),
        (5, False, True),
        (6, True, None),
        (7, False, True),
    ]
    assert policy.stored == [0, 1, 2, 4, 5, 7]
    assert (result.semantic, result.right, result.wrong, result.audits) == (2, 1, 1, 1)


def test_without_labels_answers_tell(tmp_path):
    """Where nobody has labelled, recorded answers are compared; where there are none, nothing is known."""
    one, same, other, none = questions(
        tmp_path,
        {"prompt": "a", "answer": "It takes 3 days."},
        {"prompt": "b", "answer": "it takes 3 days"},
        {"prompt": "c", "answer": "It takes 5 days."},
        {"prompt": "d"},
    )

    assert (same_answer(one, same), same_answer(one, other), same_answer(one, none)) == (True, False, None)
    assert same_label(one, same) is None


def test_the_semantic_cache_is_told_of_two_answers(tmp_path):
    """What its judge would compare beside the nearest is compared too, and the question joins the group that agrees."""
    judged = Recogniser(0.01, StaticTable.load(), None)
    asked = "How do I reset the password of my account{}?"
    found = questions(
        tmp_path,
        {"prompt": asked.format(""), "cls": "reset"},
        {"prompt": asked.format(" in 3 days"), "cls": "later"},
        {"prompt": asked.format(" in 4 days"), "cls": "reset"},
        {"prompt": asked.format(" in 5 days"), "cls": "reset"},
    )

    replay(found, judged)

    assert judged._groups == {0: 0, 1: 1, 2: 0, 3: 0}
    assert judged._judge.groups.get(0).right == 2
