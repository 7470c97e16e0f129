"""Whatever an upstream does, the caller hears an answer or an error in its dialect, and the ledger has one row of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.gateway import RunningGateway, upstream
from support.raw import RawServer, reply

HI = [{"role": "user", "content": "hi"}]
CHAT = {"model": "gpt-4o-mini", "messages": HI}
MESSAGES = {"model": "gpt-4o-mini", "max_tokens": 50, "messages": HI}
RELAYED = "/v1/chat/completions"
CALLS = {RELAYED: CHAT, "/v1/messages": MESSAGES}

ANSWER = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 500},
    }
).encode()
EVENTS = (
    b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n',
    b"data: [DONE]\n\n",
)
SSE = "text/event-stream"


@pytest.fixture
def raw() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, raw: RawServer, fake_anthropic: FakeAnthropic) -> Iterator[RunningGateway]:
    upstreams = [
        upstream("openai", raw.url + "/v1", models=("gpt-4o-mini",), timeout=3.0),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    aliases = {"either": ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-6")}
    with RunningGateway(tmp_path, upstreams, aliases) as running:
        yield running


def post(gateway: RunningGateway, path: str = RELAYED, **fields: Any) -> httpx.Response:
    return httpx.post(gateway.url + path, headers=gateway.auth, json=CALLS[path] | fields, timeout=10)


@pytest.mark.parametrize("status", [101, 204, 205, 302, 304, 308, 600, 999])
@pytest.mark.parametrize("stream", [False, True])
def test_status_that_is_no_answer_is_502(
    status: int, stream: bool, gateway: RunningGateway, raw: RawServer
) -> None:
    """A redirect is neither followed nor passed on with the caller's key; odd statuses are no answers. All are free."""
    body = b"" if status in {101, 204, 205, 304} else b"moved"
    raw.says = reply(body, status, "text/html", b"location: http://127.0.0.1:1/elsewhere")
    for path in CALLS:
        answer = post(gateway, path, stream=stream)
        assert answer.status_code == 502
        assert answer.json()["error"]["message"]
        assert "location" not in answer.headers
    assert raw.asked == 2
    assert {(row["status"], row["error"], row["cost"]) for row in gateway.requests()} == {
        (502, "upstream_refused", 0)
    }


def test_credential_that_an_upstream_repeats_stays_here(gateway: RunningGateway, raw: RawServer) -> None:
    """An error that quotes our credential reaches no caller with it, whatever the dialect."""
    raw.says = reply(b'{"error":{"message":"no such key: sk-upstream","type":"t"}}', 401)
    for path in CALLS:
        answer = post(gateway, path)
        assert answer.status_code == 401
        assert "no such key" in answer.text
        assert "sk-upstream" not in answer.text


def test_headers_that_are_not_the_upstreams_to_say(gateway: RunningGateway, raw: RawServer) -> None:
    """Our own header names, permissions for browsers and values that are not ASCII are left out, the rest passes."""
    headers = (
        b"x-llmgw-cost: 0",
        b"access-control-allow-origin: *",
        b"x-odd: \xff\xfe",
        b"x-request-id: up-1",
    )
    for body, stream in ((ANSWER, False), (b"".join(EVENTS), True)):
        raw.says = reply(body, 200, SSE if stream else "application/json", *headers)
        answer = post(gateway, stream=stream)
        assert answer.status_code == 200
        assert answer.headers["x-request-id"] == "up-1"
        assert answer.headers.get("x-llmgw-cost") in {"0.00045", None}
        assert not {"access-control-allow-origin", "x-odd"} & answer.headers.keys()


@pytest.mark.parametrize(
    "nonsense", [b"", b"<html>Sign in</html>", b'{"choices":[{{{', b'{"error":{"message":"provider down"}}']
)
@pytest.mark.parametrize("stream", [False, True])
def test_next_target_answers_where_nonsense_came(
    nonsense: bytes, stream: bool, gateway: RunningGateway, raw: RawServer
) -> None:
    """A good status over nonsense, or over an error, is a failure as long as another target can answer."""
    raw.says = reply(nonsense)
    answer = post(gateway, model="either", stream=stream)
    assert answer.status_code == 200
    assert answer.headers["x-llmgw-target"] == "anthropic/claude-sonnet-4-6"
    [row] = gateway.requests()
    assert (row["status"], row["attempts"], row["error"]) == (200, 2, "")


def test_stream_that_begins_with_an_error_goes_to_the_next_target(
    gateway: RunningGateway, raw: RawServer
) -> None:
    """Overloaded upstreams say so in their first event; with nobody else to ask the caller gets it as it is."""
    event = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
    raw.says = reply(event, 200, SSE)
    assert post(gateway, model="either", stream=True).headers["x-llmgw-fallbacks"] == "1"
    assert post(gateway, stream=True).content.startswith(event)


