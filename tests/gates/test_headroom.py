"""Calls go where providers say there is room, and nobody hammers one that has said no."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.domain.money import NANO
from llmgw.domain.route import Target, Tier
from llmgw.errors import RateLimited, UpstreamRefused
from llmgw.gates.headroom import Headrooms
from llmgw.storage.headroom import read_headroom

PLENTY = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-remaining-tokens": "900",
    "x-ratelimit-reset-tokens": "6m0s",
}
FIRST, SECOND = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-6"


@pytest.fixture
def gateway(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> Iterator[RunningGateway]:
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    with RunningGateway(tmp_path, upstreams, {"fast": (FIRST, SECOND)}) as running:
        yield running


def ask(gateway: RunningGateway, model: str = "fast", text: str = "hi") -> httpx.Response:
    call: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    return httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=call, timeout=10)


def target(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    return reply.headers["x-llmgw-target"]


def test_a_target_that_refuses_is_passed_over(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """After a 429 with `retry-after` the next calls go elsewhere at once, and come back when its time is over."""
    fake_openai.behave(status=429, headers={"retry-after-ms": "1200"})
    assert target(ask(gateway)) == SECOND
    reply = ask(gateway)
    assert target(reply) == SECOND
    assert "x-llmgw-fallbacks" not in reply.headers
    assert len(fake_openai.chats) == 1
    time.sleep(1.2)
    assert target(ask(gateway)) == FIRST


def test_a_single_target_refuses_at_once_for_as_long_as_it_said(
    gateway: RunningGateway, fake_openai: FakeOpenAI
) -> None:
    """Where nobody else can answer the caller hears the rest of the provider's own wait, and nobody is asked."""
    fake_openai.behave(status=429, headers={"retry-after": "2"})
    first = ask(gateway, FIRST)
    assert (first.status_code, first.headers["retry-after"]) == (429, "2")
    time.sleep(0.5)
    refused = ask(gateway, FIRST)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "upstream_limited"
    assert refused.headers["retry-after"] == "2"
    assert 1000 < int(refused.headers["retry-after-ms"]) <= 1500
    assert len(fake_openai.chats) == 1
    time.sleep(int(refused.headers["retry-after-ms"]) / 1000)
    assert target(ask(gateway, FIRST)) == FIRST


def test_the_wait_in_words_counts(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """A provider that tells its wait only in the error's message is understood."""
    headers = {"retry-after": "", "x-ratelimit-remaining-requests": ""}
    fake_openai.behave(status=429, error="Rate limit reached. Please try again in 6m0s.", headers=headers)
    ask(gateway, FIRST)
    assert ask(gateway, FIRST).headers["retry-after"] == "360"


def test_without_a_wait_nobody_is_refused(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """A 429 that says nothing lets the others go first, but a single target is asked again."""
    headers = {"retry-after": "", "x-ratelimit-remaining-requests": ""}
    fake_openai.behave(status=429, error="Quota exceeded.", headers=headers)
    assert target(ask(gateway)) == SECOND
    assert target(ask(gateway)) == SECOND
    assert target(ask(gateway, FIRST)) == FIRST


def test_overloaded_is_no_rate_limit(gateway: RunningGateway, fake_anthropic: FakeAnthropic) -> None:
    """A 529 with `retry-after` sends others first; the single target is still asked."""
    fake_anthropic.behave(status=529, headers={"retry-after": "60"})
    assert ask(gateway, SECOND).status_code == 529
    assert target(ask(gateway, SECOND)) == SECOND


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, "hi"),
        ({"x-ratelimit-remaining-tokens": "100"}, "word " * 500),
    ],
    ids=["no request left", "too few tokens left"],
)
def test_what_is_used_up_is_asked_last(
    said: dict[str, str], text: str, gateway: RunningGateway, fake_openai: FakeOpenAI
) -> None:
    """A target whose rest is too little for a call gives way to the next, and answers where there is none."""
    fake_openai.behave(headers=PLENTY | said)
    assert target(ask(gateway)) == FIRST
    assert target(ask(gateway, text=text)) == SECOND
    assert target(ask(gateway, FIRST, text)) == FIRST
    fake_openai.behave(headers=PLENTY)
    assert target(ask(gateway, FIRST)) == FIRST
    assert target(ask(gateway)) == FIRST


