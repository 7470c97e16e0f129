"""An answer that was shortened for one caller's budget is that caller's alone: nobody joins it, nothing keeps it. # D-13 A-11"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.budgets import Budgeted, budget
from support.caches import CHAT, options
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import upstream

from llmgw.domain.route import Tier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUTPUT = 600
"""Nano-dollars of a token out of gpt-4o-mini."""
WHOLE = 6_000
"""Tokens of the answer that nobody has shortened."""
TIGHT = 4_200 * OUTPUT + 2_000_000
"""A budget that has room for a shorter answer only."""


class Obedient(FakeOpenAI):
    """Writes as much as it is told, ``WHOLE`` tokens without a limit."""

    silent_about_limits = False

    def chat(self, request: Any, how: Behaviour) -> Any:
        call = request.json
        most = call.get("max_completion_tokens") or call.get("max_tokens") or WHOLE
        finish = "length" if most < WHOLE and not self.silent_about_limits else "stop"
        tokens = min(most, WHOLE)
        how = Behaviour(text="word " * tokens, output_tokens=tokens, finish=finish)
        return super().chat(request, how)


@pytest.fixture
def obedient() -> Iterator[Obedient]:
    with Obedient() as fake:
        fake.default = Behaviour(latency=0.4)
        yield fake


@pytest.fixture
def deaf() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        fake.default = Behaviour(text="word " * 9_000, output_tokens=9_000, latency=0.3)
        yield fake


@pytest.fixture
def gateway(tmp_path: Path, obedient: Obedient, deaf: FakeOpenAI) -> Iterator[Budgeted]:
    upstreams = [
        upstream("openai", obedient.url + "/v1", models=("gpt-4o-mini",), tier="cheap"),
        upstream("deaf", deaf.url + "/v1", kind="openai", models=("gpt-4o-mini",), tier="cheap"),
        upstream("local", obedient.url + "/v1", kind="vllm", models=("small",), tier=Tier.LOCAL),
    ]
    with Budgeted(tmp_path, upstreams, cache=options(), wait_seconds=0.2) as running:
        with running.control as control:
            running.free = {"authorization": f"Bearer {control.create('free', tenant='acme')[1]}"}
        yield running


async def two(
    gateway: Budgeted, forms: tuple[bool, bool], model: str = "openai/gpt-4o-mini", after: float = 0.15
) -> list[httpx.Response]:
    """The key with a budget leads, the one without comes while that is under way."""
    async with httpx.AsyncClient(timeout=30) as client:

        def ask(stream: bool, auth: dict[str, str]) -> Any:
            body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
            return asyncio.create_task(client.post(gateway.url + CHAT, json=body, headers=auth))

        leader = ask(forms[0], gateway.auth)
        await asyncio.sleep(after)
        follower = ask(forms[1], gateway.free)
        return [await leader, await follower]


FORMS = [(False, False), (True, True), (True, False), (False, True)]


@pytest.mark.parametrize("forms", FORMS, ids=str)
def test_nobody_joins_an_answer_shortened_for_anothers_budget(
    gateway: Budgeted, obedient: Obedient, forms: tuple[bool, bool]
) -> None:
    """A leader near its hard budget hears of a limit; who has no budget makes a call of its own, and has all of it."""
    gateway.set(budget("key:ci", hard=TIGHT))
    leader, follower = asyncio.run(two(gateway, forms))
    assert leader.text.count("word") == 3072
    assert follower.text.count("word") == WHOLE
    assert follower.headers["x-llmgw-cache"] == "miss"
    assert "max_completion_tokens" in obedient.chats[0].json
    assert "max_completion_tokens" not in obedient.chats[1].json


@pytest.mark.parametrize("silent", [False, True])
def test_an_answer_shortened_for_a_budget_is_not_kept(
    gateway: Budgeted, obedient: Obedient, silent: bool
) -> None:
    """Not even where the upstream does not say that a limit ended it."""
    obedient.silent_about_limits = silent
    gateway.set(budget("key:ci", hard=TIGHT))

    def ask(auth: dict[str, str]) -> httpx.Response:
        body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
        return httpx.post(gateway.url + CHAT, json=body, headers=auth, timeout=30)

    assert ask(gateway.auth).text.count("word") == 3072
    again = ask(gateway.free)
    assert (again.headers["x-llmgw-cache"], again.text.count("word")) == ("miss", WHOLE)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_cut_by_a_leaders_budget_cuts_no_follower_of_another_key(
    gateway: Budgeted, deaf: FakeOpenAI, stream: bool
) -> None:
    """A hard budget ends the leader's stream; a follower of another key has an answer that nobody has cut."""
    gateway.set(budget("key:ci", hard=TIGHT))
    leader, follower = asyncio.run(two(gateway, (True, stream), "deaf/gpt-4o-mini"))
    assert "budget_exceeded" in leader.text
    assert follower.status_code == 200
    assert "error" not in follower.text
    assert follower.text.count("word") == 9_000
    assert len(deaf.chats) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_a_target_that_a_budget_chose_is_not_shared(gateway: Budgeted, stream: bool) -> None:
    """A budget sends its calls to a smaller model: neither a follower of another key nor the cache gets that answer."""
    gateway.set(budget("key:ci", hard=1_000_000, on_exceed="downgrade:local"))
    leader, follower = asyncio.run(two(gateway, (stream, stream)))
    assert leader.headers.get("x-llmgw-target") == "local/small", leader.text
    assert follower.headers["x-llmgw-target"] == "openai/gpt-4o-mini"
    third = httpx.post(
        gateway.url + CHAT,
        json={"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]},
        headers=gateway.free,
        timeout=30,
    )
    assert third.headers["x-llmgw-target"] == "openai/gpt-4o-mini"
    assert third.headers["x-llmgw-cache"] == "exact"


def test_a_follower_held_to_the_same_budget_still_follows_live(gateway: Budgeted, deaf: FakeOpenAI) -> None:
    """Twice the same key: its budget would end either call at the same place, so one call serves both."""
    gateway.set(budget("key:ci", hard=1_000_000 * OUTPUT))
    gateway.free = gateway.auth
    leader, follower = asyncio.run(two(gateway, (True, True), "deaf/gpt-4o-mini"))
    assert follower.headers["x-llmgw-cache"] == "joined"
    assert follower.text.count("word") == leader.text.count("word") == 9_000
    assert len(deaf.chats) == 1
