"""Remembered answers: found by fingerprint, bounded, selected, and never given when a bit of them has changed. # D-13"""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from llmgw.domain.cache import Entry, Replay, Selector, Sighting, Stored, Wire
from llmgw.domain.chat import ChatAnswer, Choice, FinishReason, Text
from llmgw.domain.usage import Usage
from llmgw.errors import ConfigInvalid, NotFound, Unavailable
from llmgw.storage.answers import AnswerStore
from llmgw.storage.meanings import Meanings
from llmgw.storage.replays import keep_replay, read_replay
from llmgw.storage.selecting import SWEPT_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_800_000_000_000_000_000
HOUR = 3600 * 10**9


def name(number: int) -> bytes:
    return number.to_bytes(32, "big")


def entry(number: int, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "fingerprint": name(number),
        "context": b"c" * 32,
        "tenant": "default",
        "key_id": 1,
        "key_name": "ci",
        "tags": "batch,nightly",
        "model_asked": "gateway-auto",
        "provider": "openai",
        "model": "gpt-4o",
        "tier": "cheap",
        "kind": "usual",
        "prompt": "What is the Capital of France?",
        "created_at": NOW,
        "expires_at": NOW + HOUR,
        "cost": 1000,
        "latency_us": 500,
        "usage": Usage(input_tokens=4, output_tokens=2),
    }
    return Entry(**(fields | changes))


def answer(text: str = "Paris") -> ChatAnswer:
    return ChatAnswer(
        id="a",
        model="gpt-4o",
        choices=(Choice(0, (Text(text),), FinishReason.STOP),),
        usage=Usage(input_tokens=4),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def store(path: Path) -> Iterator[AnswerStore]:
    with AnswerStore.open(path) as opened:
        yield opened


def test_an_answer_comes_back_as_it_was(store: AnswerStore) -> None:
    """Entry, answer and the bytes of the first reply are all there; an expired one is not, a pinned one is."""
    wire = Wire("openai_chat", False, False, b'{"id": 1}')
    number = store.put(entry(1), answer(), wire)
    found = store.find(name(1), NOW)
    assert found is not None
    assert (found.answer, found.wire, found.entry.id, found.entry.usage) == (
        answer(),
        wire,
        number,
        entry(1).usage,
    )
    assert store.find(name(2), NOW) is None
    assert store.find(name(1), NOW + HOUR) is None
    store.pin(number, True)
    assert store.find(name(1), NOW + HOUR) is not None


@pytest.mark.parametrize(
    "column", ["usage", "hits", "saved", "pinned", "last_hit_at", "size", "prompt", "tenant"]
)
def test_a_list_leaves_out_what_cannot_be_read(store: AnswerStore, column: str) -> None:
    """A column of another kind than was written costs its entry a place in lists, and no more; it is never given."""
    store.put(entry(1), answer())
    store.put(entry(2), answer())
    store.connection.execute(f"UPDATE entries SET {column} = x'ff00' WHERE id = 1")
    assert [each.id for each in store.list() if each.id == 2] == [2]
    assert store.measure(Selector())[0] == 2
    assert store.find(name(2), NOW) is not None
    found = store.find(name(1), NOW)
    assert found is None or found.answer == answer()


def test_a_newer_answer_takes_the_place_of_an_older_one(store: AnswerStore) -> None:
    """It keeps the id, the pin and the count of hits."""
    number = store.put(entry(1), answer())
    store.pin(number, True)
    store.touch({number: (3, 3000)}, NOW + 5)
    assert store.put(entry(1, created_at=NOW + 9), answer("Lyon")) == number
    shown = store.show(number)
    assert shown.answer == answer("Lyon")
    assert (shown.entry.hits, shown.entry.saved, shown.entry.pinned, shown.entry.last_hit_at) == (
        3,
        3000,
        True,
        NOW + 5,
    )


@pytest.mark.parametrize(
    ("selector", "numbers"),
    [
        (Selector(), {1, 2, 3}),
        (Selector(tenant="acme"), {2}),
        (Selector(key="ci"), {1, 2}),
        (Selector(tag="night"), set()),
        (Selector(tag="nightly"), {1, 2}),
        (Selector(model="gpt-*"), {1, 2}),
        (Selector(model="openai/gpt-4o"), {1, 2}),
        (Selector(model="gateway-auto"), {1, 2, 3}),
        (Selector(text="capital"), {1, 2}),
        (Selector(text="capital", tenant="acme"), {2}),
        (Selector(kind="dated"), {3}),
        (Selector(ids=(1, 3)), {1, 3}),
        (Selector(ids=()), set()),
        (Selector(unused=True), {1, 3}),
    ],
    ids=str,
)
def test_a_selector_names_entries_by_all_its_conditions(
    store: AnswerStore, selector: Selector, numbers: set[int]
) -> None:
    """The same entries are listed, and removed; what is not selected stays."""
    store.put(entry(1), answer())
    store.put(entry(2, tenant="acme"), answer())
    store.put(
        entry(3, key_name="web", tags="", kind="dated", model="claude", provider="anthropic", prompt="Hi"),
        answer(),
    )
    store.touch({2: (1, 0)}, NOW)
    assert {each.id for each in store.list(selector)} == numbers
    before = store.stamp.read()
    assert store.remove(selector) == len(numbers)
    store.stamp._stale_at = 0.0
    assert store.stamp.read() != before
    assert {each.id for each in store.list()} == {1, 2, 3} - numbers


def test_figures_are_kept_by_tenant(store: AnswerStore) -> None:
    """What is held, hit and saved; an unknown entry is an error that says where to look."""
    store.put(entry(1), answer())
    store.put(entry(2, tenant="acme", latency_us=7), answer())
    store.touch({2: (3, 3000)}, NOW)
    acme, default = store.stats()
    assert (acme.tenant, acme.entries, acme.hits, acme.saved, acme.saved_us) == ("acme", 1, 3, 3000, 21)
    assert (default.tenant, default.hits, default.pinned) == ("default", 0, 0)
    assert store.stats("acme") == (acme,)
    with pytest.raises(NotFound, match="no entry 9"):
        store.show(9)


def test_every_flipped_bit_is_noticed(store: AnswerStore, path: Path) -> None:
    """Whichever byte of answer or entry changes on the disk, the entry is dropped and counted, never served."""
    columns = (
        "body",
        "checksum",
        "fingerprint",
        "tenant",
        "model",
        "provider",
        "expires_at",
        "cost",
        "usage",
        "prompt",
    )
    chance = random.Random(4)
    for round_, column in enumerate(columns * 3):
        number = store.put(entry(round_), answer("x" * 500))
        table = "bodies" if column in {"body", "checksum"} else "entries"
        (value,) = store.connection.execute(
            f"SELECT {column} FROM {table} WHERE id = ?", (number,)
        ).fetchone()
        store.connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE id = ?", (flip(value, chance), number)
        )
        stored = store.find(name(round_), NOW)
        if column == "fingerprint":
            assert stored is None
            assert store.verify().damaged == (number,)
        else:
            assert stored is None, column
    assert store.counter("damaged") == len(columns) * 3
    assert store.list() == []