def test_the_last_resort_is_asked(
    gateway: RunningGateway, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """When every other target fails, the one that had refused is asked after all."""
    fake_openai.behave(status=429, headers={"retry-after": "60"})
    assert target(ask(gateway)) == SECOND
    fake_anthropic.behave(status=500)
    assert target(ask(gateway)) == FIRST


def test_headroom_is_written_down(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """Within a second or two commands find what was heard; when the gateway ends nothing is left of it."""
    fake_openai.behave(headers=PLENTY)
    with RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1")]) as gateway:
        ask(gateway, FIRST)
        end = time.monotonic() + 5
        while not (found := read_headroom(gateway.database)):
            assert time.monotonic() < end
            time.sleep(0.05)
    [heard] = found
    assert (heard.provider, heard.model, heard.until) == ("openai", "gpt-4o-mini", 0)
    assert {each.kind: (each.remaining, each.limit) for each in heard.allowances} == {
        "requests": (59, 60),
        "tokens": (900, 1000),
    }
    assert read_headroom(gateway.database) == ()


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 10**18

    def now(self) -> int:
        return self.at

    tick = now


def parts(kind: str, authorization: bytes = b"") -> tuple[Any, Any, Any]:
    """A gateway, a call and an attempt as far as headroom looks at them."""
    place = SimpleNamespace(target=Target(kind, "m", Tier.PREMIUM), upstream=upstream(kind, "http://x"))
    call = SimpleNamespace(
        headers={b"authorization": authorization}, peek=SimpleNamespace(prompt_bytes=8, attachments=0)
    )
    return SimpleNamespace(clock=Time()), call, SimpleNamespace(destination=place, started=0)


def test_a_long_refusal_is_tried_again_once_a_minute() -> None:
    """An hour's wait is told in full, but a minute after the last word the provider is asked again."""
    gateway, call, attempt = parts("openai")
    known, target = Headrooms(), attempt.destination.target
    no = UpstreamRefused("no", status=429, headers=(("retry-after", "3600"),))
    known.refuse(gateway, call, attempt, no)
    gateway.clock.at += 59 * NANO
    with pytest.raises(RateLimited) as raised:
        known.order(gateway, call, (target,))
    assert dict(raised.value.headers)["retry-after"] == "3541"
    gateway.clock.at += NANO
    assert known.order(gateway, call, (target,)) == [target]
    known.refuse(gateway, call, attempt, no)
    with pytest.raises(RateLimited):
        known.order(gateway, call, (target,))


def test_a_late_answer_does_not_open_what_has_refused_since() -> None:
    """An answer to a call that left before the refusal came says nothing about now."""
    gateway, call, attempt = parts("openai")
    known, target = Headrooms(), attempt.destination.target
    attempt.started = gateway.clock.at
    gateway.clock.at += NANO
    known.refuse(gateway, call, attempt, UpstreamRefused("no", status=429, headers=(("retry-after", "9"),)))
    known.learn(gateway, call, attempt, [])
    with pytest.raises(RateLimited):
        known.order(gateway, call, (target,))
    attempt.started = gateway.clock.at + 1
    known.learn(gateway, call, attempt, [])
    assert known.order(gateway, call, (target,)) == [target]


def test_a_callers_own_sign_in_says_nothing_of_ours() -> None:
    """What Anthropic tells a caller who brought a Claude sign-in is about that person's limits."""
    gateway, call, attempt = parts("anthropic", b"Bearer sk-ant-oat01-someone")
    known = Headrooms()
    known.refuse(gateway, call, attempt, UpstreamRefused("no", status=429, headers=(("retry-after", "9"),)))
    known.learn(gateway, call, attempt, [("anthropic-ratelimit-requests-remaining", "0")])
    assert known.shown(gateway) == []


def test_anthropics_tokens_leave_out_its_cache() -> None:
    """A prompt longer than Anthropic's rest may come from its cache, so only a rest of nothing sends others first."""
    gateway, call, attempt = parts("anthropic")
    call.peek.prompt_bytes = 400_000
    known, other = Headrooms(), Target("openai", "m", Tier.PREMIUM)
    targets = (attempt.destination.target, other)
    reset = ("anthropic-ratelimit-tokens-reset", "2001-09-09T01:47:40Z")
    known.learn(gateway, call, attempt, [("anthropic-ratelimit-tokens-remaining", "30"), reset])
    assert known.order(gateway, call, targets) == list(targets)
    known.learn(gateway, call, attempt, [("anthropic-ratelimit-tokens-remaining", "0"), reset])
    assert known.order(gateway, call, targets) == [other, targets[0]]
    gateway.clock.at += 60 * NANO
    assert known.order(gateway, call, targets) == list(targets)
