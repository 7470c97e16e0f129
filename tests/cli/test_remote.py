"""The same commands on the gateway of this machine and, with `--url`, on one elsewhere."""

from __future__ import annotations

import json
import os
import pty
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.money import PRICES, ask
from support.program import Program, Result, elsewhere
from support.remembered import an_answer, an_entry

from llmgw.cli.app import entries, load
from llmgw.storage.answers import AnswerStore

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Program]:
    """A gateway that costs money, with one call in its ledger and an admin key."""
    program = Program(tmp_path_factory.mktemp("served") / "home")
    program.home.mkdir()
    (program.home / "llmgw.toml").write_text(PRICES + "[limits]\ntokens_per_minute = 900000\n")
    started = program.run("serve", "--demo", "--port", "0", "--json").json
    program.url, program.key = started["url"], started["key"]
    program.admin = program.run("key", "create", "ops", "--admin", "-q").out.strip()
    program.run("budget", "set", "all", "5/day", "--soft", "1")
    ask(program.url, program.key)
    yield program
    program.run("stop")


@pytest.fixture(params=["local", "remote"])
def run(request, served, tmp_path) -> Run:
    """`llmgw` where the gateway is, and `llmgw --url` with an empty home of its own."""
    return served.run if request.param == "local" else elsewhere(tmp_path / "away", served).run


@pytest.fixture
def both(served, tmp_path) -> tuple[Run, Run]:
    away = Program(tmp_path / "away")
    return served.run, lambda *words, **more: away.run(
        "--url", served.url, *words, LLMGW_ADMIN_KEY=served.admin, **more
    )


@pytest.mark.parametrize(
    "words",
    [
        ["budget", "list"],
        ["budget", "show", "key:default"],
        ["budget", "history", "all"],
        ["budget", "check", "key:default", "0.01"],
        ["limit", "list"],
        ["kill", "status"],
        ["key", "list", "--all"],
        ["key", "show", "ops"],
        ["report", "daily", "--by", "model", "--since", "today", "--breakdown"],
        ["report", "monthly"],
        ["request", "list"],
        ["model", "list"],
        ["provider", "list"],
        ["cache", "stats", "--since", "2020-01-01"],
        ["cache", "list"],
        ["cache", "tune"],
        ["cache", "verify"],
        ["status"],
    ],
    ids=" ".join,
)
def test_both_say_the_same(both, served, words):
    """What a command answers as JSON does not depend on where it is run."""
    here, there = both
    near, far = here(*words, "--json"), there(*words, "--json")
    assert (near.code, far.code) == (0, 0)
    assert near.err == far.err
    assert _lasting(near.json) == _lasting(far.json)
    assert list(near.json) == list(far.json)


def _lasting(answer):
    """An answer without what moves by itself."""
    if isinstance(answer, dict):
        moving = {
            "uptime_seconds",
            "last_used_at",
            "burn_per_hour_nanousd",
            "burn_per_hour_usd",
            "runs_out_at",
        }
        return {name: _lasting(value) for name, value in answer.items() if name not in moving}
    return [_lasting(each) for each in answer] if isinstance(answer, list) else answer


def test_one_request(both):
    """A request is shown with its attempts, for people and for programs alike."""
    here, there = both
    (request,) = here("request", "list", "-q", "--limit", "1").out.splitlines()
    for words in (["--json"], ["--utc"]):
        assert here("request", "show", request, *words).out == there("request", "show", request, *words).out


def test_budgets(run):
    """A budget is set, shown, checked, reset and removed; what does not fit is exit 6, what is not there 5."""
    done = run("budget", "set", "tenant:ml", "50/week", "--warn", "80,95", "--json")
    assert (done.code, done.json["changed"], done.json["hard_usd"]) == (0, True, "50")
    kept = run("budget", "set", "tenant:ml", "60/week", "--json").json
    assert (kept["warn"], kept["hard_nanousd"]) == ([80, 95], 60 * 10**9)
    assert run("budget", "set", "tenant:ml", "60/week", "--json").json["changed"] is False
    assert run("budget", "show", "tenant:ml").out.count("tenant:ml") == 1
    assert run("budget", "check", "tenant:ml", "0.01").code == 0
    refused = run("budget", "check", "tenant:ml", "61")
    assert (refused.code, "raise it" in refused.err) == (6, True)
    assert run("budget", "reset", "tenant:ml", "-y").code == 0
    assert run("budget", "remove", "tenant:ml").code == 2
    removed = run("budget", "remove", "tenant:ml", "week", "-y", "--json").json["removed"]
    assert [(each["scope"], each["amount"]) for each in removed] == [("tenant:ml", "60/week --warn 80,95")]
    assert run("budget", "remove", "tenant:ml", "-y").code == 5
    assert run("budget", "set", "nobody", "5/day").code == 2


