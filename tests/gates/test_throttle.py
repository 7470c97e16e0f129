"""Limits on callers and on targets: exact refusals, nothing leaks, nobody is refused below a limit. # D-19 A-25"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx
import openai
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway, upstream

from llmgw.domain.clock import Clock
from llmgw.domain.identity import Key
from llmgw.domain.limit import Limit, Measure
from llmgw.domain.route import Target, Tier
from llmgw.domain.scope import parse_scope
from llmgw.errors import RateLimited
from llmgw.gates.throttle import Throttle, throttle, throttle_target
from llmgw.storage.limits import Limits

HI: list[Any] = [{"role": "user", "content": "hi"}]
CHAT = {"model": "gpt-4o-mini", "messages": HI}
SECOND = 10**9
ALIASES = {"either": ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-6")}


def limit(scope: str, amount: int, measure: str) -> Limit:
    return Limit(scope=parse_scope(scope), measure=Measure(measure), amount=amount)


def at_once(waiting: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that need not wait for anything."""
    try:
        waiting.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


class Gate:
    """The gate alone, with a clock that stands until it is moved."""

    def __init__(self, *limits: Limit, defaults: tuple[Limit, ...] = ()) -> None:
        self.now = 10**18
        self.limits = list(limits)
        self.version = 1
        clock = Clock(lambda: self.now, lambda: self.now)
        throttle = Throttle(lambda: tuple(self.limits), lambda: self.version, clock, defaults, wait=0)
        self.gateway: Any = SimpleNamespace(limits=throttle, clock=clock)

    def call(self, key: str = "ci", dialect: str = "openai_chat", **who: Any) -> Any:
        """One call let through; RateLimited where it is not."""
        peek = SimpleNamespace(
            prompt_bytes=who.pop("prompt", 400), attachments=0, max_tokens=who.pop("most", 100), n=1
        )
        tags = who.pop("tags", "")
        call = SimpleNamespace(
            key=Key(id=hash((key, *who.items())), name=key, hash=b"", **who),
            tags=tags,
            peek=peek,
            lease=None,
            dialect=SimpleNamespace(name=dialect),
        )
        at_once(throttle(self.gateway, call))  # type: ignore[arg-type]
        return call

    def refused(self, **who: Any) -> RateLimited:
        with pytest.raises(RateLimited) as caught:
            self.call(**who)
        return caught.value


def test_the_61st_request_in_a_minute() -> None:
    """Sixty pass, the next hears one second in both headers, who is limited to what, and the command; then it passes."""
    gate = Gate(limit("all", 60, "rpm"))
    for _ in range(60):
        gate.call()
    error = gate.refused()
    told = dict(error.headers)
    assert (told["retry-after"], told["retry-after-ms"]) == ("1", "1000")
    assert told["x-ratelimit-limit-requests"] == "60"
    assert told["x-ratelimit-remaining-requests"] == "0"
    assert told["x-ratelimit-reset-requests"] == "1m0s"
    assert error.message == "all is limited to 60 requests a minute; there is room again in 1 s"
    assert error.hint == "raise it with `llmgw limit set all 120/rpm`"
    gate.now += SECOND * 6 // 10
    assert dict(gate.refused().headers)["retry-after-ms"] == "400"
    gate.now += SECOND * 4 // 10
    gate.call()


def test_anthropic_callers_hear_their_own_headers() -> None:
    """The same refusal names its limits as Anthropic does, with moments instead of spans."""
    gate = Gate(limit("all", 1, "rpm"), limit("all", 1000, "tpm"))
    gate.call()
    told = dict(gate.refused(dialect="anthropic").headers)
    assert told["anthropic-ratelimit-requests-remaining"] == "0"
    assert told["anthropic-ratelimit-tokens-limit"] == "1000"
    assert told["anthropic-ratelimit-tokens-remaining"] == "800"
    assert told["anthropic-ratelimit-requests-reset"] == "2001-09-09T01:47:40Z"


