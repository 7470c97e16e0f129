"""Answers that were stored while nobody looked serve other wordings too, once there was time to read them. # D-14"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.caches import Cached, options
from support.remembered import an_answer, an_entry
from support.semantics import Semantic, semantic_options, willing_judge

from llmgw.domain.cache import Stored
from llmgw.gates import judging, semantics

if TYPE_CHECKING:
    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI

__all__ = ["willing_judge"]

ASKED = "How do I reset the password of my account?"
REWORDED = "how can i reset the password of my account"
LONG = "How do I reset it? " + "Very long it is. " * 200
CODE = "Fix the bug in this function please"
SYSTEM = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch, willing_judge: None) -> None:
    monkeypatch.setattr(semantics, "TEND_SECONDS", 0.1)


def filled(path: Path, count: int) -> list[int]:
    """The entries that have vectors, once there are so many of them."""
    end = time.monotonic() + 10
    with closing(sqlite3.connect(path)) as connection:
        while True:
            rows = connection.execute("SELECT entry_id FROM vectors ORDER BY entry_id").fetchall()
            if len(rows) >= count:
                return [entry for (entry,) in rows]
            assert time.monotonic() < end, rows
            time.sleep(0.05)


def verdict(gateway: Cached, text: str, **changes: object) -> str:
    return gateway.chat(text, headers={"x-llmgw-cache": "no-store"} if changes else None, **changes).headers[
        "x-llmgw-cache"
    ]


def test_what_was_stored_while_it_was_off_serves(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Entries of a time without it get their vectors, those only that another wording may answer, each in its context."""
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options()) as gateway:
        gateway.chat(ASKED)
        gateway.chat("", messages=SYSTEM)
        for text in (LONG, CODE, "   "):
            gateway.chat(text)
        gateway.settled(5)
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        assert filled(tmp_path / "cache.db", 2) == [1, 2]
        time.sleep(0.3)
        assert verdict(gateway, REWORDED, temperature=0.5) == "bypass"
        brief = gateway.chat("", messages=[SYSTEM[0], {"role": "user", "content": REWORDED}])
        plain = gateway.chat(REWORDED)
        assert (brief.headers["x-llmgw-cache"], plain.headers["x-llmgw-cache"]) == ("semantic", "semantic")
        asked = len(fake_openai.chats)
        history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]
        other = gateway.chat("", messages=[*history, {"role": "user", "content": REWORDED}])
        assert other.headers["x-llmgw-cache"] == "miss"
        assert len(fake_openai.chats) == asked + 1
    assert filled(tmp_path / "cache.db", 2)[:2] == [1, 2]


def test_damaged_vectors_are_made_again(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """What a checksum drops is read again; the answer serves as before."""
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        gateway.ask(ASKED)
    with closing(sqlite3.connect(tmp_path / "cache.db", isolation_level=None)) as connection:
        connection.execute("UPDATE vectors SET screen = zeroblob(length(screen))")
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        Semantic.until(lambda: len(gateway.semantic.index) == 1)
        assert gateway.ask(REWORDED).headers["x-llmgw-cache"] == "semantic"
    with gateway.store() as store:
        assert store.counter("damaged") == 1


def test_a_file_put_in_the_place_of_another_is_read(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Entries of the new file serve, those of the old one do not, and what was learnt of them is not applied to others."""
    spare = tmp_path / "spare"
    spare.mkdir()
    with Semantic(spare, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        gateway.ask("How do I close my account for good?")
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        gateway.ask(ASKED)
        assert gateway.ask(REWORDED).headers["x-llmgw-cache"] == "semantic"
        judged = gateway.semantic.judging
        (spare / "cache.db").replace(tmp_path / "cache.db")
        gateway.until(lambda: gateway.semantic.judging is not judged and gateway.semantic.ready)
        time.sleep(1.5)
        assert gateway.semantic.judging.judges == {}
        assert gateway.chat("how can i close my account for good").headers["x-llmgw-cache"] == "semantic"
        assert gateway.chat("how could I reset the password of my account").headers["x-llmgw-cache"] == "miss"


def test_a_stop_right_after_answers_loses_nothing(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, caplog: pytest.LogCaptureFixture
) -> None:
    """What was answered just before the gateway stopped is written down with its vectors, and nothing fails on the way."""
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        for number in range(20):
            gateway.chat(f"What would be the height of tower number {number}?")
    with gateway.store() as store:
        assert sum(each.entries for each in store.stats()) == 20
    assert len(filled(tmp_path / "cache.db", 20)) == 20
    assert not [each for each in caplog.records if each.levelname == "ERROR"], caplog.text


def test_much_to_fill_in_keeps_nothing_else_from_being_done(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a thousand entries get their vectors counts are written down, and what was forgotten is."""
    monkeypatch.setattr(semantics, "FILL_SECONDS", 0.05)
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options()) as gateway, gateway.store() as store:
        store.put_all(
            [Stored(an_entry(f"How high is tower number {at}?"), an_answer()) for at in range(1000)]
        )
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        gateway.chat(ASKED)
        with gateway.store() as store:
            gateway.until(lambda: store.counter("semantic_asked") == 1)
            assert len(gateway.semantic.index) < 900
            gateway.until(lambda: len(gateway.semantic.index) == 1001)


def test_only_so_many_are_known_by_their_wording(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are, while it runs, after a restart, and of what was stored while nobody looked."""
    monkeypatch.setattr(judging, "MOST", 2)
    monkeypatch.setattr(semantics, "MOST", 2)
    asked = [f"How do I reset the {part} of my account?" for part in ("name", "mail", "phone", "badge")]
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options()) as gateway:
        for number, text in enumerate(asked, 1):
            gateway.chat(text)
            gateway.settled(number)
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        Semantic.until(lambda: sorted(gateway.semantic.index.entries()) == [3, 4])
        gateway.chat("How do I reset the photo of my account?")
        Semantic.until(lambda: sorted(gateway.semantic.index.entries()) == [4, 5])
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        assert sorted(gateway.semantic.index.entries()) == [4, 5]
