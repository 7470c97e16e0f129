"""`llmgw route` and `llmgw why`: where requests go, and why, before and after. # D-07"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from support.program import Program, Result, elsewhere

Run = Callable[..., Result]

CONFIG = """
[server]
discover = false

[router]
clarify = true

[[routes]]
tag = "private"
to = ["local"]

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
EASY = "What is the capital of France?"
HARD = (
    "Write a python function that implements a lock-free queue, and debug the traceback in my operator. " * 4
)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Program]:
    """A gateway with a local and a premium tier, and an admin key."""
    program = Program(tmp_path_factory.mktemp("served") / "home")
    program.home.mkdir()
    (program.home / "llmgw.toml").write_text(CONFIG)
    started = program.run("serve", "--port", "0", "--json").json
    program.url = started["url"]
    program.admin = program.run("key", "create", "ops", "--admin", "-q").out.strip()
    program.run("key", "create", "ci", "--models", "local/*", "-q")
    yield program
    program.run("stop")


@pytest.fixture(params=["local", "remote"])
def run(request, served, tmp_path) -> Run:
    """`llmgw` where the gateway is, and `llmgw --url` with an empty home of its own."""
    return served.run if request.param == "local" else elsewhere(tmp_path / "away", served).run


def ask(served: Program, said: str, **fields) -> httpx.Response:
    body = {"model": "gateway-auto", "messages": [{"role": "user", "content": said}]} | fields
    headers = {"authorization": f"Bearer {served.admin}", "x-llmgw-cache": "no-store"}
    return httpx.post(served.url + "/v1/chat/completions", headers=headers, json=body)


def test_a_request_is_tried_without_being_made(run: Run, served: Program, tmp_path) -> None:
    """The tier, the targets and the terms of the score, as a real request has them; the ledger stays as it is."""
    before = served.run("request", "list", "--json").json["requests"]
    easy = run("route", "test", "--prompt", EASY, "--json").json
    assert easy["targets"] == ["small/tiny", "big/huge"]
    (tmp_path / "question.txt").write_text(HARD)
    hard = run("route", "test", "--file", str(tmp_path / "question.txt"), "--json").json
    assert hard["targets"] == ["big/huge", "small/tiny"]
    for found in (easy, hard):
        terms = found["decision"]["terms"]
        assert sum(term["value"] for term in terms) == pytest.approx(found["decision"]["gain"])
    assert run("route", "explain", HARD, "-q").out == "gateway-auto\n"
    assert run("route", "test", "--file", "-", "--json", stdin=HARD).json["decision"] == hard["decision"]
    assert served.run("request", "list", "--json").json["requests"] == before
    assert ask(served, HARD).headers["x-llmgw-target"] == "big/huge"


def test_rules_keys_and_vague_words_are_told(run: Run) -> None:
    """A declared route is named, a key keeps its targets, what is too vague would be asked back, a named model stays."""
    told = run("route", "test", "--prompt", HARD, "--tag", "private")
    assert "rule 1 (tag private)" in told.out
    assert "big/huge" not in told.out
    assert run("route", "test", "--prompt", HARD, "--key", "ci", "--json").json["targets"] == ["small/tiny"]
    assert "asked back" in run("route", "test", "--prompt", "fix").out
    named = run("route", "test", "--prompt", HARD, "--model", "tiny", "--json").json
    assert (named["targets"], named["decision"]) == (["small/tiny"], None)


def test_why_tells_the_whole_story(run: Run, served: Program) -> None:
    """Decision with terms that sum up, attempts with prices, costs and the key's own limits and budgets."""
    served.run("limit", "set", "key:ops", "600/rpm")
    served.run("budget", "set", "key:ops", "5/day")
    number = ask(served, HARD).headers["x-llmgw-request-id"]
    found = run("why", number, "--json").json
    assert found["decision"]["tier"] == "premium"
    assert sum(term["value"] for term in found["decision"]["terms"]) == pytest.approx(
        found["decision"]["gain"]
    )
    assert found["request"]["attempts"][0]["price"]["input"] == 5_000_000_000
    assert found["limits"][0]["amount"] == 600
    assert found["budgets"][0]["scope"] == "key:ops"
    told = run("why", number).out
    for words in (
        "key       ops",
        "limit     600/rpm",
        "budget    key:ops",
        "usual",
        "big/huge (premium): 200",
        "$5.00",
    ):
        assert words in told, told
    back = ask(served, "fix").headers["x-llmgw-request-id"]
    assert "asked back" in run("why", back).out
    named = ask(served, EASY, model="tiny").headers["x-llmgw-request-id"]
    assert run("why", named, "--json").json["decision"] is None


def test_outcomes_are_forgotten(run: Run, served: Program) -> None:
    """`route forget` removes what feedback has taught."""
    number = ask(served, EASY).headers["x-llmgw-request-id"]
    headers = {"authorization": f"Bearer {served.admin}"}
    said = {"request_id": number, "rating": "down", "comment": "wrong city"}
    assert httpx.post(served.url + "/v1/feedback", headers=headers, json=said).status_code == 200
    assert "wrong city" in run("why", number).out
    assert run("route", "forget", "--json").json["forgotten"] == 1
    assert json.loads(run("route", "forget", "--json").out)["forgotten"] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["route", "test"], 2),
        (["route", "test", "--prompt", "a", "--file", "b"], 2),
        (["route", "test", "--file", "/nowhere"], 2),
        (["route", "test", "--prompt", "a", "--key", "nobody"], 5),
        (["route", "test", "--prompt", "a", "--model", "no-such-model"], 5),
        (["why", "nonsense!"], 2),
        (["why", "req_0000000000000"], 5),
    ],
)
def test_exit_codes(run: Run, words, code) -> None:
    """What cannot be meant is refused with the exit code of the table."""
    assert run(*words).code == code


def test_another_dial_is_simulated(run: Run, served: Program) -> None:
    """Both policies stand beside each other, with what would be saved; a span that is none is refused."""
    ask(served, HARD)
    found = run("route", "simulate", "--quality", "0", "--since", "1h", "--json").json
    assert found["before"]["premium"] > 0
    assert (found["after"]["premium"], found["after"]["cost_nanousd"]) == (0, 0)
    assert found["saved_nanousd"] == found["before"]["cost_nanousd"] > 0
    told = run("route", "simulate", "--quality", "0", "--since", "1h").out
    assert "as it was" in told
    assert "saved" in told
    assert run("route", "simulate", "--since", "sometime").code == 2
    assert run("route", "simulate", "--quality", "2").code == 2
