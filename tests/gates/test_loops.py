"""An agent that repeats itself is paused, and nobody else is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream

from llmgw.domain.killswitch import Kill, Mode
from llmgw.rules.looping import Loops
from llmgw.storage.kills import Kills
from llmgw.storage.notices import Notices

TOOLS = [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]
CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "tools": TOOLS}
LOOPS = Loops(repeats=3, exempt=("bench-*",))


def running(home: Path, fake: FakeOpenAI, other: FakeAnthropic, loops: Loops = LOOPS) -> RunningGateway:
    upstreams = [
        upstream("openai", fake.url + "/v1", models=("gpt-4o-mini", "gpt-4o")),
        upstream("anthropic", other.url + "/v1", models=("claude-sonnet-4-6",)),
    ]
    return RunningGateway(home, upstreams, loops=loops)


@pytest.fixture
def gateway(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> Iterator[RunningGateway]:
    with running(tmp_path, fake_openai, fake_anthropic) as gateway:
        yield gateway


def ask(gateway: RunningGateway, token: str = "", *, headers: dict[str, str] | None = None, **changes: Any):
    sent = {"authorization": f"Bearer {token or gateway.token}"} | (headers or {})
    return httpx.post(gateway.url + "/v1/chat/completions", headers=sent, json=CALL | changes, timeout=10)


def statuses(count: int, *given: Any, **changes: Any) -> list[int]:
    return [ask(*given, **changes).status_code for _ in range(count)]


def pauses(gateway: RunningGateway) -> list[Any]:
    with gateway.control as control:
        return [kill for kill in Kills(control).list() if kill.mode is Mode.PAUSE]


def until(fact: Any) -> None:
    end = time.monotonic() + 5
    while not fact():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_loop_is_paused_and_said_once(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """The third repeat is refused with a way out, costs nothing, is shown as a pause and noticed once."""
    assert statuses(3, gateway) == [200] * 3
    refused = ask(gateway)
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert error["code"] == "loop_detected"
    assert "key:gateway-secret has sent the same call 4 times in a row" in error["message"]
    assert "llmgw kill off key:gateway-secret" in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert 0 < int(refused.headers["retry-after"]) <= 300
    assert statuses(5, gateway) == [429] * 5
    assert len(fake_openai.chats) == 3
    assert [row["error"] for row in gateway.requests()] == [""] * 3 + ["loop_detected"] * 6
    until(lambda: pauses(gateway))
    [pause] = pauses(gateway)
    assert (pause.scope, pause.by) == ("key:gateway-secret", "auto")
    with gateway.control as control:
        [notice] = Notices(control).list()
    assert notice.kind == "loop"
    assert "gateway-secret" in notice.message


def test_another_call_goes_on(gateway: RunningGateway) -> None:
    """While one call is paused every other call of its key passes, and then that one begins anew."""
    assert statuses(4, gateway) == [200, 200, 200, 429]
    assert ask(gateway, messages=[{"role": "user", "content": "something else" * 20}]).status_code == 200
    assert ask(gateway, model="gpt-4o").status_code == 200
    assert statuses(3, gateway) == [200] * 3


def test_the_command_lifts_a_pause(gateway: RunningGateway) -> None:
    """What `kill off key:NAME` writes lets the paused call through on its next try."""
    statuses(4, gateway)
    until(lambda: pauses(gateway))
    with gateway.control as control:
        Kills(control).remove("key:gateway-secret")
    until(lambda: ask(gateway).status_code == 200)


def test_the_header_lifts_a_pause(gateway: RunningGateway) -> None:
    """`x-llmgw-continue: true` passes, lifts the pause, and means every call that bears it."""
    statuses(4, gateway)
    until(lambda: pauses(gateway))
    assert statuses(8, gateway, headers={"x-llmgw-continue": "true"}) == [200] * 8
    until(lambda: not pauses(gateway))


def test_a_pause_ends_by_itself(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """After its minutes the same call passes again and no pause is shown any more."""
    loops = Loops(repeats=3, pause_minutes=0.01)
    with running(tmp_path, fake_openai, fake_anthropic, loops) as gateway:
        assert statuses(4, gateway) == [200, 200, 200, 429]
        until(lambda: pauses(gateway))
        until(lambda: ask(gateway).status_code == 200)
        until(lambda: not pauses(gateway))


def test_a_pause_ends_with_the_gateway(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """A restart forgets the calls, so it forgets the pause; a switch that a person threw stays."""
    with running(tmp_path, fake_openai, fake_anthropic) as gateway:
        statuses(4, gateway)
        until(lambda: pauses(gateway))
    with running(tmp_path, fake_openai, fake_anthropic) as gateway:
        assert not pauses(gateway)
        assert ask(gateway).status_code == 200


def test_a_switch_of_a_person_is_left_alone(gateway: RunningGateway) -> None:
    """Where somebody has thrown a switch for the key, the pause works but does not take its place."""
    assert statuses(3, gateway) == [200] * 3
    with gateway.control as control:
        Kills(control).set(Kill(scope="key:gateway-secret", mode=Mode.THROTTLE, by="me"))
    assert statuses(2, gateway) == [429] * 2
    time.sleep(0.2)
    assert statuses(1, gateway) == [429]
    with gateway.control as control:
        assert [(kill.mode, kill.by) for kill in Kills(control).list()] == [(Mode.THROTTLE, "me")]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_sdks_do_not_try_again(dialect: str, gateway: RunningGateway) -> None:
    """Both SDKs raise their RateLimitError at once, however many retries they are allowed."""
    if dialect == "openai":
        with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=5) as client:
            for _ in range(3):
                client.chat.completions.create(**CALL)
            with pytest.raises(openai.RateLimitError, match="loop"):
                client.chat.completions.create(**CALL)
    else:
        with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=5) as client:
            call = {
                "model": "claude-sonnet-4-6",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "hi"}],
                "tools": [{"name": "read", "input_schema": {"type": "object"}}],
            }
            for _ in range(3):
                client.messages.create(**call)
            with pytest.raises(anthropic.RateLimitError, match="loop"):
                client.messages.create(**call)
    assert [row["status"] for row in gateway.requests()] == [200, 200, 200, 429]


def test_what_is_no_loop(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """Calls without tools, of an exempt key, of two keys in turn, and retries of what failed are not counted."""
    with gateway.control as control:
        bench = control.create("bench-1")[1]
        one, two = control.create("one")[1], control.create("two")[1]
    assert statuses(9, gateway, tools=None) == [200] * 9
    assert statuses(9, gateway, bench) == [200] * 9
    assert [ask(gateway, token).status_code for token in [one, two] * 3] == [200] * 6
    fake_openai.default = fake_openai.default.__class__(status=500)
    assert statuses(9, gateway, model="gpt-4o") == [500] * 9
    fake_openai.default = fake_openai.default.__class__()
    assert statuses(3, gateway, model="gpt-4o") == [200] * 3


def test_calls_at_one_time_are_no_loop(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """The same call by many threads at once is a fan-out."""
    fake_openai.default = fake_openai.default.__class__(latency=0.1)
    start = threading.Barrier(8)

    def one(_: int) -> list[int]:
        start.wait()
        return statuses(4, gateway)

    with ThreadPoolExecutor(8) as pool:
        assert {status for found in pool.map(one, range(8)) for status in found} == {200}


@pytest.mark.parametrize(("watch", "expected"), [("all", [200, 200, 200, 429]), ("off", [200] * 4)])
def test_who_is_watched(
    watch: str, expected: list[int], tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """With `all` plain calls count too, with `off` none does."""
    with running(tmp_path, fake_openai, fake_anthropic, Loops(repeats=3, watch=watch)) as gateway:
        assert statuses(4, gateway, tools=None) == expected


def test_a_pause_outlasts_the_window(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic
) -> None:
    """The paused call stays refused also when its repeats are older than the span in which they counted."""
    with running(tmp_path, fake_openai, fake_anthropic, Loops(repeats=3, within_minutes=0.03)) as gateway:
        assert statuses(4, gateway) == [200, 200, 200, 429]
        time.sleep(2)
        assert statuses(1, gateway) == [429]
