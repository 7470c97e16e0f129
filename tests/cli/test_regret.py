"""`llmgw why` tells what was made of an answer, `llmgw route regret` what shadow runs found; here and elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from support.program import Program, Result, elsewhere

Run = Callable[..., Result]

CONFIG = """
[server]
discover = false

[cache.exact]
enabled = false

[router.cascade]
enabled = true
samples = 0

[router.shadow]
share = 1

[providers.small]
kind = "echo"
tier = "local"
models = ["tiny"]

[providers.big]
kind = "echo"
tier = "premium"
models = ["huge"]

[prices."big/huge"]
input = 5
output = 25

[tiers]
local = ["small/tiny"]
premium = ["big/huge"]
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A gateway whose local model echoes as its premium one does, with an admin key."""
    program = Program(tmp_path_factory.mktemp("served") / "home")
    program.home.mkdir()
    (program.home / "llmgw.toml").write_text(CONFIG)
    program.url = program.run("serve", "--port", "0", "--json").json["url"]
    program.admin = program.run("key", "create", "ops", "--admin", "-q").out.strip()
    yield program
    program.run("stop")


@pytest.fixture(params=["local", "remote"])
def run(request, served, tmp_path) -> Run:
    """`llmgw` where the gateway is, and `llmgw --url` with an empty home of its own."""
    return served.run if request.param == "local" else elsewhere(tmp_path / "away", served).run


def ask(served: Program, said: str, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": said}]}
    headers = {"authorization": f"Bearer {served.admin}"}
    return httpx.post(served.url + "/v1/chat/completions", headers=headers, json=body)


def test_why_tells_what_the_verifier_saw(run: Run, served: Program) -> None:
    """An echo is no number: the local model's was not good enough, and the premium one's is the answer."""
    reply = ask(served, "How many? Answer with only a number.", "gateway-auto")
    assert reply.headers["x-llmgw-escalated"] == "small/tiny: format"
    told = run("why", reply.headers["x-llmgw-request-id"])
    assert "small/tiny was not good enough" in told.out, told
    assert "format: one number was asked for and this is none" in told.out
    assert "escalated" in told.out
    [verdict] = run("why", reply.headers["x-llmgw-request-id"], "--json").json["decision"]["verdicts"]
    assert (verdict["target"], verdict["passed"]) == ("small/tiny", False)


def test_regret_tells_what_was_paid_for_nothing(run: Run, served: Program) -> None:
    """The local echo serves as well as the dear one: what that cost might have been saved, as far as one call can tell."""
    number = ask(served, "Which city is the capital of France?", "gateway-premium").headers[
        "x-llmgw-request-id"
    ]
    end = time.monotonic() + 10
    while run("why", number, "--json").json["shadow"] is None:
        assert time.monotonic() < end, "no shadow run was made"
        time.sleep(0.1)
    assert "small/tiny would have served as well" in run("why", number).out
    found = run("route", "regret", "--since", "1h", "--json").json
    [premium] = found["sampled"]
    assert premium["sampled"] == premium["good"] + premium["open"] + premium["bad"] > 0
    assert 0 <= premium["low"] < premium["share"] <= premium["high"] <= 1
    assert found["saving_nanousd"] == premium["saving_nanousd"] > 0
    assert premium["saving_low_nanousd"] <= premium["saving_nanousd"] <= premium["cost_nanousd"]
    told = run("route", "regret").out
    assert "served as well" in told
    assert "would have been saved" in told
    assert run("route", "regret", "--since", "sometime").code == 2
    assert run("route", "regret", "-q").code == 0


def test_calls_sent_down_that_were_bad_are_counted(run: Run, served: Program) -> None:
    """An outcome below one half of a call that went to the local tier is a bad one."""
    before = run("route", "regret", "--json").json["local"]
    reply = ask(served, "Name a colour that you like.", "gateway-auto")
    assert reply.headers["x-llmgw-tier"] == "local"
    said = {"request_id": reply.headers["x-llmgw-request-id"], "rating": "down"}
    headers = {"authorization": f"Bearer {served.admin}"}
    assert httpx.post(served.url + "/v1/feedback", headers=headers, json=said).status_code == 200
    after = run("route", "regret", "--json").json["local"]
    assert after["bad"] == before["bad"] + 1
    assert after["calls"] == before["calls"] + 1
    assert after["low"] < after["share"] <= after["high"]
