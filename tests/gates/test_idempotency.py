"""The same request under the same key is answered once, whatever happens in between. # D-12"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.caches import CHAT, Cached, options
from support.fake_server import Behaviour

from llmgw.config.caching import Cache, ExactCache, SemanticCache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.fake_anthropic import FakeAnthropic
    from support.fake_openai import FakeOpenAI

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
ALONE = Cache(exact=ExactCache(enabled=False), semantic=SemanticCache(mode="off"))
"""Nothing but idempotency keys."""


@pytest.fixture
def gateway(tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic) -> Iterator[Cached]:
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=ALONE) as running:
        yield running


def keyed(key: str = "k1") -> dict[str, str]:
    return {"idempotency-key": key}


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"tools": TOOLS}, {"temperature": 2}], ids=str)
def test_the_same_request_again_gets_the_same_bytes(
    gateway: Cached, fake_openai: FakeOpenAI, more: dict[str, Any]
) -> None:
    """Plain, streamed, with tools and however sampled: one call, byte for byte the same answer, its id too."""
    first, second = gateway.chat(headers=keyed(), **more), gateway.chat(headers=keyed(), **more)
    assert first.content == second.content
    assert first.headers["content-type"] == second.headers["content-type"]
    assert "x-llmgw-idempotent-replay" not in first.headers
    assert second.headers["x-llmgw-idempotent-replay"] == "true"
    assert len(fake_openai.chats) == 1
    row = gateway.requests()[-1]
    assert (row["cache"], row["cost"], row["status"], row["attempts"]) == ("exact", 0, 200, 0)


def test_the_key_may_stand_in_the_body(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """S3's own field does what the header does."""
    answers = [gateway.chat(idempotency_key="k1") for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert "idempotency_key" not in fake_openai.chats[0].json
    assert len(fake_openai.chats) == 1


@pytest.mark.parametrize("dialect", ["chat", "message"])
def test_another_request_under_the_same_key_is_a_conflict(gateway: Cached, dialect: str) -> None:
    """It is refused in the caller's dialect, and the first answer stays."""
    ask = getattr(gateway, dialect)
    first = ask("one", headers=keyed())
    refused = ask("two", headers=keyed())
    assert refused.status_code == 409
    assert "idempotency key" in refused.json()["error"]["message"]
    assert ("type" in refused.json()) == (dialect == "message")
    assert ask("one", headers=keyed()).content == first.content


def test_twins_at_one_time_are_one_call(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """Ten at once wait for the one that is made; a different body among them is refused at once."""
    fake_openai.default = Behaviour(latency=0.3)

    async def crowd() -> list[httpx.Response]:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        async with httpx.AsyncClient(timeout=20) as client:
            headers = gateway.auth | keyed()
            twins = [client.post(gateway.url + CHAT, json=body, headers=headers) for _ in range(10)]
            other = client.post(gateway.url + CHAT, json=body | {"seed": 1}, headers=headers)
            return await asyncio.gather(*twins, other)

    *twins, other = asyncio.run(crowd())
    assert other.status_code == 409
    assert len({each.content for each in twins}) == 1
    assert len(fake_openai.chats) == 1


@pytest.mark.parametrize("how", [{"status": 500}, {"status": 502}, {"cut_after": 2}], ids=str)
def test_a_failure_is_not_kept(gateway: Cached, fake_openai: FakeOpenAI, how: dict[str, Any]) -> None:
    """After an error of the upstream, or half a stream, the key is free for another try."""
    fake_openai.behave(**how)
    stream = "cut_after" in how
    gateway.chat(stream=stream, headers=keyed())
    assert gateway.chat(stream=stream, headers=keyed()).status_code == 200
    again = gateway.chat(stream=stream, headers=keyed())
    assert again.headers["x-llmgw-idempotent-replay"] == "true"
    assert len(fake_openai.chats) == 2


def test_what_the_upstream_refuses_for_good_is_kept(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """A fault of the request itself comes back as it was."""
    fake_openai.behave(status=400)
    answers = [gateway.chat(headers=keyed()) for _ in range(2)]
    assert [each.status_code for each in answers] == [400, 400]
    assert answers[0].content == answers[1].content
    assert len(fake_openai.chats) == 1


def test_a_twin_goes_on_when_the_first_fails(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """Whoever waited for a call that failed makes it."""
    fake_openai.default = Behaviour(latency=0.2)
    fake_openai.behave(status=500, latency=0.2)

    async def two() -> list[httpx.Response]:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        async with httpx.AsyncClient(timeout=20) as client:
            headers = gateway.auth | keyed()
            return await asyncio.gather(
                *(client.post(gateway.url + CHAT, json=body, headers=headers) for _ in range(3))
            )

    statuses = sorted(each.status_code for each in asyncio.run(two()))
    assert statuses[:2] == [200, 200]
    assert statuses[2] >= 500
    assert len(fake_openai.chats) == 2


def test_answers_survive_a_restart(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """The next process still knows the key."""
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=ALONE) as gateway:
        first = gateway.chat(headers=keyed())
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=ALONE) as gateway:
        assert gateway.chat(headers=keyed()).content == first.content
    assert len(fake_openai.chats) == 1


def test_each_tenant_has_its_own_keys(gateway: Cached, fake_openai: FakeOpenAI) -> None:
    """The same key in another tenant is another key."""
    with gateway.control as control:
        other = control.create("other", tenant="other")[1]
    gateway.chat("one", headers=keyed())
    answer = gateway.chat("two", headers=keyed() | {"authorization": f"Bearer {other}"})
    assert answer.status_code == 200
    assert len(fake_openai.chats) == 2


def test_a_key_of_unreasonable_length_is_refused(gateway: Cached) -> None:
    """More than 255 characters are no key."""
    assert gateway.chat(headers=keyed("x" * 256)).status_code == 400


def test_a_remembered_answer_is_kept_under_a_key_too(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """With the exact cache on, a hit under a new key is repeated with that hit's own id."""
    with Cached(tmp_path, fake_openai, fake_anthropic, cache=options()) as gateway:
        gateway.chat()
        first, second = gateway.chat(headers=keyed()), gateway.chat(headers=keyed())
    assert first.headers["x-llmgw-cache"] == "exact"
    assert first.content == second.content
