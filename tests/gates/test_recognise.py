"""A prompt that means the same is answered from memory, and nothing else that differs in any way is. # D-14"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.fake_server import Behaviour
from support.semantics import DATA, Semantic, semantic_options, willing_judge

from llmgw.config.caching import Cache, ExactCache

if TYPE_CHECKING:
    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI

__all__ = ["willing_judge"]

ASKED = "How do I reset the password of my account?"
REWORDED = "how can i reset the password of my account"


@pytest.fixture
def gateway(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> Iterator[Semantic]:
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as running:
        yield running


def test_another_wording_is_answered_without_a_call(gateway: Semantic, fake_openai: FakeOpenAI) -> None:
    """A rewording gets the remembered answer at no cost, with its own id, and a row that says semantic."""
    first, second = gateway.ask(ASKED), gateway.ask(REWORDED)
    assert (first.headers["x-llmgw-cache"], second.headers["x-llmgw-cache"]) == ("miss", "semantic")
    assert second.headers["x-llmgw-cost"] == "0"
    assert first.json()["choices"] == second.json()["choices"]
    assert first.json()["id"] != second.json()["id"]
    assert len(fake_openai.chats) == 1
    row, hit = gateway.requests()
    assert (hit["cache"], hit["cost"], hit["attempts"]) == ("semantic", 0, 0)
    assert hit["saved"] == row["cost"] > 0


def test_a_stream_gets_a_plain_answers_words(gateway: Semantic, fake_openai: FakeOpenAI) -> None:
    """What was remembered of a plain call serves a streamed rewording."""
    gateway.ask(ASKED)
    answer = gateway.ask(REWORDED, stream=True)
    assert answer.headers["x-llmgw-cache"] == "semantic"
    deltas = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]
    said = "".join(each["choices"][0]["delta"].get("content") or "" for each in deltas if each["choices"])
    assert said == fake_openai.default.text


OTHERWISE: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": REWORDED}]},
    {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": REWORDED},
        ]
    },
    {"model": "gpt-4o-mini"},
    {"temperature": 0.5},
    {"max_tokens": 5},
    {"seed": 1},
    {"user": "somebody"},
    {"response_format": {"type": "json_object"}},
)


def test_everything_else_must_match(gateway: Semantic, fake_openai: FakeOpenAI) -> None:
    """Another system prompt, history, model or parameter is another question whatever its last turn says."""
    gateway.ask(ASKED)
    for changes in OTHERWISE:
        assert gateway.ask(REWORDED, **changes).headers["x-llmgw-cache"] == "miss", changes
    assert len(fake_openai.chats) == 1 + len(OTHERWISE)


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SPECIAL: tuple[dict[str, Any], ...] = ({"tools": [TOOL]}, {"n": 2}, {"temperature": 1.5})


def test_what_is_no_plain_question_is_never_recognised(gateway: Semantic, fake_openai: FakeOpenAI) -> None:
    """Tools, pictures, several answers, a high temperature, and work on code keep the semantic cache out."""
    for changes in SPECIAL:
        for text in (ASKED, REWORDED):
            assert gateway.chat(text, **changes).headers["x-llmgw-cache"] != "semantic", changes
    for text in (ASKED, REWORDED):
        turn = {"role": "user", "content": [{"type": "text", "text": text}, PICTURE]}
        assert gateway.chat(messages=[turn]).headers["x-llmgw-cache"] == "miss"
    for text in ("Please fix the bug in my function f", "please fix the bug in my function f"):
        assert gateway.chat(text).headers["x-llmgw-cache"] == "miss"
    assert len(fake_openai.chats) == 2 * len(SPECIAL) + 4


@pytest.mark.parametrize("header", ["no-store", "refresh"])
def test_a_caller_can_refuse(gateway: Semantic, fake_openai: FakeOpenAI, header: str) -> None:
    """A caller who wants a fresh answer gets one."""
    gateway.ask(ASKED)
    answer = gateway.chat(REWORDED, headers={"x-llmgw-cache": header})
    assert answer.headers["x-llmgw-cache"] != "semantic"
    assert len(fake_openai.chats) == 2


def test_only_a_remembered_answer_may_be_another_wordings(gateway: Semantic, fake_openai: FakeOpenAI) -> None:
    """`only` is content with a recognised prompt, and gets 504 where none is."""
    gateway.ask(ASKED)
    only = {"x-llmgw-cache": "only"}
    assert gateway.chat(REWORDED, headers=only).headers["x-llmgw-cache"] == "semantic"
    assert gateway.chat("What is the capital of France?", headers=only).status_code == 504
    assert len(fake_openai.chats) == 1


def test_one_tenants_answers_never_serve_another(gateway: Semantic, fake_openai: FakeOpenAI) -> None:
    """The same question of another tenant goes upstream, however alike it is."""
    with gateway.control as control:
        tokens = [control.create(name, tenant=name)[1] for name in ("a", "b")]
    for token in tokens:
        gateway.auth = {"authorization": f"Bearer {token}"}
        assert gateway.ask(ASKED).headers["x-llmgw-cache"] == "miss"
    assert gateway.ask(REWORDED).headers["x-llmgw-cache"] == "semantic"
    assert len(fake_openai.chats) == 2


def test_shadow_serves_nothing_and_counts_what_it_would_have(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> None:
    """In shadow mode every call goes upstream; what would have been served, and whether rightly, is kept."""
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options("shadow")) as gateway:
        gateway.ask(ASKED)
        assert gateway.ask(REWORDED).headers["x-llmgw-cache"] == "miss"
        fake_openai.default = Behaviour(text="Something else altogether: 42.")
        assert (
            gateway.ask("Please, how could I reset the password of my account?").headers["x-llmgw-cache"]
            == "miss"
        )
    assert len(fake_openai.chats) == 3
    with gateway.store() as store:
        counters = store.counters()
        seen = store.connection.execute('SELECT outcome, "right" FROM sightings ORDER BY id').fetchall()
    assert seen == [("would_hit", 1), ("would_hit", 0)]
    assert counters["semantic_would_hit"] == 2
    assert counters["semantic_would_right"] == counters["semantic_would_wrong"] == 1


def test_near_misses_are_never_served(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> None:
    """A changed number, unit, name, place, antonym or negation reaches the upstream, even before a judge who serves all."""
    if not DATA.exists():
        pytest.skip("no shared data")
    with gzip.open(DATA / "dev/nearmiss.jsonl.gz", "rt") as lines:
        pairs = [pair for line in lines if (pair := json.loads(line))["kind"].startswith("perturb")]
    wrong = []
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        for at, pair in enumerate(pairs[:: len(pairs) // 40]):
            system = {"role": "system", "content": f"Case {at}."}
            for text in (pair["a"], pair["b"]):
                answer = gateway.ask(text, messages=[system, {"role": "user", "content": text}])
                if answer.headers["x-llmgw-cache"] == "semantic":
                    wrong.append(pair)
    assert wrong == []


def test_a_hit_is_audited_in_the_background(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> None:
    """An audited hit is asked upstream once more with the caller's key and the tag audit, and learnt from."""
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options(audit=1.0)) as gateway:
        gateway.ask(ASKED)
        assert gateway.ask(REWORDED).headers["x-llmgw-cache"] == "semantic"
        gateway.until(lambda: len(gateway.requests()) == 3)
        gateway.quiet()
        assert gateway.ask(REWORDED).headers["x-llmgw-cache"] == "exact"
    assert len(fake_openai.chats) == 2
    _, hit, audit = gateway.requests()[:3]
    assert (hit["cache"], hit["tags"]) == ("semantic", "")
    assert (audit["tags"], audit["key_name"], audit["attempts"]) == ("audit", hit["key_name"], 1)
    assert audit["cost"] > 0
    with gateway.store() as store:
        assert store.counters()["semantic_audit_right"] == 1
        groups = store.connection.execute('SELECT DISTINCT "group" FROM vectors').fetchall()
    assert len(groups) == 1
    assert groups[0][0] > 0


