"""The database from the command line."""

import sqlite3
import threading
from contextlib import closing

import pytest
from support.money import PRICES, ask
from support.program import Program

from llmgw.storage import schema
from llmgw.storage.database import Database


@pytest.fixture
def served(llmgw):
    """A gateway whose echo costs money, after five requests."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(PRICES)
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json
    for number in range(5):
        ask(started["url"], started["key"], f"question {number}")
    llmgw.url, llmgw.key = started["url"], started["key"]
    return llmgw


def test_a_served_ledger_adds_up(served):
    """After real requests that cost money every scope and window adds up, while the gateway runs and after."""
    proof = served.run("db", "verify", "--json")
    assert (proof.code, proof.json["ok"], proof.json["requests"]) == (0, True, 5)
    assert proof.json["scopes"] >= 3
    assert served.run("report", "daily", "--json").json["lines"][0]["cost_nanousd"] > 0
    served.run("stop")
    assert "adds up: 5 requests" in served.run("db", "verify").out


COLUMNS = (
    "boot, dimension, state, open, started_at, model_asked, stream, held_cost, ended_at, status, error, input_tokens,"
    " output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,"
    " input_audio_tokens, output_audio_tokens, searches, estimated, complete, cost, premium_cost, price, ttft_us,"
    " latency_us, finish_reason, upstream_id"
)
TWICE = f"INSERT INTO attempts SELECT request_id, 2, {COLUMNS} FROM attempts"
OTHERS = """INSERT INTO dimensions SELECT 99, 'other', user, key_id, key_name, tags, surface, provider, model, tier,
    cache FROM dimensions LIMIT 1; UPDATE attempts SET dimension = 99"""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE requests SET cost = cost + 1 WHERE seq = 1", "cost_differs"),
        ("UPDATE attempts SET cost = cost + 1 WHERE attempt = 1", "cost_differs"),
        ("UPDATE rollups SET cost = cost - 1", "rollup_differs"),
        ("UPDATE rollups SET cost = cost - 1", "sums_differ"),
        ("DELETE FROM requests WHERE seq = 2", "missing_request"),
        ("UPDATE attempts SET open = 1, state = 1", "stuck"),
        (OTHERS, "caller_differs"),
        (TWICE, "double"),
        ("UPDATE requests SET latency_us = latency_us + 1 WHERE seq = 2", "changed"),
        ("UPDATE dimensions SET key_name = 'other' WHERE provider <> ''", "changed"),
        ("DELETE FROM links WHERE seq > 1", "unlinked"),
    ],
)
def test_what_does_not_add_up_is_found(spent, change, code):
    """A row that somebody changed, took away or doubled is found by name, with exit code 1."""
    with closing(sqlite3.connect(spent.home / "llmgw.db")) as connection:
        connection.executescript(change)
    proof = spent.run("db", "verify", "--json")
    assert proof.code == 1
    assert code in {finding["code"] for finding in proof.json["findings"]}
    assert "findings" in proof.err


def test_a_head_kept_elsewhere_proves_what_was_before_it(served, tmp_path):
    """A head that was noted is found as long as all from before it is there, also behind later requests; in a ledger
    without them it is missed.
    """
    older = tmp_path / "older"
    older.mkdir()
    assert served.run("db", "backup", str(older / "llmgw.db")).code == 0
    before = served.run("db", "verify", "--json").json
    assert (len(before["head"]), before["chained"]) == (64, 5)
    assert before["chained_since_at"].endswith("Z")
    ask(served.url, served.key)
    after = served.run("db", "verify", "--head", before["head"], "--json").json
    assert (after["ok"], after["chained"]) == (True, 6)
    assert f"head {after['head']}" in served.run("db", "verify").out
    shortened = Program(older)
    assert shortened.run("db", "verify").code == 0
    missing = shortened.run("db", "verify", "--head", after["head"], "--json")
    assert (missing.code, [each["code"] for each in missing.json["findings"]]) == (1, ["head_missing"])
    assert served.run("db", "verify", "--head", "no-head").code == 2


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A home whose gateway has answered and ended."""
    llmgw = Program(tmp_path_factory.mktemp("spent") / "home")
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(PRICES)
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json
    for number in range(3):
        ask(started["url"], started["key"], f"question {number}")
    llmgw.run("stop")
    return llmgw


@pytest.fixture
def spent(once, tmp_path):
    """A copy of that home to spoil."""
    home = tmp_path / "home"
    home.mkdir()
    assert once.run("db", "backup", str(home / "llmgw.db")).code == 0
    return Program(home)


def test_backup_while_the_gateway_writes(served, tmp_path):
    """A copy made under load is whole, private, opens as a home of its own and is never overwritten."""
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            ask(served.url, served.key)

    thread = threading.Thread(target=load)
    thread.start()
    other = tmp_path / "other"
    other.mkdir()
    copy = other / "llmgw.db"
    try:
        made = served.run("db", "backup", str(copy), "--json")
    finally:
        done.set()
        thread.join(20)
    assert made.code == 0
    assert made.json["bytes"] == copy.stat().st_size
    assert copy.stat().st_mode & 0o077 == 0
    assert [path.name for path in other.iterdir()] == ["llmgw.db"]
    again = served.run("db", "backup", str(copy))
    assert (again.code, again.out) == (8, "")
    copied = Program(other)
    assert copied.run("key", "list", "-q").out == "default\n"
    assert copied.run("db", "stats", "--json").json["requests"] >= 5
    assert served.run("db", "backup", str(tmp_path / "no" / "such" / "folder.db")).code == 2


def test_stats(spent):
    """The size of the file, its schema and what is in it are told."""
    stats = spent.run("db", "stats", "--json").json
    assert (stats["requests"], stats["open_attempts"], stats["keys"]) == (3, 0, 1)
    assert stats["bytes"] > 4096
    assert stats["path"] == str(spent.home / "llmgw.db")
    assert stats["first_request_at"].endswith("Z")


def test_migrate_says_what_it_did(llmgw, monkeypatch):
    """Tables of an older release are brought up to date after a copy; a second time there is nothing to do."""
    llmgw.home.mkdir()
    with monkeypatch.context() as older:
        older.setattr(schema, "STEPS", schema.STEPS[:1])
        Database.open(llmgw.home / "llmgw.db").close()
    done = llmgw.run("db", "migrate", "--json").json
    assert (done["from"], done["to"]) == (1, len(schema.STEPS))
    with closing(sqlite3.connect(done["backup"])) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert "nothing to do" in llmgw.run("db", "migrate").out
    assert llmgw.run("db", "verify").code == 0
