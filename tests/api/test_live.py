"""A call under way can be seen, read as it is written, and ended from outside."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream
from support.watching import Watching

from llmgw.config.caching import Cache, SemanticCache
from llmgw.service import pulsing
from llmgw.storage.kills import Kills

HI = [{"role": "user", "content": "hi"}]
WORDS = "The quick brown fox jumps over the lazy dog and then some more words follow it. " * 4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second for each second between two pulses."""
    monkeypatch.setattr(pulsing, "SECOND", 0.1)


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def anthropic() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, fake: FakeOpenAI, anthropic: FakeAnthropic) -> Iterator[RunningGateway]:
    upstreams = [
        upstream("openai", fake.url + "/v1", models=("gpt-4o-mini",)),
        upstream("anthropic", anthropic.url + "/v1", models=("claude-sonnet-5",)),
        upstream("ollama", fake.url + "/v1", kind="openai", slots=1, models=("small",)),
    ]
    prices = {"openai/*": {"input": 2.0, "output": 6.0}}
    with RunningGateway(tmp_path, upstreams, prices=prices) as running:
        yield running


class Caller:
    """A stream that is read in a thread; ``body`` is all that came of it."""

    def __init__(self, gateway: RunningGateway, model: str = "openai/gpt-4o-mini", **more: Any) -> None:
        self._given = {"model": model, "messages": HI, "stream": True} | more
        self._gateway = gateway
        self.body, self.status = "", 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        url = self._gateway.url + "/v1/chat/completions"
        headers = self._gateway.auth
        with httpx.stream("POST", url, headers=headers, json=self._given, timeout=30) as reply:
            self.status = reply.status_code
            for text in reply.iter_text():
                self.body += text


def under_way(watching: Watching, count: int = 1) -> list[Any]:
    watching.wait(lambda each: len(each.picture.under_way) == count)
    return list(watching.picture.under_way)


def events(gateway: RunningGateway, path: str) -> list[Any]:
    found = []
    with httpx.stream("GET", gateway.url + path, headers=gateway.auth, timeout=20) as reply:
        assert reply.status_code == 200, reply.read()
        found += [json.loads(line[6:]) for line in reply.iter_lines() if line.startswith("data: ")]
    return found


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "anthropic/claude-sonnet-5"])
def test_read_as_it_is_written(
    gateway: RunningGateway, fake: FakeOpenAI, anthropic: FakeAnthropic, model: str
) -> None:
    """Whoever watches a stream under way reads all of it, in pieces, also of a translated one, and how it ended."""
    for server in (fake, anthropic):
        server.behave(text=WORDS, chunk_delay=0.02)
    with Watching(gateway.url, gateway.auth) as watching:
        caller = Caller(gateway, model)
        (call,) = under_way(watching)
        assert (call.key, call.stream, f"{call.provider}/{call.model}") == ("gateway-secret", True, model)
        told = events(gateway, f"/admin/requests/{call.id}/live")
        caller.thread.join()
        assert len(told) > 3
        assert "".join(each["text"] for each in told[:-1]) == WORDS
        assert told[-1] == {"type": "end", "status": 200, "error": ""}
        watching.wait(lambda each: not each.picture.under_way)
    written = [call.output_tokens for beat in watching.beats for call in getattr(beat, "under_way", ())]
    assert written == sorted(written)
    assert written[-1] > 0