def test_a_fresh_answer_joins_the_group_that_says_the_same(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Of a miss two remembered answers are compared: where the nearest says another thing, the other group's may not."""
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options("shadow")) as gateway:
        first = fake_openai.default
        gateway.ask(ASKED)
        fake_openai.default = Behaviour(text="No idea.")
        gateway.ask("How do I reset the password of my account in 3 days?")
        fake_openai.default = first
        gateway.ask("How do I reset the password of my account in 4 days?")
    with gateway.store() as store:
        groups = [row[0] for row in store.connection.execute('SELECT "group" FROM vectors ORDER BY entry_id')]
        counts = store.counters()
    assert groups == [1, 0, 1]
    assert (counts["semantic_miss_wrong"], counts["semantic_other_right"]) == (2, 1)


def test_an_answer_is_never_compared_with_itself(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """An entry that a fresh answer has just replaced proves nothing, though it was the other one near it."""
    options = semantic_options("shadow")
    changed = Cache(exact=ExactCache(enabled=False), semantic=options.semantic)
    said = ["On the profile page."] * 3 + ["Write to our bank.", "Call 555 on Mondays.", "It needs an oven."]
    asked = [ASKED, REWORDED, f"please, {REWORDED}", *["tell me how to reset the password of my account"] * 3]
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=changed) as gateway:
        for text, answer in zip(asked, said, strict=True):
            fake_openai.default = Behaviour(text=answer)
            gateway.ask(text)
    with gateway.store() as store:
        assert "semantic_other_right" not in store.counters()


def test_a_removed_answer_is_not_served(gateway: Semantic, fake_openai: FakeOpenAI) -> None:
    """What a command removes from the file is gone from the very next lookup on."""
    from llmgw.domain.cache import Selector

    gateway.ask(ASKED)
    with gateway.store() as store:
        assert store.remove(Selector()) == 1
    assert gateway.chat(REWORDED).headers["x-llmgw-cache"] == "miss"
    gateway.quiet()
    assert len(gateway.semantic.index) == 1


def test_what_was_learnt_and_remembered_survives_a_restart(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, willing_judge: None
) -> None:
    """After a restart the same prompts are recognised, and the judge knows what it knew."""
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        gateway.ask(ASKED)
        fake_openai.default = Behaviour(text="No idea.")
        gateway.ask("How do I reset the password of my account in 3 days?")
        before = gateway.semantic.judging.judges["default"].snapshot()
        assert gateway.semantic.judging.judges["default"].groups.records
    with Semantic(tmp_path, fake_openai, fake_anthropic, cache=semantic_options()) as gateway:
        assert gateway.ask(REWORDED).headers["x-llmgw-cache"] == "semantic"
        kept = gateway.semantic.judging.judges["default"].groups.dump()
        assert kept == _groups(before)
    assert len(fake_openai.chats) == 2


def _groups(snapshot: bytes) -> Any:
    import msgspec

    from llmgw.rules.similarity.groups import Row

    return msgspec.convert(msgspec.msgpack.decode(snapshot)["groups"], list[Row])