def test_budgets_from_a_file(run, tmp_path):
    """The file's budgets are put in force, all others lifted, and a dry run only tells."""
    run("budget", "set", "tenant:old", "1/day")
    file = tmp_path / "budgets.toml"
    file.write_text('[[budget]]\nscope = "tenant:new"\namount = "2/day"\n')
    told = run("budget", "set", "-f", str(file), "--dry-run", "--json").json["changes"]
    assert {each["scope"]: each["change"] for each in told}["tenant:new"] == "added"
    assert "tenant:old day" in run("budget", "list", "-q").out
    assert run("budget", "set", "-f", str(file), "-y").code == 0
    assert run("budget", "list", "-q").out == "tenant:new day\n"
    file.write_text('[[budget]]\nscope = "all"\namount = "5/day"\nsoft = "1"\n')
    assert run("budget", "set", "-f", str(file), "-y").code == 0


def test_keys(run, served):
    """A key is created and works, is rotated and revoked; a name twice is exit 8, one that is not there 5."""
    made = run("key", "create", "ci", "--tag", "nightly", "--budget", "2/day", "--expires", "90d", "--json")
    assert made.code == 0
    assert ask(served.url, made.json["key"])["choices"]
    assert run("key", "create", "ci").code == 8
    assert "key:ci day" in run("budget", "list", "-q").out.splitlines()
    turned = run("key", "rotate", "ci", "-q").out.strip()
    assert turned.startswith("lgw_")
    assert run("key", "list", "--tag", "nightly", "-q").out == "ci\n"
    assert run("key", "revoke", "ci", "-y").code == 0
    assert run("key", "show", "nobody").code == 5
    own = secrets.token_hex(16)
    assert run("key", "create", "own", "--from-stdin", "-q", stdin=own).out == f"{own}\n"
    assert run("key", "create", "bad", "--from-stdin", stdin="short").code == 2
    run("key", "revoke", "own", "-y")
    run("budget", "remove", "key:ci", "-y")


def test_limits(run):
    """Limits are set and lifted; those of the configuration are told apart."""
    assert run("limit", "set", "key:ops", "60/rpm", "4/concurrency", "-q").out == "key:ops\nkey:ops\n"
    listed = run("limit", "list", "--json").json["limits"]
    assert {(each["measure"], each["origin"]) for each in listed} == {
        ("tpm", "config"),
        ("rpm", "limit set"),
        ("concurrency", "limit set"),
    }
    assert "there is no key `nobody` yet" in run("limit", "set", "key:nobody", "1/rpm").err
    run("limit", "remove", "key:nobody")
    assert run("limit", "remove", "key:ops").code == 0
    assert run("limit", "remove", "key:ops").code == 5
    assert "come from the configuration" in run("limit", "remove", "all").err


def test_the_cache(run, served):
    """Answers are listed, shown, pinned, unpinned and forgotten."""
    with AnswerStore.open(served.home / "cache.db") as store:
        store.put(an_entry("What is a gateway?"), an_answer())
        store.put(an_entry("What is a moat?"), an_answer())
    ident, other = run("cache", "list", "-q").out.split()
    assert run("cache", "show", ident, "--json").json["answer"] == "A gateway stands between two networks."
    assert run("cache", "show", "999").code == 5
    assert run("cache", "pin", ident, "--json").json["entries"][0]["expires_at"] is None
    assert run("cache", "unpin", ident, "--json").json["entries"][0]["pinned"] is False
    assert run("cache", "list", "--text", "MOAT", "--older", "1h", "-q").out == ""
    assert run("cache", "clear", "--id", ident, "-n", "--json").json["would_remove"] == 1
    assert run("cache", "clear", "--older", "soon").code == 2
    assert run("cache", "clear", "--text", "", "-y").code == 2
    assert run("cache", "clear", "--file", "", "-y").code == 2
    assert run("cache", "clear", "--id", ident, "-y", "--json").json["removed"] == 1
    assert run("cache", "list", "-q").out.split() == [other]
    assert run("cache", "clear", "-y", "-q").out == "1\n"


