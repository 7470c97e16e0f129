"""Everything that can go wrong answers as the caller's own SDK expects it, and loses nothing."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import anthropic
import httpx
import openai
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway, upstream

from llmgw.providers.dialects.openai_chat import OpenAIChat

HI: list[dict[str, str]] = [{"role": "user", "content": "hi"}]
CHAT = {"model": "gpt-4o-mini", "messages": HI}
MESSAGES = {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": HI}


@pytest.fixture
def chat(gateway: RunningGateway):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0) as client:
        yield client.chat.completions


@pytest.fixture
def messages(gateway: RunningGateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0) as client:
        yield client.messages


def test_wrong_key_is_401_in_both_dialects(gateway: RunningGateway) -> None:
    """A key nobody issued raises AuthenticationError in both SDKs, and its value is not repeated."""
    wrong = "lgw_wrong_key_value"
    with pytest.raises(openai.AuthenticationError) as one:
        openai.OpenAI(base_url=gateway.url + "/v1", api_key=wrong).chat.completions.create(**CHAT)
    with pytest.raises(anthropic.AuthenticationError) as two:
        anthropic.Anthropic(base_url=gateway.url, api_key=wrong).messages.create(**MESSAGES)
    assert wrong not in one.value.response.text + two.value.response.text
    assert one.value.code == "invalid_key"
    assert two.value.response.json()["error"]["type"] == "authentication_error"
    assert gateway.requests() == []


def test_no_key_is_401(gateway: RunningGateway) -> None:
    """A call without any key is refused before its body is read. # D-03"""
    reply = httpx.post(gateway.url + "/v1/chat/completions", content=b"not json")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    # Without this Claude Code tries for three minutes before it tells of a wrong key.
    assert reply.headers["x-should-retry"] == "false"


def test_unknown_model_is_404(gateway: RunningGateway, tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """A model nobody offers raises NotFoundError with near names, and is recorded as refused."""
    offered = upstream("vllm", fake_openai.url + "/v1", models=("llama-3",))
    (tmp_path / "two").mkdir()
    with RunningGateway(tmp_path / "two", [offered]) as other:
        client = openai.OpenAI(base_url=other.url + "/v1", api_key=other.token)
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(**CHAT | {"model": "llama-4"})
        assert caught.value.code == "model_not_found"
        assert "llama-3" in caught.value.response.text
        [row] = other.requests()
        assert (row["status"], row["error"], row["attempts"]) == (404, "model_not_found", 0)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{not json", None),
        (b"[]", None),
        (b'"text"', None),
        (b"\xff\xfe{}", None),
        (b"[" * 100_000, None),
        (b"", None),
        (b'{"messages":[{"role":"user","content":"hi"}]}', "model"),
        (b'{"model":5,"messages":[{"role":"user","content":"hi"}]}', "model"),
        (b'{"model":"gpt-4o-mini"}', "messages"),
        (b'{"model":"gpt-4o-mini","messages":[]}', "messages"),
        (b'{"model":"gpt-4o-mini","messages":"hi"}', "messages"),
        (b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}],"stream":"yes"}', "stream"),
        (
            b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}],"force_tier":"bogus"}',
            "force_tier",
        ),
    ],
)
def test_malformed_bodies_are_400(http: httpx.Client, body: bytes, param: str | None) -> None:
    """A body that is no call is a 400 that names the field, in both dialects, and never a 500. # D-05"""
    for path in ("/v1/chat/completions", "/v1/messages"):
        reply = http.post(path, content=body)
        assert reply.status_code == 400, reply.text
        assert reply.json()["error"]["message"]
        if param and path == "/v1/chat/completions":
            assert reply.json()["error"]["param"] == param


def test_huge_body_is_413(http: httpx.Client) -> None:
    """A 50 MB body is refused with 413, told by its length or found out on the way."""
    for path, kind in (("/v1/chat/completions", "code"), ("/v1/messages", "type")):
        told = http.post(path, content=b" " * 50_000_000)
        found = http.post(path, content=iter([b" " * 1_000_000] * 50))
        for reply in (told, found):
            assert reply.status_code == 413
            assert "request_too_large" in reply.json()["error"][kind]


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_upstream_errors_pass_to_the_openai_sdk(
    status: int, raised: type[openai.APIStatusError], chat, fake_openai: FakeOpenAI, gateway: RunningGateway
) -> None:
    """An upstream's error keeps its status, its body and `retry-after`, and costs nothing."""
    fake_openai.behave(status=status)
    with pytest.raises(raised) as caught:
        chat.create(**CHAT)
    assert caught.value.status_code == status
    assert caught.value.response.headers["x-request-id"].startswith("req_fake")
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "7"
    [row] = gateway.requests()
    assert (row["status"], row["cost"]) == (status, 0)


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, anthropic.BadRequestError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)
def test_upstream_errors_pass_to_the_anthropic_sdk(
    status: int, raised: type[anthropic.APIStatusError], messages, fake_anthropic: FakeAnthropic
) -> None:
    """Anthropic's errors reach its SDK as they are, also in front of a stream."""
    for stream in (False, True):
        fake_anthropic.behave(status=status)
        with pytest.raises(raised) as caught:
            messages.create(**MESSAGES, stream=stream)
        assert caught.value.status_code == status


