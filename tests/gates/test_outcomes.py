"""The gateway learns from what callers say and do: like prompts move with it, others stay, a restart keeps it. # D-07"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.domain.identity import Key
from llmgw.domain.route import Tier
from llmgw.gates.habits import conversation_of
from llmgw.providers.base import Glance
from llmgw.providers.dialects import openai_chat
from llmgw.providers.dialects.glance import glance
from llmgw.rules.tiering.conditions import Rule
from llmgw.rules.tiering.options import Options
from llmgw.rules.verifying.options import Cascading

QUESTIONS = (
    "What is the boiling point of {} at normal pressure?",
    "At which temperature does {} begin to boil?",
    "How hot must {} get to boil?",
    "Tell me the boiling point of {}.",
)
MATTERS = ("ethanol", "methanol", "acetone", "water", "benzene", "toluene")
LIKE = "What is the boiling point of propanol in degrees?"
OTHER = "Write a friendly birthday poem for my grandmother who loves her garden"


@pytest.fixture
def upstreams(fake_ollama: FakeOllama, fake_openai: FakeOpenAI) -> list[Any]:
    return [
        upstream("ollama", fake_ollama.url, models=("llama3.2",)),
        upstream("openai", fake_openai.url + "/v1", models=("gpt-5",)),
    ]


LAUNCH = {"router": Options(rules=(Rule(tag="poor", tier=Tier.LOCAL), Rule(tag="best", tier=Tier.PREMIUM)))}


@pytest.fixture
def gateway(tmp_path: Path, upstreams: list[Any]) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path, upstreams, **LAUNCH) as running:
        yield running


def ask(gateway: RunningGateway, *said: str, tag: str = "poor", **fields: Any) -> str:
    """The id of a chat."""
    chat = [{"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(said)]
    reply = httpx.post(
        gateway.url + "/v1/chat/completions",
        headers=gateway.auth | {"x-llmgw-tag": tag},
        json={"model": "gateway-auto", "messages": chat} | fields,
    )
    assert reply.status_code == 200, reply.text
    return reply.headers["x-llmgw-request-id"]


def tell(gateway: RunningGateway, number: str, score: float) -> None:
    said = {"request_id": number, "score": score}
    reply = httpx.post(gateway.url + "/v1/feedback", headers=gateway.auth, json=said)
    assert reply.json()["learnt"]


def previewed(gateway: RunningGateway, prompt: str) -> dict[str, Any]:
    decision = httpx.post(
        gateway.url + "/admin/routes/test", headers=gateway.auth, json={"prompt": prompt}
    ).json()["decision"]
    assert sum(term["value"] for term in decision["terms"]) == pytest.approx(decision["gain"])
    return decision


def near(gateway: RunningGateway, prompt: str) -> float:
    """What like requests add to the gain."""
    return sum(t["value"] for t in previewed(gateway, prompt)["terms"] if t["name"].startswith("like "))


def outcomes(gateway: RunningGateway) -> list[dict[str, Any]]:
    return gateway._rows("SELECT * FROM outcomes ORDER BY at")


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_feedback_on_a_topic_moves_what_is_like_it(tmp_path: Path, upstreams: list[Any]) -> None:
    """Bad local answers about boiling points raise the gain of another such question far more than that of a poem."""
    with RunningGateway(tmp_path, upstreams, **LAUNCH) as gateway:
        tell(gateway, ask(gateway, "hello there"), 0.5)  # from the first outcome on prompts are compared
        before = {prompt: previewed(gateway, prompt)["gain"] for prompt in (LIKE, OTHER)}
        for question in QUESTIONS:
            for matter in MATTERS:
                tell(gateway, ask(gateway, question.format(matter)), 0.0)
        for at in range(24):
            tell(gateway, ask(gateway, f"Write {at} rhymes for a card to my aunt and her dog"), 1.0)
        like, other = near(gateway, LIKE), near(gateway, OTHER)
        assert like > 0.1
        assert other < 0.02
        moved = {prompt: previewed(gateway, prompt)["gain"] - gain for prompt, gain in before.items()}
        assert moved[LIKE] > moved[OTHER] + 0.15
        assert all(len(row["vector"]) == 60 for row in outcomes(gateway)[1:])
    with RunningGateway(tmp_path, upstreams, **LAUNCH) as gateway:
        assert near(gateway, LIKE) == pytest.approx(like)
        httpx.delete(gateway.url + "/admin/outcomes", headers=gateway.auth)
        eventually(lambda: near(gateway, LIKE) == 0.0)


def test_without_outcomes_nothing_is_compared(gateway: RunningGateway) -> None:
    """As long as nobody says or does anything about an answer no vector is made."""
    ask(gateway, LIKE)
    assert gateway._rows("SELECT vector FROM decisions") == [{"vector": None}]


def test_the_same_asked_again_counts_against_the_answer_before(gateway: RunningGateway) -> None:
    """A regeneration is an outcome of little weight; another question of the conversation is none. # D-07"""
    first = ask(gateway, LIKE)
    ask(gateway, LIKE, "78 degrees", "And of butanol?")
    assert outcomes(gateway) == []
    second = ask(gateway, LIKE, "78 degrees", "And of butanol?")
    eventually(lambda: len(outcomes(gateway)) == 1)
    [row] = outcomes(gateway)
    assert (row["source"], row["score"], row["weight"], row["tier"]) == ("regeneration", 0.0, 0.2, "local")
    assert first != second
    assert LIKE.encode() not in gateway.database.read_bytes()