@pytest.mark.parametrize(
    ("scope", "one", "other"),
    [
        ("key:ci", {"key": "ci"}, {"key": "nightly"}),
        ("user:alice", {"user": "alice"}, {"user": "bob"}),
        ("tenant:ml", {"tenant": "ml"}, {"tenant": "web"}),
        ("tag:batch", {"tags": "a,batch"}, {"tags": "a"}),
    ],
)
def test_others_are_not_limited(scope: str, one: dict[str, str], other: dict[str, str]) -> None:
    """A limit counts whom it is about and nobody else, and all of them together."""
    gate = Gate(limit(scope, 2, "rpm"))
    for _ in range(2):
        gate.call(**one)
    gate.refused(**one)
    for _ in range(50):
        gate.call(**other)


def test_two_users_are_independent() -> None:
    """Each of two limited users has all of their own limit. # A-25"""
    gate = Gate(limit("user:alice", 3, "rpm"), limit("user:bob", 3, "rpm"))
    for user in ("alice", "bob"):
        for _ in range(3):
            gate.call(user=user, key=user)
        gate.refused(user=user, key=user)


def test_a_refused_call_takes_nothing() -> None:
    """Where one of several limits refuses, the others still have all of their room, and the longest wait is told."""
    gate = Gate(limit("all", 10, "rpm"), limit("key:ci", 1, "rpm"), limit("user:u", 100_000, "tpm"))
    gate.call(user="u")
    for _ in range(100):
        assert dict(gate.refused(user="u").headers)["retry-after"] == "60"
    for _ in range(9):
        gate.call(key="other", user="u")
    gate.refused(key="other")


def test_a_prompt_larger_than_a_limit_is_told_so() -> None:
    """A call that no waiting would help is not told to wait, and its SDK not to try again."""
    error = Gate(limit("key:ci", 1000, "tpm")).refused(prompt=40_000)
    told = dict(error.headers)
    assert told["x-should-retry"] == "false"
    assert "retry-after" not in told
    assert "this prompt alone has about 10,000" in error.message
    assert error.hint is not None
    assert "`llmgw limit set key:ci 20000/tpm`" in error.hint


def test_tokens_not_used_come_back() -> None:
    """A call counts at first with all it may write, and with what it wrote once that is known."""
    gate = Gate(limit("key:ci", 1000, "tpm"))
    call = gate.call(most=900)
    gate.refused(most=900)
    call.lease.close(150)
    gate.call(most=750)
    gate.refused(most=1, prompt=4)


def test_changes_count_on_the_next_call_and_keep_what_is_in_use() -> None:
    """A limit that is set, changed or removed is in force with the next call; the others keep their counts."""
    gate = Gate()
    gate.call()
    gate.limits, gate.version = [limit("all", 2, "rpm"), limit("key:ci", 2, "concurrency")], 2
    first = gate.call()
    gate.call()
    gate.refused()
    gate.limits, gate.version = [limit("all", 100, "rpm"), limit("key:ci", 2, "concurrency")], 3
    assert "2 calls at one time" in gate.refused().message
    first.lease.close(0)
    gate.call()
    gate.limits, gate.version = [], 4
    gate.call()


def test_what_the_configuration_declares_gives_way() -> None:
    """A default holds until a limit of that scope and measure is set, and again when it is removed."""
    gate = Gate(defaults=(limit("all", 1, "rpm"),))
    gate.call()
    gate.refused()
    gate.limits, gate.version = [limit("all", 3, "rpm")], 2
    gate.call()
    gate.call()
    gate.refused()
    gate.limits, gate.version = [], 3
    assert "limited to 1 requests" in gate.refused().message