def test_the_kill_switch(run, served):
    """Thrown it stops the next call, lifted it lets it through."""
    thrown = run("kill", "on", "key:default", "--reason", "drill", "--json").json
    assert (thrown["mode"], thrown["reason"], bool(thrown["by"])) == ("kill", "drill", True)
    with pytest.raises(OSError, match="503"):
        ask(served.url, served.key)
    assert "KILL SWITCH" in run("status").out
    assert run("kill", "off", "key:default").out == "key:default is open again\n"
    assert ask(served.url, served.key)
    assert run("kill", "off", "key:default").out == "the kill switch was not on for key:default\n"
    assert run("kill", "on", "everybody").code == 2


def test_who_threw_it(both, served):
    """From elsewhere it is the key that is named."""
    _, there = both
    assert there("kill", "throttle", "tag:x", "--json").json["by"] == "ops"
    there("kill", "off", "tag:x")


def test_tail_follows(served, tmp_path):
    """`request tail` shows what ends after it began, also from elsewhere."""
    away = Program(tmp_path / "away")
    child = away.start(
        "--url", served.url, "request", "tail", "-n", "0", "--json", LLMGW_ADMIN_KEY=served.admin
    )
    try:
        end = time.monotonic() + 20
        while not select.select([child.stdout], [], [], 0.3)[0]:
            assert time.monotonic() < end
            ask(served.url, served.key)
        assert json.loads(child.stdout.readline())["key"] == "default"
    finally:
        child.terminate()
        child.communicate()


def test_wrong_keys(served, tmp_path):
    """A key that opens nothing, one without admin rights and none at all are exit 4, and no key is repeated."""
    away = Program(tmp_path / "away")
    for key in ("lgw_wrong-wrong-wrong-wrong", served.key):
        result = away.run("budget", "list", LLMGW_URL=served.url, LLMGW_ADMIN_KEY=key)
        assert (result.code, result.out) == (4, "")
        assert key not in result.err
    assert away.run("budget", "list", LLMGW_URL=served.url).code == 4
    assert away.run("budget", "list", LLMGW_URL=served.url, LLMGW_KEY=served.admin).code == 0


def test_nobody_there(tmp_path):
    """Where nothing answers it is exit 3; with --wait it is tried until then."""
    away = Program(tmp_path / "away")
    environ = {"LLMGW_URL": "http://127.0.0.1:9", "LLMGW_ADMIN_KEY": "lgw_any-any-any-any-any"}
    for words in (["status"], ["kill", "on"], ["status", "--wait", "300ms"]):
        result = away.run(*words, **environ)
        assert (result.code, result.out) == (3, ""), words
        assert "127.0.0.1:9" in result.err


def test_others_could_listen(tmp_path):
    """An unencrypted address of another machine is refused before a key is asked for, unless that is allowed."""
    away = Program(tmp_path / "away")
    refused = away.run("--url", "http://192.0.2.1:1", "status")
    assert (refused.code, "unencrypted" in refused.err) == (2, True)
    assert "LLMGW_INSECURE_HTTP" in refused.err
    allowed = away.run("--url", "http://192.0.2.1:1", "status", LLMGW_INSECURE_HTTP="1")
    assert (allowed.code, "no key" in allowed.err) == (4, True)


def words_of(elsewhere: bool) -> list[list[str]]:
    """Every command that works, or does not work, on a gateway elsewhere."""
    found = [verb for name in entries() for verb in verbs_of([name], load(name))]
    return [words for words, verb in found if verb.elsewhere is elsewhere]