def test_plain_reply_to_a_streamed_call_is_billed(gateway: RunningGateway, raw: RawServer) -> None:
    """It passes a caller of the same dialect untouched, is a 502 for any other, and costs what it says in both cases."""
    raw.says = reply(ANSWER)
    relayed, translated = post(gateway, stream=True), post(gateway, "/v1/messages", stream=True)
    assert (relayed.status_code, relayed.content) == (200, ANSWER)
    assert translated.status_code == 502
    for row in gateway.requests():
        assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (1000, 500, 450_000)


def test_plain_reply_to_a_streamed_call_is_billed_beside_the_next_target(
    gateway: RunningGateway, raw: RawServer
) -> None:
    """What the first target said it used is paid for although the second one answered."""
    raw.says = reply(ANSWER)
    assert post(gateway, model="either", stream=True).headers["x-llmgw-fallbacks"] == "1"
    first, second = gateway.attempts()
    assert first["cost"] == 450_000
    assert gateway.requests()[0]["cost"] == first["cost"] + second["cost"]


@pytest.mark.parametrize("count", ["-5", "1e30", "9" * 40, "9007199254740991", "null", '"12"', "[1]"])
def test_absurd_counts_are_estimated(count: str, gateway: RunningGateway, raw: RawServer) -> None:
    """Counts that no call can have are not believed: the tokens are estimated, and the row is there."""
    usage = f'{{"prompt_tokens":{count},"completion_tokens":{count}}}'.encode()
    raw.says = reply(ANSWER.replace(b'{"prompt_tokens": 1000, "completion_tokens": 500}', usage))
    assert post(gateway).status_code == 200
    raw.says = reply(b"".join(EVENTS).replace(b'{"prompt_tokens":7,"completion_tokens":3}', usage), 200, SSE)
    assert post(gateway, stream=True).status_code == 200
    for row in gateway.requests():
        assert row["estimated"]
        assert 0 < row["cost"] < 1_000_000


@pytest.mark.parametrize("path", CALLS)
def test_stream_cut_at_every_byte_ends_well(path: str, gateway: RunningGateway, raw: RawServer) -> None:
    """Wherever a stream breaks off: a 502, or whole events and an error as the last of them; and it is billed."""
    whole = b"".join(EVENTS)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % (
        len(whole) + 1
    )
    with httpx.Client(headers=gateway.auth, timeout=10) as client:
        for size in (*range(0, len(whole), 3), len(whole) - 2, len(whole)):
            raw.says = head + whole[:size]
            answer = client.post(gateway.url + path, json=CALLS[path] | {"stream": True})
            events = [
                json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")
            ] or [answer.json()]
            done = size == len(whole) or (path == RELAYED and b"[DONE]" in whole[:size])
            assert done or "error" in events[-1], size
            assert answer.status_code == (502 if size < len(EVENTS[0]) else 200), size
            assert gateway.requests()[-1]["error"] == ("" if done else "upstream_error"), size
    assert not any(attempt["open"] for attempt in gateway.attempts())


def test_kept_connection_that_was_closed_fails_no_call(gateway: RunningGateway, raw: RawServer) -> None:
    """A connection that its server closes between two calls is made anew: every call is asked once and answered."""
    raw.says, raw.closes_after = reply(ANSWER), 0.002
    with httpx.Client(headers=gateway.auth) as client:
        answers = [client.post(gateway.url + RELAYED, json=CHAT).status_code for _ in range(60)]
    assert answers == [200] * 60
    assert raw.asked == 60


@pytest.mark.parametrize("status", [200, 500])
def test_answer_larger_than_allowed(status: int, tmp_path: Path, raw: RawServer) -> None:
    """A plain answer or an error without end is cut at the bound, told with the option to raise, and one row is kept."""
    raw.says = reply(b'{"x": "' + b"x" * 300_000 + b'"}', status)
    openai = [upstream("openai", raw.url, models=("gpt-4o-mini",))]
    with RunningGateway(tmp_path, openai, max_answer_mb=0.25) as gateway:
        answer = httpx.post(gateway.url + RELAYED, headers=gateway.auth, json=CHAT)
        assert answer.status_code == 502
        assert "larger than 0.25 MB" in answer.json()["error"]["message"]
        assert "server.max_answer_mb" in answer.json()["error"]["message"]
    [row] = gateway.requests()
    assert (row["status"], row["error"], row["attempts"]) == (502, "upstream_error", 1)


@pytest.mark.parametrize("stream", [False, True])
def test_the_name_of_an_answer_moves_no_terminal(
    stream: bool, gateway: RunningGateway, raw: RawServer
) -> None:
    """Of the id that an upstream gives, which operators are shown, control characters and what is too long are left out."""
    hostile = '"c\\u001b[2J\\u009b1m\\u202e' + "x" * 1000 + '"'
    body = (
        b"".join(EVENTS).replace(b'"c"', hostile.encode())
        if stream
        else ANSWER.replace(b'"x"', hostile.encode())
    )
    raw.says = reply(body, 200, SSE if stream else "application/json")
    assert post(gateway, stream=stream).status_code == 200
    (attempt,) = gateway.attempts()
    assert attempt["upstream_id"].startswith("c[2J1mx")
    assert len(attempt["upstream_id"]) <= 200
