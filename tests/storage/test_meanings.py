"""What the semantic cache judges by is what was written, or it is not judged by. # D-14"""

from __future__ import annotations

import random
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from storage.test_answers import NOW, answer, entry, name

from llmgw.domain.cache import Wire
from llmgw.errors import GatewayError
from llmgw.storage.answers import AnswerStore
from llmgw.storage.meanings import Meanings, Remembered, Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRIES = 40
CONTEXT = b"c" * 32


def prompt(number: int) -> str:
    return f"How do I reset password number {number} of {number * 7}?"


def fill(store: AnswerStore) -> None:
    meanings = Meanings(store)
    for number in range(1, ENTRIES + 1):
        wire = Wire("openai_chat", False, False, b'{"said": "%d"}' % number)
        put = store.put(entry(number, prompt=prompt(number)), answer(f"answer {number}"), wire)
        meanings.keep(put, "mark", bytes([number] * 128), "minilm", bytes([number] * 384))
    meanings.group([1, 2, 3], 1)
    meanings.keep_judges({"minilm default": bytes(range(256)) * 20, "minilm ml": b"other" * 500})


def reading(path: Path) -> dict[str, Any]:
    """All that is served of a file, or judged by."""
    found: dict[str, Any] = {}
    with AnswerStore.open(path) as store:
        meanings = Meanings(store)
        found |= {f"row {row.entry}": row for row in meanings.rows()}
        for at in range(1, ENTRIES + 1, 8):
            some = meanings.remembered(CONTEXT, range(at, at + 8), NOW)
            found |= {f"candidate {number}": each for number, each in some.items()}
        found |= {f"prompt {at}": words for at in range(1, ENTRIES + 1) if (words := meanings.prompt(at))}
        found |= {f"judge {each}": state for each, state in meanings.judges().items()}
        for number in range(1, ENTRIES + 1):
            stored = store.find(name(number), NOW)
            if stored is not None:
                found[f"answer {number}"] = (stored.answer, stored.wire, stored.entry.prompt)
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "cache.db"
    with AnswerStore.open(path) as store:
        fill(store)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def flips(size: int, chance: random.Random, count: int) -> Iterator[tuple[int, int]]:
    """Places all over the file, and a bit of each."""
    for _ in range(count):
        yield chance.randrange(100, size), 1 << chance.randrange(8)


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.slow)])
def test_no_flipped_bit_changes_what_is_served_or_judged_by(tmp_path: Path, sound: Path, count: int) -> None:
    """One bit anywhere on any page: each prompt, vector, group, judge's state and answer is as it was, or is not there."""
    whole = reading(sound)
    assert len(whole) == 4 * ENTRIES + 2
    content, lost = sound.read_bytes(), 0
    for place, bit in flips(len(content), random.Random(count), count):
        path = tmp_path / f"{place}.{bit}.db"
        changed = bytearray(content)
        changed[place] ^= bit
        path.write_bytes(changed)
        try:
            found = reading(path)
        except GatewayError:  # SQLite itself noticed
            lost += 1
            continue
        assert {key: value for key, value in found.items() if whole.get(key) != value} == {}, (place, bit)
        lost += len(found) < len(whole)
    assert lost > count / 10


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET prompt = 'How do I delete password number 7 of 49?' WHERE id = 7",
        "UPDATE entries SET context = zeroblob(32) WHERE id = 7",
        "UPDATE vectors SET vector = zeroblob(384) WHERE entry_id = 7",
        "UPDATE vectors SET screen = vector WHERE entry_id = 7",
        'UPDATE vectors SET "group" = 1 WHERE entry_id = 7',
        "UPDATE vectors SET embedder = 'another' WHERE entry_id = 7",
        "UPDATE vectors SET entry_id = entry_id + 100 WHERE entry_id = 7",
    ],
)
def test_what_was_changed_is_dropped(tmp_path: Path, sound: Path, change: str) -> None:
    """Whatever somebody else changes of an entry's meaning takes it out of judgement; the others stay."""
    path = tmp_path / "cache.db"
    shutil.copy(sound, path)
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    for _ in range(2):
        found = reading(path)
        assert "row 7" not in found
        assert "candidate 7" not in found
        assert {f"row {number}" for number in range(1, ENTRIES + 1) if number != 7} <= found.keys()


def test_a_judge_whose_memory_was_changed_begins_anew(tmp_path: Path, sound: Path) -> None:
    """Its state is under a checksum, the other tenant's stays."""
    path = tmp_path / "cache.db"
    shutil.copy(sound, path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE judges SET state = state || x'00' WHERE name = 'minilm default'")
    with AnswerStore.open(path) as store:
        assert Meanings(store).judge("minilm default") is None
        assert Meanings(store).judges() == {"minilm ml": b"other" * 500}


def test_a_newer_answer_has_no_vectors_until_it_gets_its_own(tmp_path: Path) -> None:
    """What an answer was grouped with says nothing about the one in its place."""
    with AnswerStore.open(tmp_path / "cache.db") as store:
        fill(store)
        meanings = Meanings(store)
        assert store.put(entry(2, prompt=prompt(2), created_at=NOW + 1), answer("newer")) == 2
        assert meanings.unread(0, "mark", 5) == [(2, name(2))]
        meanings.keep(2, "mark", b"s", "minilm", None)
        meanings.attach(2, "minilm", b"v")
        assert [row for row in meanings.rows() if row.entry == 2] == [
            Row(2, CONTEXT, "mark", b"s", "minilm", b"v")
        ]
        assert meanings.remembered(CONTEXT, [2], NOW)[2] == Remembered(2, name(2), prompt(2), 0, NOW + 1)
        assert [at for at, _ in meanings.unread(0, "another table", 3)] == [1, 2, 3]
        assert meanings.unread(0, "mark", 5) == []