def test_programs_that_repeat_teach_nothing(gateway: RunningGateway) -> None:
    """A question that is asked over and over is no complaint: what was concluded from it is taken back."""
    ask(gateway, LIKE)
    ask(gateway, LIKE)
    eventually(lambda: len(outcomes(gateway)) == 1)
    for _ in range(4):
        ask(gateway, LIKE)
        time.sleep(0.05)
    eventually(lambda: outcomes(gateway) == [])


def test_a_dearer_model_forced_counts_against_the_answer_before(gateway: RunningGateway) -> None:
    """force_tier or a premium model's name for the same conversation right afterwards says that the answer was poor."""
    ask(gateway, LIKE)
    ask(gateway, LIKE, model="llama3.2")
    ask(gateway, "Something else", force_tier="premium")
    time.sleep(0.2)
    assert outcomes(gateway) == []
    ask(gateway, LIKE, "78 degrees", "Are you sure?", force_tier="premium")
    eventually(lambda: len(outcomes(gateway)) == 1)
    [row] = outcomes(gateway)
    assert (row["source"], row["score"], row["weight"], row["tier"]) == ("escalation", 0.0, 0.3, "local")


def test_what_is_said_outweighs_what_is_concluded(gateway: RunningGateway) -> None:
    """Feedback takes the place of a hint of the same answer, and no hint that of feedback."""
    said, first = ask(gateway, OTHER), ask(gateway, LIKE)
    tell(gateway, said, 1.0)
    ask(gateway, OTHER)
    ask(gateway, LIKE)
    eventually(lambda: len(outcomes(gateway)) == 2)
    tell(gateway, first, 0.9)
    eventually(lambda: {row["source"] for row in outcomes(gateway)} == {"feedback"})
    assert [row["score"] for row in outcomes(gateway)] == [1.0, 0.9]


def test_an_answer_that_breaks_off_counts_a_little(gateway: RunningGateway, fake_ollama: FakeOllama) -> None:
    """Where a stream is cut after its first words the tier that gave it is believed a little less."""
    fake_ollama.behave(cut_after=2)
    body = {"model": "gateway-auto", "stream": True, "messages": [{"role": "user", "content": LIKE}]}
    httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=body)
    eventually(lambda: len(outcomes(gateway)) == 1)
    [row] = outcomes(gateway)
    assert (row["source"], row["weight"], row["tier"]) == ("broken", 0.1, "local")


def test_an_outage_teaches_nothing(gateway: RunningGateway, fake_ollama: FakeOllama) -> None:
    """A tier that could not be asked is not worse at the question."""
    fake_ollama.behave(status=500)
    ask(gateway, LIKE)
    time.sleep(0.2)
    assert outcomes(gateway) == []


@pytest.mark.parametrize(("learn", "sources"), [("feedback", ["feedback"]), ("off", ["feedback"])])
def test_the_owner_says_what_is_learnt_from(
    learn: str, sources: list[str], tmp_path: Path, upstreams: list[Any]
) -> None:
    """With `feedback` nothing is concluded from what callers do; with `off` feedback is kept and teaches nothing."""
    with RunningGateway(tmp_path, upstreams, router=Options(learn=learn)) as gateway:
        ask(gateway, LIKE)
        number = ask(gateway, LIKE)
        before = previewed(gateway, LIKE)["gain"]
        said = {"request_id": number, "score": 0.0}
        reply = httpx.post(gateway.url + "/v1/feedback", headers=gateway.auth, json=said)
        assert reply.json()["learnt"] is (learn == "feedback")
        time.sleep(0.2)
        assert [row["source"] for row in outcomes(gateway)] == sources
        assert (previewed(gateway, LIKE)["gain"] != before) is (learn == "feedback")


@pytest.mark.parametrize("trial", [None, Cascading(samples=0)])
def test_a_conversation_is_read_once(
    tmp_path: Path, upstreams: list[Any], monkeypatch: pytest.MonkeyPatch, trial: Cascading | None
) -> None:
    """Deciding on a tier, trying a cheap one and learning from what the caller does share one reading of a long body."""
    read = []

    def counted(body: bytes, messages: Any) -> Glance:
        read.append(len(body))
        return glance(body, messages)

    monkeypatch.setattr(openai_chat, "glance", counted)
    with RunningGateway(tmp_path, upstreams, router=Options(cascade=trial)) as gateway:
        for _ in range(2):  # the second time it is asked again, which counts against the first answer
            ask(gateway, LIKE, tag="")
        eventually(lambda: len(outcomes(gateway)) >= 1)
        ask(gateway, LIKE, tag="", model="llama3.2")
    assert len(read) == 2, "a named model of the lowest tier tells nothing"


def test_long_texts_are_told_apart_by_what_counts() -> None:
    """A conversation has one number as long as its opening is the same, and another with another length or beginning."""
    key, long = Key(id=1, name="a", hash=b""), "word " * 100_000

    def number(first: str, last: str = "x") -> int:
        return conversation_of(key, Glance(last=last, first=first, instructions="", history=True))

    assert number(long) == number(long, "y")
    assert len({number(long), number(long + "!"), number("W" + long[1:]), number("")}) == 4
    begun = time.perf_counter()
    for _ in range(100):
        number(long)
    assert time.perf_counter() - begun < 0.1