def test_what_is_private_is_masked(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """Keys, addresses and long numbers are masked, also where a chunk ends within them; no flag lifts that here."""
    secrets = ["sk-ant-api03-abcdefgh", "anna@example.com", "4111 1111 1111 1111", "Bearer abcdefghijk"]
    text = "".join(f"this is {each} and not said aloud. " for each in secrets)
    fake.behave(text=text, chunk_delay=0.02)
    with Watching(gateway.url, gateway.auth) as watching:
        caller = Caller(gateway)
        (call,) = under_way(watching)
        refused = httpx.get(f"{gateway.url}/admin/requests/{call.id}/live?redact=false", headers=gateway.auth)
        assert refused.status_code == 403
        told = "".join(each.get("text", "") for each in events(gateway, f"/admin/requests/{call.id}/live"))
        caller.thread.join()
    assert told == "this is **** and not said aloud. " * 4


def test_unmasked_where_answers_are_kept(tmp_path: Path, fake: FakeOpenAI) -> None:
    """Where the caches may keep an answer it can be read as it is."""
    cache = Cache(semantic=SemanticCache(mode="off"))
    fake.behave(text="mail anna@example.com " * 20, chunk_delay=0.02)
    with (
        RunningGateway(tmp_path, [upstream("openai", fake.url + "/v1")], cache=cache) as gateway,
        Watching(gateway.url, gateway.auth) as watching,
    ):
        Caller(gateway)
        (call,) = under_way(watching)
        told = events(gateway, f"/admin/requests/{call.id}/live?redact=false")
        assert "".join(each.get("text", "") for each in told) == "mail anna@example.com " * 20


def test_nothing_to_read(gateway: RunningGateway) -> None:
    """Of what is not under way there is nothing to read."""
    for name in ("req_0000000000000", "nonsense"):
        reply = httpx.get(f"{gateway.url}/admin/requests/{name}/live", headers=gateway.auth)
        assert reply.status_code == 404


def test_ended_from_outside(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """A request that is ended stops at once: its caller gets an error event, what was written is billed, no switch stays."""
    fake.behave(text=WORDS, chunk_delay=0.02, hang_after=20)
    with Watching(gateway.url, gateway.auth) as watching:
        caller = Caller(gateway)
        under_way(watching)
        fake.behave(text=WORDS, chunk_delay=0.02)
        other = Caller(gateway)
        mine, _ = under_way(watching, 2)
        began = time.monotonic()
        done = httpx.delete(
            f"{gateway.url}/admin/requests/{mine.id}",
            params={"reason": "it goes in circles"},
            headers=gateway.auth,
        )
        assert done.status_code == 200, done.text
        assert time.monotonic() - began < 2
        ended = done.json()
        assert (ended["id"], ended["status"], ended["error"]["code"]) == (mine.id, 503, "ended")
        assert ended["cost_nanousd"] > 0
        assert ended["usage"]["output_tokens"] > 0
        assert ended["usage"]["estimated"]
        again = httpx.delete(f"{gateway.url}/admin/requests/{mine.id}", headers=gateway.auth)
        assert again.status_code == 409
        for each in (caller, other):
            each.thread.join(15)
    assert "[DONE]" in other.body
    assert "this request was ended by" in caller.body
    assert "it goes in circles" in caller.body
    assert caller.body.endswith("\n\n")
    with gateway.control as control:
        assert Kills(control).list() == ()


def test_ended_for_an_sdk(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """The caller's own SDK raises the error."""
    fake.behave(text=WORDS, chunk_delay=0.02, hang_after=5)
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0)
    with Watching(gateway.url, gateway.auth) as watching:
        stream = client.chat.completions.create(model="openai/gpt-4o-mini", messages=HI, stream=True)  # type: ignore[call-overload]
        next(stream)
        (call,) = under_way(watching)
        httpx.delete(f"{gateway.url}/admin/requests/{call.id}", headers=gateway.auth)
        with pytest.raises(openai.APIError, match="this request was ended"):
            list(stream)


def test_in_line(gateway: RunningGateway, fake: FakeOpenAI) -> None:
    """A call that waits for a slot is told with its place, and its upstream with who waits."""
    fake.behave(text=WORDS, chunk_delay=0.02)
    with Watching(gateway.url, gateway.auth) as watching:
        callers = [Caller(gateway, "ollama/small") for _ in range(3)]
        watching.wait(lambda each: len([call for call in each.picture.under_way if call.place]) == 2)
        assert [call.place for call in watching.picture.under_way] == [None, 1, 2]
        ollama = next(each for each in watching.picture.standing.upstreams if each.name == "ollama")
        assert (ollama.in_flight, ollama.waiting, ollama.slots) == (1, 2, 1)
        for caller in callers:
            caller.thread.join(20)
        watching.wait(lambda each: not each.picture.under_way)
