"""An equal request is answered from memory: at no cost, in the caller's form, with a row that says so. # D-13 D-11"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest
from support.budgets import budget
from support.caches import CHAT, MESSAGES, Cached, options
from support.fake_openai import sse
from support.fake_server import Behaviour

from llmgw.domain.cache import Selector
from llmgw.gates.replay import MOST_PIECES, pieces
from llmgw.storage.budgets import Budgets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI


@pytest.fixture
def gateway(tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic) -> Iterator[Cached]:
    with Cached(tmp_path, fake_openai, fake_anthropic) as running:
        yield running


def test_a_second_equal_request_is_answered_without_a_call(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """The same request again costs nothing, reaches nobody and says so in its headers and its row."""
    first, second = gateway.chat(), gateway.chat()
    assert first.headers["x-llmgw-cache"] == "miss"
    assert second.headers["x-llmgw-cache"] == "exact"
    assert second.headers["x-llmgw-cost"] == "0"
    assert second.headers["age"] == "0"
    assert second.headers["x-llmgw-target"] == first.headers["x-llmgw-target"]
    one, other = first.json(), second.json()
    assert one["id"] != other["id"]
    assert one.pop("id")
    assert other.pop("id").startswith("chatcmpl-")
    assert abs(other.pop("created") - time.time()) < 20
    assert one.pop("created")
    assert one == other
    assert len(fake_openai.chats) == 1
    row, hit = gateway.requests()
    assert (row["cache"], hit["cache"]) == ("miss", "exact")
    assert (hit["cost"], hit["attempts"], hit["status"]) == (0, 0, 200)
    assert hit["saved"] == row["cost"] > 0
    assert (hit["provider"], hit["model"], hit["tier"]) == (row["provider"], row["model"], row["tier"])
    assert len(gateway.attempts()) == 1


def of_stream(text: str) -> list[dict[str, Any]]:
    """The events of an OpenAI stream."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def said(events: list[dict[str, Any]]) -> str:
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in events if each["choices"])


@pytest.mark.parametrize("first", [False, True])
def test_a_plain_answer_is_replayed_as_a_stream_and_the_other_way_round(
    gateway: Cached, fake_openai: FakeOpenAI, first: bool
) -> None:
    """Both forms of one question cost one call, and a replayed stream comes in several events."""
    fake_openai.default = Behaviour(text="A long answer of many words, said piece by piece. " * 5)
    gateway.chat(stream=first, stream_options={"include_usage": True} if first else None)
    plain, stream = gateway.chat(), gateway.chat(stream=True, stream_options={"include_usage": True})
    assert plain.headers["x-llmgw-cache"] == stream.headers["x-llmgw-cache"] == "exact"
    events = of_stream(stream.text)
    assert said(events) == plain.json()["choices"][0]["message"]["content"] == fake_openai.default.text
    assert len(events) >= 8
    assert events[-1]["usage"]["completion_tokens"] == plain.json()["usage"]["completion_tokens"] == 7
    assert stream.text.endswith("data: [DONE]\n\n")
    assert len({each["id"] for each in events}) == 1
    assert len(fake_openai.chats) == 1