def flip(value: Any, chance: random.Random) -> Any:
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(3)
    raw = bytearray(value.encode() if isinstance(value, str) else value)
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(6)
    return raw.decode("latin-1") if isinstance(value, str) else bytes(raw)


def test_verify_drops_exactly_the_damaged(store: AnswerStore) -> None:
    """Of twenty entries the torn one and the one without a body go."""
    for number in range(1, 21):
        store.put(entry(number), answer())
    store.connection.execute("UPDATE bodies SET body = substr(body, 1, 10) WHERE id = 7")
    store.connection.execute("DELETE FROM bodies WHERE id = 11")
    check = store.verify()
    assert (check.checked, check.damaged) == (20, (7, 11))
    assert store.verify().damaged == ()
    assert len(store.list()) == 18


def test_the_file_never_outgrows_its_cap(path: Path) -> None:
    """The least recently used go first, hits keep entries alive, pinned ones stay."""
    chance = random.Random(1)
    with AnswerStore.open(path, cap_bytes=1 << 20) as store:
        for number in range(1, 1001):
            text = chance.randbytes(2000).hex()
            store.put(entry(number, created_at=NOW + number), answer(text))
            if number == 1:
                store.pin(1, True)
            store.touch({2: (1, 0)}, NOW + number)
            assert store.bytes() <= 1 << 20
        kept = {each.id for each in store.list(limit=2000)}
    assert {1, 2, 1000} < kept
    assert 100 < len(kept) < 700
    assert kept - {1, 2} == set(range(min(kept - {1, 2}), 1001))


