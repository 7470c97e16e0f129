"""Repeats in a row: what is one, what is none, and that ordinary work of agents never comes near the mark."""

from __future__ import annotations

import gzip
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from support.recorded import FOLDER, OPENAI, client_calls

from llmgw.providers.registry import caller_dialect
from llmgw.rules.looping import MINUTE, Loops, Trail, trace

WITHIN = 5 * MINUTE
SECOND = MINUTE // 60
BAR = Loops().repeats


def raw(messages: list[dict[str, Any]]) -> Raw:
    return Raw(json.dumps(messages).encode())


def play(calls: list[Any], *, gap: int = SECOND) -> int:
    """The most repeats in a row that these calls come to."""
    trail, most = Trail(), 0
    for number, messages in enumerate(calls):
        trail = trace(trail, messages, number * gap, WITHIN)
        most = max(most, trail.repeats)
    return most


def turn(number: int, answer: str, *, call_id: str = "", path: str = "a.py") -> list[dict[str, Any]]:
    """An assistant's call of a tool and its result."""
    call_id = call_id or f"call_{random.Random(number).getrandbits(96):024x}"
    function = {"name": "read", "arguments": json.dumps({"path": path})}
    return [
        {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call_id, "content": answer},
    ]


START = [{"role": "system", "content": "You are an agent."}, {"role": "user", "content": "Mend the parser."}]


def grown(count: int, **same: str) -> list[Raw]:
    messages, calls = list(START), []
    for number in range(count):
        messages += turn(number, **same)
        calls.append(raw(messages))
    return calls


def test_the_same_call_again_counts() -> None:
    """A call that is sent N times again comes to N repeats."""
    assert play([raw(START)] * 8) == 7


@pytest.mark.parametrize(
    "varying",
    [
        "now it is 2026-11-21T05:58:{0:02d}Z",
        "now it is 5:58:{0:02d}.123",
        "at 17322{0:05d}",
        "run 3f2b8c1e-0000-4000-8000-0000000000{0:02x}",
    ],
)
def test_times_and_ids_are_not_looked_at(varying: str) -> None:
    """A harness that writes the time or a random id into each call repeats itself all the same."""
    calls = [raw([*START, {"role": "user", "content": varying.format(number)}]) for number in range(20)]
    assert play(calls) == 19


def test_the_same_tool_call_with_the_same_result_counts() -> None:
    """A conversation that grows by the same piece each time, but for ids, is a loop."""
    assert play(grown(20, answer="error: no such file")) >= 17


def test_two_things_in_turn_are_a_loop() -> None:
    """An agent that edits and tests, edits and tests, always with the same outcome, is as stuck as one that only edits."""
    messages, calls = list(START), []
    for number in range(40):
        messages += turn(
            number, "1 failed" if number % 2 else "edited", path="abcdefgh"[: 1 + number % 2 * 7] * 20
        )
        calls.append(raw(messages))
    assert play(calls[:12]) < BAR
    assert play(calls) >= BAR


def test_progress_is_no_repeat() -> None:
    """A poll whose result changes, if only by a short number, and work on one file after another, are no loops."""
    messages, polls, files = list(START), [], []
    for number in range(10, 60):
        messages += turn(number, f"epoch {number} of 90, loss 0.{number}")
        polls.append(raw(messages))
    messages = list(START)
    for number in range(10, 60):
        messages += turn(number, "ok", path=f"file_{number}.py")
        files.append(raw(messages))
    assert play(polls) <= 2
    assert play(files) <= 2


def test_short_turns_in_a_growing_conversation_are_no_loop() -> None:
    """A person who only ever says `continue` gets another answer each time."""
    words = random.Random(7)
    messages, calls = list(START), []
    for _ in range(60):
        answer = " ".join(words.choices(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"], k=40))
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": "continue"}]
        calls.append(raw(messages))
    assert play(calls) < 5


def test_batches_are_no_loop() -> None:
    """One template with another text, or only another number, in each call is a batch at work."""
    rest = " Give the answer as JSON." * 100
    texts = [raw([{"role": "user", "content": f"Text: {word * 3}.{rest}"}]) for word in "abcdefghijklmnop"]
    numbers = [raw([{"role": "user", "content": f"Row {row}: 21.{row}.{rest}"}]) for row in range(10, 60)]
    assert play(texts) <= 2
    assert play(numbers) <= 2


def test_slow_repeats_are_no_loop() -> None:
    """What comes again every minute, as from a timer, never has ten repeats within five."""
    assert play([raw(START)] * 100, gap=MINUTE) < BAR


def test_long_sessions_of_agents_stay_below_the_mark() -> None:
    """Sixty sessions of up to 150 turns with tools, retries of single calls and short answers among them."""
    chance = random.Random(11)
    for _ in range(60):
        messages, calls = list(START), []
        for number in range(chance.randint(20, 150)):
            answer = chance.choice(["ok", "", "error: timeout", "x" * chance.randint(1, 3000), "done"])
            messages += turn(chance.getrandbits(40), answer, path=f"src/{chance.choice('abcdefgh') * 4}.py")
            if number % 7 == 0:
                messages.append({"role": "user", "content": chance.choice(["continue", "yes", "go on"])})
            calls += [raw(messages)] * chance.choice([1, 1, 1, 1, 2])
        assert play(calls) < BAR


def test_recorded_sessions_stay_below_the_mark() -> None:
    """Calls with tools of the recorded exchanges, each provider's in a row as if from one key, trip nothing."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded exchanges are not beside this repository")
    for provider in dict.fromkeys((*OPENAI, "anthropic")):
        rows: dict[str, list[Raw]] = {}
        with gzip.open(FOLDER / f"{provider}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                asked = json.loads(line).get("request_json")
                if isinstance(asked, dict) and asked.get("tools") and "messages" in asked:
                    rows.setdefault(asked.get("model", ""), []).append(raw(asked["messages"]))
        for calls in rows.values():
            assert play(calls) < BAR


@pytest.mark.parametrize("surface", ["v1_chat_completions", "v1_messages"])
def test_real_programs_stay_below_the_mark(surface: str) -> None:
    """What coding agents and SDKs were recorded to send, read as the gateway reads it, trips nothing."""
    peek = caller_dialect("anthropic" if surface == "v1_messages" else "openai_chat").peek
    assert play([peek(body).messages for _, body in client_calls(surface)]) < BAR


texts = st.text("ab 1", max_size=200)


@given(st.lists(texts, min_size=1, max_size=20), st.integers(0, 5))
def test_a_list_of_messages_reads_as_one(said: list[str], times: int) -> None:
    """It makes no difference whether a dialect hands over messages one by one or as one list, but for the commas."""
    parts = [Raw(json.dumps({"role": "user", "content": text}).encode()) for text in said]
    assert play([parts] * (times + 1)) == times


@given(st.lists(st.tuples(texts, st.integers(0, 10 * MINUTE)), max_size=30))
def test_repeats_are_recent_and_in_order(calls: list[tuple[str, int]]) -> None:
    """Whatever comes, repeats are moments within the window, rising, and at most as many as calls."""
    trail, now = Trail(), 0
    for number, (text, gap) in enumerate(calls):
        now += gap
        trail = trace(trail, raw([{"role": "user", "content": text}]), now, WITHIN)
        for seen in (trail.last, trail.pair):
            assert list(seen.repeats) == sorted(seen.repeats)
            assert len(seen.repeats) <= number
            assert all(now - WITHIN < at <= now for at in seen.repeats)