def test_ninety_per_cent_of_every_limit_sees_no_refusal() -> None:
    """20,000 calls a little below five limits at once, with up to nineteen under way: not one is refused."""
    limits = [
        limit("all", 120, "rpm"),
        limit("tenant:ml", 172_800, "rpd"),
        limit("user:u", 100_000, "tpm"),
        limit("key:ci", 144_000_000, "tpd"),
        limit("provider:openai", 21, "concurrency"),
    ]
    gate = Gate(*limits)
    target = Target("openai", "gpt-4o-mini", Tier.CHEAP)
    chance = random.Random(7)
    running: list[tuple[int, list[Any]]] = []
    for _ in range(20_000):
        gate.now += 60 * SECOND // 108
        for lease in [lease for end, leases in running if end <= gate.now for lease in leases]:
            lease.close(800)
        running = [each for each in running if each[0] > gate.now]
        call = gate.call(user="u", tenant="ml", prompt=2000, most=4096)
        lease = at_once(throttle_target(gate.gateway, call, target))
        running.append((gate.now + chance.randrange(SECOND, 10 * SECOND), [call.lease, lease]))


def test_without_limits_nothing_is_counted() -> None:
    """A gateway without limits takes no lease for a caller or a target."""
    gate = Gate()
    call = gate.call()
    assert call.lease is None
    assert at_once(throttle_target(gate.gateway, call, Target("openai", "x", Tier.CHEAP))) is None


@pytest.fixture
def gateway(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> Iterator[RunningGateway]:
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",), timeout=1),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    with RunningGateway(tmp_path, upstreams, ALIASES) as running:
        yield running


def set_limits(gateway: RunningGateway, *limits: Limit) -> None:
    with gateway.control as control:
        Limits(control).set(*limits)


def ask(gateway: RunningGateway, token: str = "", **fields: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {token or gateway.token}"}
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=CHAT | fields, timeout=10)


def test_both_sdks_raise_rate_limit_error(gateway: RunningGateway) -> None:
    """OpenAI's and Anthropic's SDK raise RateLimitError with the wait; the refusal is in the ledger. # D-19"""
    set_limits(gateway, limit("all", 1, "rpd"))
    assert ask(gateway).status_code == 200
    with (
        openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0) as client,
        pytest.raises(openai.RateLimitError) as one,
    ):
        client.chat.completions.create(**CHAT)
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0) as claude,
        pytest.raises(anthropic.RateLimitError) as two,
    ):
        claude.messages.create(model="claude-sonnet-4-6", max_tokens=5, messages=HI)
    assert one.value.code == "rate_limited"
    assert two.value.response.json()["error"]["type"] == "rate_limit_error"
    for caught in (one, two):
        assert 86_390 <= int(caught.value.response.headers["retry-after"]) <= 86_400
        assert "all is limited to 1 requests a day; there is room again in 24 h" in caught.value.message
    assert one.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert two.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert [row["error"] for row in gateway.requests()] == ["", "rate_limited", "rate_limited"]


def test_an_sdk_that_waits_as_told_gets_through(gateway: RunningGateway) -> None:
    """The wait of the refusal is enough: with one retry the SDK's second call answers, not before."""
    set_limits(gateway, limit("all", 60, "rpm"), limit("key:gateway-secret", 120, "rpm"))
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=1) as client:
        start = time.monotonic()
        for _ in range(62):
            client.chat.completions.create(**CHAT)
        assert time.monotonic() - start > 1


def test_two_keys_are_independent(gateway: RunningGateway) -> None:
    """One key at its limit leaves the other all of its own."""
    with gateway.control as control:
        _, one = control.create("one")
        _, two = control.create("two")
    set_limits(gateway, limit("key:one", 2, "rpd"), limit("key:two", 2, "rpd"))
    for token in (one, two):
        assert [ask(gateway, token).status_code for _ in range(3)] == [200, 200, 429]