def test_every_piece_of_a_replayed_stream_has_the_same_new_time(
    gateway: Cached, fake_openai: FakeOpenAI
) -> None:
    """Groq and others tell with each piece when it was made, some give each an id; none of it comes a second time."""
    head = {"object": "chat.completion.chunk", "model": "m", "usage": None}
    pieces = [
        {"id": f"chatcmpl-{at}", **head, "created": 1_700_000_000 + at}
        | {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for at, (delta, end) in enumerate([({"content": '"created":17'}, None), ({}, "stop")])
    ]
    fake_openai.default = Behaviour(
        raw=b"".join(map(sse, pieces)) + b"data: [DONE]\n\n", raw_type="text/event-stream"
    )
    first, second = gateway.chat(stream=True), gateway.chat(stream=True)
    assert second.headers["x-llmgw-cache"] == "exact"
    assert said(of_stream(first.text)) == said(of_stream(second.text)) == '"created":17'
    times = {each["created"] for each in of_stream(second.text)}
    assert len(times) == 1
    assert abs(times.pop() - time.time()) < 20
    idents = {each["id"] for each in of_stream(second.text)}
    assert len(idents) == 1
    assert not idents & {each["id"] for each in of_stream(first.text)}


@pytest.mark.parametrize("first", [False, True])
def test_what_stands_beside_an_answer_is_told_in_each_form(gateway: Cached, first: bool) -> None:
    """The upstream's fingerprint is in a replayed stream as in a plain reply, whichever came first."""
    gateway.chat(stream=first)
    plain, stream = gateway.chat(), gateway.chat(stream=True)
    assert plain.headers["x-llmgw-cache"] == stream.headers["x-llmgw-cache"] == "exact"
    assert plain.json()["system_fingerprint"] == "fp_fake"
    assert {each["system_fingerprint"] for each in of_stream(stream.text)} == {"fp_fake"}


def test_a_stream_with_citations_is_not_remembered(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """Who searched the web would find something else tomorrow, and a plain reply could not name the pages."""
    head = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    pieces = [
        head | {"choices": [{"index": 0, "delta": {"content": "So."}, "finish_reason": None}]},
        head
        | {
            "citations": ["https://a.example"],
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        },
    ]
    fake_openai.default = Behaviour(
        raw=b"".join(map(sse, pieces)) + b"data: [DONE]\n\n", raw_type="text/event-stream"
    )
    assert [gateway.chat(stream=True).headers["x-llmgw-cache"] for _ in range(2)] == ["miss", "miss"]


def neutral(answer: Any) -> Any:
    return answer.model_copy(update={"id": "", "created": 0})


def test_the_sdks_cannot_tell_a_hit_from_a_call(gateway: Cached) -> None:
    """Objects of both SDKs, plain and streamed, are equal between call and hit but for id and time."""
    ask: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Who is there?"}]}
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0) as client:
        plain = [client.chat.completions.create(**ask) for _ in range(2)]
        assert neutral(plain[0]) == neutral(plain[1])
        assert plain[0].id != plain[1].id
        again = ask | {"temperature": 0.1}
        streams = [
            [neutral(each) for each in client.chat.completions.create(**again, stream=True)] for _ in range(2)
        ]
        assert streams[0] == streams[1]
    told: dict[str, Any] = {"model": "claude-x", "max_tokens": 50, "messages": ask["messages"]}
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0) as claude:
        messages = [claude.messages.create(**told) for _ in range(2)]
        assert messages[0].model_copy(update={"id": ""}) == messages[1].model_copy(update={"id": ""})
        assert messages[0].id != messages[1].id
        finals = []
        for _ in range(2):
            with claude.messages.stream(**told, system="Be brief.") as stream:
                finals.append(stream.get_final_message().model_copy(update={"id": ""}))
        assert finals[0] == finals[1]
        with claude.messages.stream(**told) as stream:
            assert stream.get_final_text() == messages[0].content[0].text
    assert [row["cache"] for row in gateway.requests()] == ["miss", "exact"] * 4 + ["exact"]


def test_answers_survive_a_restart(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """What was remembered is still there for the next process, and its hits are counted."""
    with Cached(tmp_path, fake_openai, fake_anthropic) as gateway:
        gateway.chat()
    with Cached(tmp_path, fake_openai, fake_anthropic) as gateway:
        assert gateway.chat().headers["x-llmgw-cache"] == "exact"
    with gateway.store() as store:
        (entry,) = store.list()
        assert (entry.hits, entry.saved) == (1, entry.cost)
        assert (entry.prompt, entry.tenant, entry.model_asked, entry.kind) == (
            "hi",
            "default",
            "gpt-4o",
            "usual",
        )
    assert (tmp_path / "cache.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "how",
    [
        {"finish": "length"},
        {"finish": "content_filter"},
        {"status": 500},
        {"status": 400},
        {"cut_after": 2, "stream": True},
        {"error_after": 2, "stream": True},
        {"tool_calls": (("look", {}),)},
    ],
    ids=str,
)
def test_no_bad_answer_is_remembered(gateway: Cached, fake_openai: FakeOpenAI, how: dict[str, Any]) -> None:
    """Cut, refused, failed and broken answers, and calls of tools, are asked anew."""
    stream = how.pop("stream", False)
    fake_openai.default = Behaviour(**how)
    for _ in range(2):
        assert gateway.chat(stream=stream).headers["x-llmgw-cache"] == "miss"
    assert len(fake_openai.chats) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"temperature": 1.5},
        {"n": 2},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"web_search_options": {}},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}
            ]
        },
    ],
    ids=str,
)
def test_some_requests_pass_the_caches_by(gateway: Cached, body: dict[str, Any]) -> None:
    """Wild sampling, several answers, tools, the live web and pictures that may change are never cached."""
    for _ in range(2):
        assert gateway.chat(**body).headers["x-llmgw-cache"] == "bypass"


