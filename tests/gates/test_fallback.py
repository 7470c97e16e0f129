"""Targets are tried in order; each try is an attempt of its own in the ledger. # D-09 B-04"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

CALL = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
ALIASES = {"fast": ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-6")}


@pytest.fixture
def gateway(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> Iterator[RunningGateway]:
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",), timeout=0.3),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    with RunningGateway(tmp_path, upstreams, ALIASES) as running:
        yield running


@pytest.mark.parametrize(
    "failure", [{"status": 500}, {"status": 429}, {"status": 401}, {"hang": True}, {"cut_after": 0}]
)
@pytest.mark.parametrize("stream", [False, True])
def test_next_target_answers(
    failure: dict,
    stream: bool,
    gateway: RunningGateway,
    fake_openai: FakeOpenAI,
    fake_anthropic: FakeAnthropic,
) -> None:
    """Whatever ails the first target before its first byte, the second answers, and both attempts are recorded."""
    fake_openai.behave(**failure)

    reply = httpx.post(
        gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL | {"stream": stream}
    )

    assert reply.status_code == 200, reply.text
    assert reply.headers["x-llmgw-target"] == "anthropic/claude-sonnet-4-6"
    assert reply.headers["x-llmgw-fallbacks"] == "1"
    first, second = gateway.attempts()
    [row] = gateway.requests()
    assert (first["provider"], second["provider"], row["provider"]) == ("openai", "anthropic", "anthropic")
    assert second["state"] == "settled"
    assert row["attempts"] == 2
    assert row["cost"] == first["cost"] + second["cost"]
    if "status" in failure:
        assert (first["state"], first["cost"]) == ("released", 0)


def test_a_fault_of_the_request_is_not_tried_elsewhere(
    gateway: RunningGateway, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """A 400 about the request itself goes back to the caller at once."""
    fake_openai.behave(status=400)
    reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL)
    assert reply.status_code == 400
    assert fake_anthropic.requests == []
    assert len(gateway.attempts()) == 1


def test_no_second_target_once_a_byte_has_left(
    gateway: RunningGateway, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """A stream that breaks after its first chunk ends in an error: nothing is repeated to the caller."""
    fake_openai.behave(cut_after=2)
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0)
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**CALL, stream=True))
    assert fake_anthropic.requests == []


def test_all_targets_down_tells_the_last_failure(
    gateway: RunningGateway, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """When every target fails the caller hears the last one's failure, and nothing was charged."""
    fake_openai.behave(status=503)
    fake_anthropic.behave(status=529)
    reply = httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL)
    assert reply.status_code == 529
    [row] = gateway.requests()
    assert (row["status"], row["cost"], row["attempts"]) == (529, 0, 2)