def verbs_of(words: list[str], command: Any) -> list[tuple[list[str], Any]]:
    """A command with the words that call it, or all that a noun holds."""
    if not hasattr(command, "commands"):
        return [(words, command)]
    return [found for word, verb in command.commands.items() for found in verbs_of([*words, word], verb)]


@pytest.mark.parametrize("words", words_of(elsewhere=False), ids=" ".join)
def test_commands_for_the_machine_itself(words):
    """What only works where the gateway is says so, exit 2, before it does anything."""
    from llmgw.cli.app import root
    from llmgw.cli.options import given
    from llmgw.errors import BadRequest

    [verb] = [verb for found, verb in verbs_of(words[:1], load(words[0])) if found == words]
    ctx = verb.make_context(words[-1], [], parent=None, resilient_parsing=True)
    assert root().name == "llmgw"
    given.url = "https://gateway.example"
    try:
        with pytest.raises(BadRequest) as refused:
            verb.invoke(ctx)
    finally:
        given.url = None
    assert "own machine" in refused.value.message


@pytest.mark.parametrize("words", [["serve"], ["init"], ["db", "stats"], ["logs"], ["stop"], ["restart"]])
def test_it_is_said_on_the_command_line(tmp_path, words):
    """With LLMGW_URL as with --url; the hint says which to leave out."""
    away = Program(tmp_path / "away")
    by_option = away.run(*words, "--url", "https://gateway.example")
    by_variable = away.run(*words, LLMGW_URL="https://gateway.example")
    assert (by_option.code, by_variable.code) == (2, 2)
    assert "leave out `--url`" in by_option.err
    assert "unset LLMGW_URL" in by_variable.err


RING = """
import json, pathlib
from keyring.backend import KeyringBackend

FILE = pathlib.Path(__file__).with_name("ring.json")

class Ring(KeyringBackend):
    priority = 1

    def get_password(self, service, name):
        return self._all().get(f"{service} {name}")

    def set_password(self, service, name, value):
        FILE.write_text(json.dumps(self._all() | {f"{service} {name}": value}))

    def delete_password(self, service, name):
        left = self._all()
        del left[f"{service} {name}"]
        FILE.write_text(json.dumps(left))

    def _all(self):
        return json.loads(FILE.read_text()) if FILE.exists() else {}
"""


def test_the_key_is_asked_for_and_kept(served, tmp_path):
    """On a terminal the key is asked for without echo and kept if wanted; once it is refused it is forgotten."""
    (tmp_path / "filering.py").write_text(RING)
    away = Program(tmp_path / "away")
    away.environ["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    away.environ |= {"PYTHON_KEYRING_BACKEND": "filering.Ring", "LLMGW_URL": served.url}
    key = served.run("key", "create", "asked", "--admin", "-q").out.strip()

    seen, out = _asked(away, key, b"n")
    assert ("asked" in out, key.encode() in seen) == (True, False)
    assert away.run("key", "list").code == 4
    _asked(away, key, b"y")
    assert key in (tmp_path / "ring.json").read_text()
    assert away.run("key", "list", "-q").code == 0
    served.run("key", "revoke", "asked", "-y")
    refused = away.run("key", "list")
    assert (refused.code, "is forgotten" in refused.err) == (4, True)
    assert key not in (tmp_path / "ring.json").read_text()


def _asked(away: Program, key: str, keep: bytes) -> tuple[bytes, str]:
    """What a terminal showed, and what was printed, while `llmgw key list` asked for the key."""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "llmgw", "key", "list", "-q"],
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        cwd=away.home.parent,
        env=away.environ,
        start_new_session=True,
    )
    os.close(slave)
    try:
        seen = _until(master, b"Admin key of")
        os.write(master, key.encode() + b"\n")
        seen += _until(master, b"[y/N]")
        os.write(master, keep + b"\n")
        out, _ = child.communicate(timeout=30)
    finally:
        os.close(master)
    return seen, out.decode()


def _until(descriptor: int, words: bytes) -> bytes:
    seen, end = b"", time.monotonic() + 30
    while words not in seen:
        assert time.monotonic() < end, seen
        if select.select([descriptor], [], [], 0.2)[0]:
            seen += os.read(descriptor, 4096)
    return seen