def test_answers_with_calls_of_tools_come_under_new_call_ids(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Where tools are allowed into the cache, a hit names its calls anew and repeats their arguments."""
    fake_openai.default = Behaviour(tool_calls=(("look", {"at": "it"}), ("see", {})), text="")
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("look", "see")]
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options(tools=True)) as gateway:
        answers = [gateway.chat(tools=tools) for _ in range(3)]
    assert [each.headers["x-llmgw-cache"] for each in answers] == ["miss", "exact", "exact"]
    calls = [each.json()["choices"][0]["message"]["tool_calls"] for each in answers]
    assert [[call["function"] for call in each] for each in calls] == [
        [call["function"] for call in calls[0]]
    ] * 3
    assert len({call["id"] for each in calls for call in each}) == 6


@pytest.mark.parametrize(
    ("headers", "verdict", "later"),
    [
        ({"cache-control": "no-cache"}, "miss", "exact"),
        ({"cache-control": "no-store"}, "bypass", "exact"),
        ({"cache-control": "max-age=0"}, "miss", "exact"),
        ({"cache-control": "max-age=600"}, "exact", "exact"),
        ({"x-llmgw-cache": "refresh"}, "miss", "exact"),
        ({"x-llmgw-cache": "no-store"}, "bypass", "exact"),
        ({"x-llmgw-cache": "only"}, "exact", "exact"),
        ({"cache-control": "only-if-cached"}, "exact", "exact"),
    ],
    ids=str,
)
def test_callers_say_what_the_caches_may_do(
    gateway: Cached, fake_openai: FakeOpenAI, headers: dict[str, str], verdict: str, later: str
) -> None:
    """The standard header and ours, on a request whose answer is remembered; a fresh answer replaces the old one."""
    fake_openai.behave(text="old")
    gateway.chat()
    fake_openai.default = Behaviour(text="new")
    time.sleep(0.01)
    answer = gateway.chat(headers=headers)
    assert answer.headers["x-llmgw-cache"] == verdict
    again = gateway.chat()
    assert again.headers["x-llmgw-cache"] == later
    fresh = verdict == "miss"
    assert again.json()["choices"][0]["message"]["content"] == ("new" if fresh else "old")


def test_whoever_wants_only_the_cache_is_told_when_it_is_empty(
    gateway: Cached, fake_openai: FakeOpenAI
) -> None:
    """No call is made, the error has a code of its own and asks SDKs not to try again."""
    answer = gateway.chat(headers={"x-llmgw-cache": "only"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "cache_miss")
    assert answer.headers["x-should-retry"] == "false"
    assert gateway.chat(headers={"x-llmgw-cache": "sometimes"}).status_code == 400
    assert fake_openai.chats == []


def test_a_key_can_be_kept_out_of_the_caches(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """Its calls are neither answered from memory nor remembered, from the next request on."""
    gateway.chat()
    with gateway.control as control:
        token = control.create("private", cache=False)[1]
        auth = {"authorization": f"Bearer {token}"}
        for text in ("hi", "own", "own"):
            assert gateway.chat(text, headers=auth).headers["x-llmgw-cache"] == "bypass"
        control.allow_cache("private", True)
        assert gateway.chat(headers=auth).headers["x-llmgw-cache"] == "exact"
    assert len(fake_openai.chats) == 4


def test_what_a_command_forgets_is_asked_anew(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """A removal while the gateway runs counts on the very next request, also for answers at hand in memory."""
    gateway.chat()
    gateway.settled(1)
    assert gateway.chat().headers["x-llmgw-cache"] == "exact"
    with gateway.store() as store:
        assert store.remove(Selector(text="HI")) == 1
    assert gateway.chat().headers["x-llmgw-cache"] == "miss"


def test_an_answer_lives_as_long_as_its_kind(gateway: Cached) -> None:
    """Seven days where nothing is left to chance, an hour where the prompt speaks of today, else a day."""
    gateway.chat("Say a word.")
    gateway.chat("Say a word.", temperature=0)
    gateway.chat("What is the weather today?", temperature=0)
    gateway.settled(3)
    with gateway.store() as store:
        lives = {each.kind: (each.expires_at - each.created_at) // 10**9 for each in store.list()}
    assert lives == {"usual": 86_400, "deterministic": 7 * 86_400, "dated": 3600}


def test_a_spent_budget_still_leaves_what_is_remembered(gateway: Cached) -> None:
    """A budget in cache-only mode refuses what would cost and gives what does not. # D-20"""
    gateway.chat()
    with gateway.control as control:
        Budgets(control).set(budget("all", "day", hard=1, on_exceed="cache"))
    assert gateway.chat().headers["x-llmgw-cache"] == "exact"
    refused = gateway.chat("something else")
    assert refused.status_code == 402
    assert "only cached answers" in refused.text


def test_gateway_meta_of_a_hit_says_what_it_saved(gateway: Cached) -> None:
    """A caller who asks for it reads the verdict in the body too, plain and streamed."""
    first = gateway.chat(context={"file_path": "a.py"}).json()["gateway_meta"]
    meta = gateway.chat(context={"file_path": "a.py"}).json()["gateway_meta"]
    assert (first["cache"], meta["cache"], meta["cost_nanousd"]) == ("miss", "exact", 0)
    assert meta["saved_usd"] == first["cost_usd"]
    stream = gateway.chat(context={"file_path": "a.py"}, stream=True)
    assert '"cache":"exact"' in stream.text


def test_a_cache_that_cannot_be_used_costs_nobody_an_answer(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, caplog: pytest.LogCaptureFixture
) -> None:
    """With a folder in the place of its file the gateway serves without it, says so once, and uses it once it can."""
    (tmp_path / "cache.db").mkdir()
    with Cached(tmp_path, fake_openai, fake_anthropic) as gateway:
        for _ in range(2):
            answer = gateway.chat()
            assert (answer.status_code, answer.headers["x-llmgw-cache"]) == (200, "miss")
        assert "cannot use" in gateway.health()["components"]["cache"]
        time.sleep(2.5)
        assert sum("the cache cannot be" in each.message for each in caplog.records) <= 2
        (tmp_path / "cache.db").rmdir()
        gateway.until_exact()
        assert gateway.health()["components"]["cache"] == "ok"


def test_a_damaged_file_is_set_aside(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """What is no database is kept under another name and a new one begun."""
    (tmp_path / "cache.db").write_bytes(b"not a database at all" * 500)
    with Cached(tmp_path, fake_openai, fake_anthropic) as gateway:
        gateway.chat()
        assert gateway.chat().headers["x-llmgw-cache"] == "exact"
    assert (tmp_path / "cache.db.damaged").exists()


def test_a_long_answer_is_replayed_in_few_pieces() -> None:
    """However long an answer is, its replay as a stream is made of so many events that the loop is not held up."""
    text = "a word and another " * 20_000
    found = list(pieces(text))
    assert "".join(found) == text
    assert len(found) <= MOST_PIECES
    assert len(list(pieces("a short answer of two pieces or so"))) == 2


@pytest.mark.parametrize(
    "lines",
    [
        [("cache-control", "no-store"), ("cache-control", "max-age=60")],
        [("cache-control", "max-age=60"), ("Cache-Control", "no-store")],
        [("x-llmgw-cache", "no-store"), ("x-llmgw-cache", "refresh")],
        [("x-llmgw-cache", "refresh"), ("x-llmgw-cache", "no-store")],
    ],
    ids=str,
)
def test_a_header_in_several_lines_is_one_list(
    gateway: Cached, fake_openai: FakeOpenAI, lines: list[tuple[str, str]]
) -> None:
    """`no-store` holds whichever line it stands in, also where a proxy has added another one."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    headers = [*gateway.auth.items(), *lines]
    for _ in range(2):
        answer = httpx.post(gateway.url + CHAT, json=body, headers=headers)
        assert (answer.status_code, answer.headers["x-llmgw-cache"]) == (200, "bypass")
    with gateway.store() as store:
        assert store.stats() == ()
    assert len(fake_openai.chats) == 2


def test_beta_headers_in_several_lines_all_count(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """Two lines of `anthropic-beta` name two things that may change an answer, whatever the order they come in."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}

    def ask(*betas: str) -> str:
        headers = [*gateway.auth.items(), *(("anthropic-beta", each) for each in betas)]
        return httpx.post(gateway.url + CHAT, json=body, headers=headers).headers["x-llmgw-cache"]

    assert ask("one", "two") == "miss"
    assert ask("two") == "miss"
    assert ask("one", "two") == "exact"


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc3", rb"\ud800", rb"\udc00 x"], ids=str)
@pytest.mark.parametrize("semantic", ["off", "on"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_broken_text_costs_no_more_than_a_hit(
    tmp_path: Path,
    fake_openai: FakeOpenAI,
    fake_anthropic: FakeAnthropic,
    path: str,
    semantic: str,
    text: bytes,
) -> None:
    """A prompt that is no text is refused or passes the caches by; it never fails inside, and nothing is kept of it."""
    model = b"gpt-4o" if path == CHAT else b"claude-x"
    body = b'{"model":"%s","max_tokens":9,"messages":[{"role":"user","content":"how do I %s"}]}' % (
        model,
        text,
    )
    launch = {"cache": options(semantic=semantic)}
    with Cached(tmp_path, fake_openai, fake_anthropic, **launch) as gateway:
        for _ in range(3):
            answer = httpx.post(gateway.url + path, content=body, headers=gateway.auth)
            assert answer.status_code in {200, 400}
            assert answer.headers["x-llmgw-cache"] == "bypass"
        with gateway.store() as store:
            assert store.stats() == ()


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_under_way_when_answers_were_forgotten_is_not_kept(
    gateway: Cached, fake_openai: FakeOpenAI, stream: bool
) -> None:
    """An answer that was asked for before a commit says what was true then: it is neither kept nor joined after it."""
    fake_openai.default = Behaviour(latency=0.8)
    with ThreadPoolExecutor() as pool:
        before = pool.submit(gateway.chat, stream=stream)
        time.sleep(0.3)
        reply = httpx.post(gateway.url + "/cache/invalidate", headers=gateway.auth, json={"event": "manual"})
        assert reply.json() == {"invalidated": 0}
        time.sleep(0.1)
        after = pool.submit(gateway.chat, stream=stream)
        assert before.result().headers["x-llmgw-cache"] == "miss"
        assert after.result().headers["x-llmgw-cache"] == "miss"
    assert len(fake_openai.chats) == 2
    assert gateway.chat().headers["x-llmgw-cache"] == "exact"
    with gateway.store() as store:
        (kept,) = store.list()
    assert kept.created_at > time.time_ns() - 10**9 * 60


def test_what_was_under_way_when_a_command_forgot_answers_is_not_kept(
    gateway: Cached, fake_openai: FakeOpenAI
) -> None:
    """The same where `llmgw cache clear` did it, in a process of its own."""
    fake_openai.default = Behaviour(latency=0.5)
    with ThreadPoolExecutor() as pool:
        before = pool.submit(gateway.chat)
        time.sleep(0.2)
        with gateway.store() as store:
            store.remove(Selector())
        assert before.result().status_code == 200
    time.sleep(0.2)
    assert gateway.chat().headers["x-llmgw-cache"] == "miss"


def test_options_of_a_later_start_count_for_older_answers(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """A shorter life, a lower temperature, tools no longer: what was remembered before is held to what is allowed now."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    asked: list[dict[str, Any]] = [{}, {"temperature": 0.9}, {"tools": [tool]}]

    def verdicts(gateway: Cached) -> list[str]:
        return [gateway.chat("hi", **more).headers["x-llmgw-cache"] for more in asked]

    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options(tools=True)) as gateway:
        assert verdicts(gateway) == ["miss"] * 3
        gateway.settled(3)
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options(max_temperature=0.5)) as gateway:
        assert verdicts(gateway) == ["exact", "bypass", "bypass"]
    time.sleep(1.1)
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options(ttl="1s")) as gateway:
        assert verdicts(gateway) == ["miss", "miss", "bypass"]


def test_a_restart_under_load_keeps_the_hits(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Of forty questions that were answered before a restart all are answered from memory after it, from the first call on."""
    questions = [f"question {number}" for number in range(40)]
    with Cached(tmp_path, fake_openai, fake_anthropic) as gateway, ThreadPoolExecutor(8) as pool:
        list(pool.map(gateway.chat, questions))
    with Cached(tmp_path, fake_openai, fake_anthropic) as gateway, ThreadPoolExecutor(8) as pool:
        found = [each.headers["x-llmgw-cache"] for each in pool.map(gateway.chat, questions * 3)]
    assert found == ["exact"] * 120
    assert len(fake_openai.chats) == 40