def test_expired_entries_are_swept(store: AnswerStore) -> None:
    """Pinned ones are left."""
    for number in (1, 2, 3):
        store.put(entry(number, expires_at=NOW + number), answer())
    store.pin(1, True)
    keep_replay(store, replay(expires_at=NOW + 1))
    assert store.sweep(NOW + 2) == 1
    assert {each.id for each in store.list()} == {1, 3}
    assert read_replay(store, b"s" * 32, NOW) is None


def test_many_are_swept_in_goes(store: AnswerStore) -> None:
    """No go takes so many that others would wait for long to write; what was noted of all goes with the last."""
    store.put_all([Stored(entry(number, expires_at=NOW), answer()) for number in range(SWEPT_AT_ONCE + 5)])
    saw = Sighting(
        at=NOW, tenant="default", prompt="x", entry=1, other="y", cosine=0.9, score=1.0, outcome="hit"
    )
    Meanings(store).saw(saw)
    assert store.sweep(NOW) == SWEPT_AT_ONCE
    assert len(Meanings(store).cosines()) == 1
    assert store.sweep(NOW) == 5
    assert Meanings(store).cosines() == []
    assert store.counter("expired") == SWEPT_AT_ONCE + 5
    assert store.sweep(NOW) == 0


def replay(**changes: Any) -> Replay:
    fields: dict[str, Any] = {
        "scope": b"s" * 32,
        "body_hash": b"h" * 32,
        "status": 200,
        "content_type": "application/json",
        "body": b'{"x": 1}',
        "created_at": NOW,
        "expires_at": NOW + HOUR,
    }
    return Replay(**(fields | changes))


def test_answers_under_a_key_are_checked_too(store: AnswerStore) -> None:
    """They come back byte for byte until they expire; a damaged one is dropped."""
    keep_replay(store, replay())
    assert read_replay(store, b"s" * 32, NOW) == replay()
    assert read_replay(store, b"s" * 32, NOW + HOUR) is None
    store.connection.execute("UPDATE replays SET status = 201")
    assert read_replay(store, b"s" * 32, NOW) is None
    assert store.counter("damaged") == 1


def test_a_locked_file_is_no_answer(store: AnswerStore, path: Path) -> None:
    """Reading goes on while another process writes, and writing gives up after its patience."""
    store.put(entry(1), answer())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with AnswerStore.open(path, patience=0) as impatient:
        assert impatient.find(name(1), NOW) is not None
        with pytest.raises(Unavailable, match="locked"):
            impatient.put(entry(2), answer())
    other.execute("ROLLBACK")
    other.close()


def test_a_file_of_another_version_is_emptied(path: Path) -> None:
    """Nothing in it is worth an upgrade; another program's database is left alone."""
    with AnswerStore.open(path) as store:
        store.put(entry(1), answer())
        store.connection.execute("PRAGMA user_version = 99")
    with AnswerStore.open(path) as store:
        assert store.list() == []
        store.connection.execute("PRAGMA application_id = 7")
    with pytest.raises(ConfigInvalid, match="another program"):
        AnswerStore.open(path)


def test_a_text_that_is_none_any_more_is_damage(store: AnswerStore) -> None:
    """A flipped bit may leave bytes that are no UTF-8, or a value of another type: dropped like any other."""
    store.put(entry(1), answer())
    store.connection.execute("UPDATE entries SET prompt = CAST(x'66ff' AS TEXT)")
    assert store.find(name(1), NOW) is None
    for damage in ("body = 'abc'", "content_type = CAST(x'66ff' AS TEXT)"):
        keep_replay(store, replay())
        store.connection.execute(f"UPDATE replays SET {damage}")
        assert read_replay(store, b"s" * 32, NOW) is None
    assert store.counter("damaged") == 3


def test_answers_under_a_key_count_towards_the_cap(path: Path) -> None:
    """Those made first go first, and entries used later stay."""
    chance = random.Random(1)
    with AnswerStore.open(path, cap_bytes=1 << 20) as store:
        for number in range(40):
            made = NOW + number
            scope = number.to_bytes(32)
            body = chance.randbytes(100_000)
            keep_replay(store, replay(scope=scope, body=body, created_at=made, expires_at=made + HOUR))
        store.put(entry(1, created_at=NOW + 100), answer())
        store.shrink()
        assert store.bytes() <= 1 << 20


def test_no_id_is_given_twice(store: AnswerStore) -> None:
    """What was learnt of an entry that is gone must not speak for another."""
    first = store.put(entry(1), answer())
    store.remove(Selector())
    assert store.put(entry(2), answer()) > first