def test_errors_are_translated_between_dialects(
    gateway: RunningGateway, fake_anthropic: FakeAnthropic
) -> None:
    """An Anthropic 429 behind an OpenAI caller is OpenAI's RateLimitError with the upstream's words."""
    fake_anthropic.behave(status=429)
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="claude-sonnet-4-6", messages=HI)
    assert "anthropic" in caught.value.message


def test_plain_answer_that_is_none_is_502(messages, gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """A good status over a body that is no answer raises InternalServerError in a translated caller, and is billed."""
    fake_openai.behave(raw=b"<html>Welcome to the proxy</html>", raw_type="text/html")
    with pytest.raises(anthropic.InternalServerError) as caught:
        messages.create(**MESSAGES | {"model": "gpt-4o-mini"})
    assert caught.value.status_code == 502
    [row] = gateway.requests()
    assert (row["status"], row["error"], row["estimated"]) == (502, "upstream_error", 1)


def test_fault_of_our_own_leaves_no_attempt_open(
    http: httpx.Client, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that nobody foresaw is a 500 for the caller and a settled row in the ledger."""

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(OpenAIChat, "read", fail)
    assert http.post("/v1/chat/completions", json=CHAT).status_code == 500
    [row] = gateway.requests()
    assert (row["status"], row["error"], row["estimated"]) == (500, "internal_error", 1)
    assert gateway.attempts()[0]["state"] == "settled"


def test_upstream_silence_is_504(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """An upstream that says nothing for its timeout is a 504, charged by estimate."""
    fake_openai.behave(hang=True)
    quiet = upstream("openai", fake_openai.url + "/v1", timeout=0.3)
    with RunningGateway(tmp_path, [quiet]) as gateway:
        client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0)
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(**CHAT)
        assert caught.value.status_code == 504
        [row] = gateway.requests()
        assert row["error"] == "upstream_timeout"
        assert row["estimated"]
        assert row["cost"] > 0


def test_upstream_that_is_not_there_is_502_and_free(tmp_path: Path) -> None:
    """When nothing listens at the upstream's address the caller hears 502 and the hold is released."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with RunningGateway(tmp_path, [upstream("openai", url)]) as gateway:
            reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CHAT)
            assert reply.status_code == 502
            assert reply.json()["error"]["code"] == "upstream_unreachable"
            [attempt] = gateway.attempts()
            assert (attempt["state"], attempt["cost"]) == ("released", 0)


@pytest.mark.parametrize("after", [1, 3])
def test_cut_stream_ends_in_an_error_event(
    after: int,
    chat,
    messages,
    fake_openai: FakeOpenAI,
    fake_anthropic: FakeAnthropic,
    gateway: RunningGateway,
) -> None:
    """A stream the upstream cuts raises APIError in both SDKs; what was delivered is billed."""
    fake_openai.behave(cut_after=after)
    with pytest.raises(openai.APIError):
        list(chat.create(**CHAT, stream=True))
    fake_anthropic.behave(cut_after=after + 2)
    with pytest.raises(anthropic.APIError):
        list(messages.create(**MESSAGES, stream=True))
    for row in gateway.requests():
        assert row["error"] == "upstream_error"
        assert row["estimated"]
        assert row["cost"] > 0


def test_caller_who_leaves_cancels_the_upstream(
    gateway: RunningGateway, http: httpx.Client, fake_openai: FakeOpenAI
) -> None:
    """Hanging up mid-stream ends the upstream's work at once, and what was delivered is billed. # D-02"""
    fake_openai.default = Behaviour(text="word " * 200, chunk_delay=0.02)
    with http.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as reply:
        lines = reply.iter_lines()
        for _ in range(9):
            next(lines)
    wait_until(lambda: fake_openai.cancelled == 1)
    wait_until(lambda: len(gateway.requests()) == 1)
    [row] = gateway.requests()
    assert (row["status"], row["error"]) == (499, "cancelled")
    assert 0 < row["output_tokens"] < 150


def test_caller_who_leaves_a_plain_call_cancels_it_too(
    gateway: RunningGateway, fake_openai: FakeOpenAI
) -> None:
    """Hanging up while waiting for a plain reply cancels the upstream and leaves a billed row."""
    fake_openai.behave(latency=5)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CHAT, timeout=0.3)
    wait_until(lambda: fake_openai.cancelled == 1)
    wait_until(lambda: len(gateway.requests()) == 1)
    assert gateway.attempts()[0]["state"] == "settled"


def test_unknown_paths_and_methods_answer_in_json(http: httpx.Client) -> None:
    """What is not there is a JSON 404 or 405 that says so, a websocket upgrade included."""
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/chat/completions", 404),
    ):
        reply = http.request(method, path)
        assert reply.status_code == status
        assert reply.json()["error"]["message"]
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "x",
        "sec-websocket-version": "13",
    }
    assert http.get("/v1/responses", headers=upgrade).status_code == 404


def wait_until(fact, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
