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
    assert run("route", "forget", "--json").json["forgotten"] >= 1
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


def test_what_routes_is_listed_in_its_order(run: Run) -> None:
    """Rules first, then the gateway's own models and aliases, each with where it leads and where that comes from."""
    rows = run("route", "list", "--json").json["routes"]
    assert [(row["name"], row["kind"]) for row in rows] == [
        ("1", "rule"),
        ("gateway-auto", "virtual"),
        ("gateway-local", "virtual"),
        ("gateway-premium", "virtual"),
    ]
    assert rows[0]["condition"] == "tag private"
    assert rows[0]["targets"] == ["small/tiny"]
    assert rows[2]["origin"] == "declared"
    assert "tag private" in run("route", "list").out
    assert "big/huge" in run("route", "show", "gateway-premium").out
    assert run("route", "show", "gateway-auto", "--json").json["to"] == ["small/tiny", "big/huge"]
    missing = run("route", "show", "9")
    assert missing.code == 5
    assert "route list" in missing.err


@pytest.fixture
def own(llmgw: Program) -> Program:
    """A home with a config file and no gateway running."""
    llmgw.home.mkdir(exist_ok=True)
    (llmgw.home / "llmgw.toml").write_text("# my own\n" + CONFIG)
    return llmgw


def test_rules_are_set_and_removed(own: Program) -> None:
    """A rule is added, moved to the front, changed and taken out; comments stay, what makes no sense is refused."""
    file = own.home / "llmgw.toml"
    shown = own.run("route", "set", "new", "--key", "ci*", "--to", "local,gateway-premium", "--dry-run")
    assert '+key = "ci*"' in shown.out
    assert "ci*" not in file.read_text()
    assert own.run("route", "set", "new", "--key", "ci*", "--tier", "local", "--no-tools").code == 0
    assert own.run("route", "set", "2", "--weekdays", "mon,tue", "--hours", "22-6", "--first").code == 0
    rows = own.run("route", "list", "--json").json["routes"]
    assert [row["condition"] for row in rows[:2]] == [
        "key ci*, tools not offered, hours 22-6, weekdays mon tue",
        "tag private",
    ]
    assert rows[0]["tier"] == "local"
    assert own.run("route", "set", "1", "--hours", "", "--tier", "premium").code == 0
    assert "hours" not in file.read_text()
    assert own.run("route", "set", "1", "--hours", "99-100").code == 2
    assert own.run("route", "set", "1").code == 2
    assert own.run("route", "set", "7", "--tag", "x").code == 5
    assert own.run("route", "remove", "1").code == 0
    assert [row["condition"] for row in own.run("route", "list", "--json").json["routes"][:1]] == [
        "tag private"
    ]
    assert own.run("route", "remove", "1").code == 0
    assert "[[routes]]" not in file.read_text()
    assert file.read_text().startswith("# my own")


@pytest.mark.parametrize(
    "words",
    [
        ("new", "--tag", "x"),
        ("new", "--tag", "x", "--to", "local", "--tier", "premium"),
        ("new", "--to", "local", "--hours", "5-5"),
        ("new", "--to", "local", "--min-tokens", "9", "--max-tokens", "3"),
        ("1", "--to", ""),
        ("", "--to", "small/tiny"),
        ("two\nlines", "--to", "small/tiny"),
    ],
)
def test_nothing_is_written_that_would_not_load(words: tuple[str, ...], own: Program) -> None:
    """A rule that says not where to go, or two things at once, is refused before it is in the file."""
    file = own.home / "llmgw.toml"
    before = file.read_text()
    assert own.run("route", "set", *words).code == 2
    assert file.read_text() == before
    assert own.run("config", "set", "server.timezone", "Mars/Phobos").code == 2
    assert file.read_text() == before


def test_names_are_set_and_removed(own: Program) -> None:
    """An alias and the targets of a tier; gateway-auto is all of them and has none of its own."""
    assert own.run("route", "set", "fast*", "--to", "small/tiny,big/huge").code == 0
    assert own.run("route", "set", "gateway-cheap", "--to", "big/huge").code == 0
    rows = {row["name"]: row for row in own.run("route", "list", "--json").json["routes"]}
    assert rows["fast*"]["targets"] == ["small/tiny", "big/huge"]
    assert rows["gateway-cheap"]["to"] == ["big/huge"]
    assert own.run("route", "set", "gateway-auto", "--to", "small/tiny").code == 2
    assert own.run("route", "set", "fast*", "--to", "small/tiny", "--key", "ci").code == 2
    assert "taken out" in own.run("route", "remove", "fast*").out
    assert own.run("route", "remove", "gateway-cheap").code == 0
    names = {row["name"] for row in own.run("route", "list", "--json").json["routes"]}
    assert not names & {"fast*", "gateway-cheap"}
    assert own.run("route", "remove", "fast*").code == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["route", "set", "gpt-x", "--to", "nowhere/none"], "there is no provider `nowhere`"),
        (["route", "set", "gpt-x", "--to", "smal/tiny", "-n"], "did you mean `small/tiny`?"),
        (["route", "set", "gpt-x", "--to", "small/tony"], "did you mean `small/tiny`?"),
        (["route", "set", "gateway-cheap", "--to", "opnai/gpt-5"], "did you mean `openai/gpt-5`?"),
        (["route", "set", "new", "--tag", "x", "--to", "locl"], "did you mean `local`?"),
        (["route", "set", "1", "--to", "local,nowhere/none"], "[[routes]] 1"),
        (["config", "set", "models.x.targets", "nowhere/none"], "`nowhere/none` is nobody's"),
    ],
)
def test_a_target_that_nobody_has_is_not_written(llmgw: Program, words: list[str], told: str) -> None:
    """Commands refuse it with the names that are nearest, and leave the file as it was."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(CONFIG)
    done = llmgw.run(*words)
    assert done.code == 5, done.err
    assert told in done.err
    assert (llmgw.home / "llmgw.toml").read_text() == CONFIG


def test_a_target_that_is_not_in_use_yet_is_written_aloud(llmgw: Program) -> None:
    """A provider that is known and has no credential yet may be named before it is there."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(CONFIG)
    done = llmgw.run("route", "set", "gpt-x", "--to", "small/tiny,openai/gpt-5")
    assert done.code == 0, done.err
    assert "`openai/gpt-5` is left out, provider `openai` is not in use" in done.err
    assert llmgw.run("config", "check").code == 0


def test_a_target_that_vanished_is_told(llmgw: Program) -> None:
    """The check of the file fails, doctor and the status of the gateway that started with it name the place."""
    llmgw.home.mkdir()
    routes = (
        '[models.gone]\ntargets = ["nowhere/none"]\n[[routes]]\ntag = "x"\nto = ["none/at-all", "local"]\n'
    )
    (llmgw.home / "llmgw.toml").write_text(CONFIG + routes)
    checked = llmgw.run("config", "check")
    assert checked.code == 2
    assert '[models."gone"]: `nowhere/none` is nobody\'s' in checked.err
    assert "[[routes]] 2: `none/at-all` is nobody's" in checked.err
    found = llmgw.run("doctor", "--json").json["checks"]
    assert sum(check["check"] == "routes" and check["state"] == "warning" for check in found) == 2
    assert llmgw.run("config", "set", "server.port", "0").code == 0, "what was wrong before is no hindrance"
    assert llmgw.run("serve").code == 0
    assert len(llmgw.run("status", "--json").json["lost"]) == 2
    assert "`nowhere/none` is left out" in llmgw.run("status").out