def test_what_was_measured_counts(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """Tokens are charged as the upstream reported them, plain and streamed, and unused ones come back. # E-07"""
    set_limits(gateway, limit("all", 5000, "tpd"))
    for stream in (False, True):
        fake_openai.behave(input_tokens=1000, output_tokens=1000)
        assert ask(gateway, stream=stream, max_tokens=2900).status_code == 200
    reply = ask(gateway, max_tokens=2900)
    assert reply.status_code == 429
    assert reply.headers["x-ratelimit-remaining-tokens"] == "1000"
    assert ask(gateway, max_tokens=900).status_code == 200


def test_a_target_at_its_limit_is_passed_over(
    gateway: RunningGateway, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """Past a provider's limit the next target answers; where every target is at its limit the caller hears 429."""
    set_limits(
        gateway, limit("provider:openai", 1, "rpd"), limit("model:anthropic/claude-sonnet-4-6", 1, "rpd")
    )
    targets = [ask(gateway, model="either").headers["x-llmgw-target"] for _ in range(2)]
    assert targets == ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-6"]
    reply = ask(gateway, model="either")
    assert reply.status_code == 429
    assert "model:anthropic/claude-sonnet-4-6 is limited to 1 requests a day" in reply.text
    assert (len(fake_openai.requests), len(fake_anthropic.requests)) == (1, 1)
    assert [row["status"] for row in gateway.requests()] == [200, 200, 429]


def test_a_limit_behind_a_failure_is_recorded(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """A call whose first target failed and whose second is at its limit ends in one row with its attempt."""
    set_limits(gateway, limit("provider:anthropic", 1, "rpd"))
    assert ask(gateway, model="claude-sonnet-4-6").status_code == 200
    fake_openai.behave(status=500)
    assert ask(gateway, model="either").status_code == 429
    last = gateway.requests()[-1]
    assert (last["status"], last["error"], last["attempts"]) == (429, "rate_limited", 1)


def test_no_slot_leaks(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """After 200 calls that were cancelled, cut, failed, hung or answered all four slots of two scopes are free."""
    set_limits(gateway, limit("all", 4, "concurrency"), limit("provider:openai", 4, "concurrency"))
    chance = random.Random(1)
    kinds: list[dict[str, Any]] = [
        {},
        {"status": 500},
        {"cut_after": 0},
        {"cut_after": 2},
        {"error_after": 1},
        {"hang_after": 1},
        {"latency": 0.3},
        {"raw": b"nonsense", "raw_type": "text/html"},
    ]
    for _ in range(200):
        fake_openai.behave(**chance.choice(kinds))

    async def worker(client: httpx.AsyncClient, calls: int) -> None:
        for _ in range(calls):
            with suppress(httpx.HTTPError):
                await client.post(
                    "/v1/chat/completions",
                    json=CHAT | {"stream": chance.random() < 0.6},
                    timeout=chance.choice([0.03, 0.1, 5]),
                )

    async def work() -> list[int]:
        async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.auth) as client:
            await asyncio.gather(*(worker(client, 25) for _ in range(8)))
            await asyncio.sleep(1.2)  # those who hung up are noticed
            fake_openai._next.clear()
            fake_openai.default = Behaviour(latency=0.5)
            replies = await asyncio.gather(
                *(client.post("/v1/chat/completions", json=CHAT, timeout=10) for _ in range(5))
            )
            return sorted(reply.status_code for reply in replies)

    assert asyncio.run(work()) == [200, 200, 200, 200, 429]


def test_day_limits_survive_a_restart(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """What was used of a day's requests and tokens is still used after a restart; refused calls do not count."""

    def start() -> RunningGateway:
        return RunningGateway(tmp_path, [upstream("openai", fake_openai.url + "/v1")])

    with start() as gateway:
        with gateway.control as control:
            Limits(control).set(limit("all", 3, "rpd"), limit("model:gpt-4o-mini", 150, "tpd"))
        assert [ask(gateway, max_tokens=20).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    with start() as gateway:
        assert ask(gateway).status_code == 429
        with gateway.control as control:
            Limits(control).set(limit("all", 4, "rpd"))
        assert ask(gateway, max_tokens=40).status_code == 200
        with gateway.control as control:
            Limits(control).remove(parse_scope("all"))
        assert ask(gateway, max_tokens=100).status_code == 429
