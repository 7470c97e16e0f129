"""Budgets from the command line."""

import json
import threading
import time
import urllib.error
from datetime import datetime

import pytest
from support.money import PRICES, ask

from llmgw.domain.amounts import parse_amount, parse_rate
from llmgw.domain.budget import Unit, Window
from llmgw.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20/month", (Unit.MONEY, 20 * 10**9, Window.MONTH)),
        ("$0.05/day", (Unit.MONEY, 50_000_000, Window.DAY)),
        ("0.000000001/total", (Unit.MONEY, 1, Window.TOTAL)),
        ("0/hour", (Unit.MONEY, 0, Window.HOUR)),
        ("250k-tokens/day", (Unit.TOKENS, 250_000, Window.DAY)),
        ("1.5m-tokens/week", (Unit.TOKENS, 1_500_000, Window.WEEK)),
        ("250_000-tokens/day", (Unit.TOKENS, 250_000, Window.DAY)),
        ("none/day", (Unit.MONEY, None, Window.DAY)),
        ("none-tokens/day", (Unit.TOKENS, None, Window.DAY)),
    ],
)
def test_amounts_are_exact(text, found):
    """Each way to write an amount means exactly one whole number of nano-dollars or tokens."""
    assert parse_rate(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "20",
        "20/year",
        "20/",
        "/day",
        "x/day",
        "-1/day",
        "nan/day",
        "1e-10/day",
        "0.5-tokens/day",
        "20 /day/day",
    ],
)
def test_other_amounts_are_refused(text):
    """What is no amount for a window is refused, never guessed."""
    with pytest.raises(BadRequest):
        parse_rate(text)


def test_amounts_without_a_window():
    """A plain amount takes no window."""
    assert parse_amount("2.50") == (Unit.MONEY, 2_500_000_000)
    with pytest.raises(BadRequest):
        parse_amount("2.50/day")


def test_life_of_a_budget(llmgw):
    """A budget is set, set again without a change, raised keeping its other options, shown, listed and removed."""
    words = (
        "budget",
        "set",
        "tenant:ml",
        "50/week",
        "--warn",
        "80,95",
        "--on-exceed",
        "downgrade:cheap",
        "--json",
    )
    first = llmgw.run(*words)
    assert first.code == 0
    assert first.json["hard_nanousd"] == 50 * 10**9
    assert first.json["hard_usd"] == "50"
    assert (first.json["warn"], first.json["on_exceed"]) == ([80, 95], "downgrade:cheap")
    assert first.json["changed"] is True
    again = llmgw.run(*words)
    assert (again.code, again.json) == (0, first.json | {"changed": False})
    raised = llmgw.run("budget", "set", "tenant:ml", "60/week", "--json").json
    assert (raised["hard_usd"], raised["warn"], raised["on_exceed"]) == ("60", [80, 95], "downgrade:cheap")
    bare = llmgw.run(
        "budget", "set", "tenant:ml", "60/week", "--warn", "none", "--on-exceed", "stop", "--json"
    ).json
    assert (bare["warn"], bare["on_exceed"]) == ([], "stop")
    assert llmgw.run("budget", "list", "-q").out == "tenant:ml week\n"
    assert llmgw.run("budget", "show", "tenant:ml", "--json").json["budgets"][0]["hard_usd"] == "60"
    asked = llmgw.run("budget", "remove", "tenant:ml")
    assert (asked.code, asked.out) == (2, "")
    assert llmgw.run("budget", "remove", "tenant:ml", "week", "-y").code == 0
    assert llmgw.run("budget", "list", "-q").out == ""


def test_a_set_prints_one_line(llmgw):
    """Without options people read one sentence with what is spent."""
    result = llmgw.run("budget", "set", "all", "50/day", "--soft", "5", "--medium", "15")
    assert result.out.startswith("all: $0.00 of $50.00 spent in the day 20")
    assert result.err == ""
    shown = llmgw.run("budget", "show", "all", COLUMNS="200").out
    assert "$15.00" in shown
    assert "$5.00" in shown


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["set", "nobody", "5/day"], 2),
        (["set", "all"], 2),
        (["set"], 2),
        (["set", "all", "5/year"], 2),
        (["set", "all", "99999999999/day"], 2),
        (["set", "all", "5/day", "--soft", "6"], 2),
        (["set", "all", "5/day", "--warn", "many"], 2),
        (["set", "all", "5/day", "--warn", "180"], 2),
        (["set", "all", "5/day", "--on-exceed", "pray"], 2),
        (["set", "all", "5/day", "--soft", "1k-tokens"], 2),
        (["set", "all", "none/day"], 2),
        (["set", "all", "5/day", "-f", "x.toml"], 2),
        (["set", "-f", "missing.toml"], 2),
        (["show", "all"], 5),
        (["remove", "all", "-y"], 5),
        (["reset", "all", "-y"], 5),
        (["reset", "-y"], 2),
        (["history", "all"], 5),
        (["check", "key:nobody", "1"], 5),
        (["check", "all", "1/day"], 2),
        (["list", "--tz", "Mars/Olympus"], 2),
    ],
)
def test_exit_codes(llmgw, words, code):
    """Each failure has the exit code of the table, an error and nothing on stdout."""
    result = llmgw.run("budget", *words)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("error: ")


FILE = """
[[budget]]
scope = "all"
amount = "200/month"
warn = [80, 95]

[[budget]]
scope = "key:ci"
amount = "250k-tokens/day"
soft = "100k-tokens"
"""


def test_a_file_declares_all_of_them(llmgw, tmp_path):
    """A file is compared without a change, put in force, changes nothing the second time, and takes away the rest."""
    (tmp_path / "budgets.toml").write_text(FILE)
    llmgw.run("budget", "set", "all", "100/month")
    llmgw.run("budget", "set", "tenant:old", "1/day")
    compared = llmgw.run("budget", "set", "-f", "budgets.toml", "--dry-run", "--json").json["changes"]
    assert [(each["change"], each["scope"]) for each in compared] == [
        ("changed", "all"),
        ("added", "key:ci"),
        ("removed", "tenant:old"),
    ]
    assert (compared[0]["before"], compared[0]["after"]) == ("100/month", "200/month --warn 80,95")
    assert llmgw.run("budget", "list", "-q").out == "all month\ntenant:old day\n"
    assert llmgw.run("budget", "set", "-f", "budgets.toml").code == 2  # something goes, and nobody is asked
    assert llmgw.run("budget", "set", "-f", "budgets.toml", "-y").code == 0
    assert llmgw.run("budget", "list", "-q").out == "all month\nkey:ci day\n"
    second = llmgw.run("budget", "set", "-f", "budgets.toml", "--json").json["changes"]
    assert {each["change"] for each in second} == {"unchanged"}
    for wrong in (
        '[[budget]]\nscope = "all"\n',
        "[[budgets]]\n",
        FILE + FILE,
        '[[budget]]\nscope = "x"\namount = "1/day"',
    ):
        (tmp_path / "budgets.toml").write_text(wrong)
        result = llmgw.run("budget", "set", "-f", "budgets.toml", "-y")
        assert (result.code, "budgets.toml" in result.err) == (2, True)
    assert llmgw.run("budget", "list", "-q").out == "all month\nkey:ci day\n"


@pytest.fixture
def served(llmgw):
    """A gateway whose echo costs money, and the key `ci`."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text(PRICES + '[server]\ntimezone = "Asia/Kathmandu"\n')
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json
    llmgw.url = started["url"]
    llmgw.key = llmgw.run("key", "create", "ci", "--tag", "nightly", "-q").out.strip()
    return llmgw


def test_spending_is_seen_and_stopped(served):  # D-20, B-05
    """What calls cost appears at every budget that holds for them, 402 names the one that is spent, a raise lifts it."""
    for scope in ("all", "key:ci", "tag:nightly"):
        served.run("budget", "set", scope, "10/month")
    ask(served.url, served.key)
    cost = served.run("report", "daily", "--json").json["lines"][0]["cost_nanousd"]
    rows = served.run("budget", "list", "--json").json["budgets"]
    assert [row["spent_nanousd"] for row in rows] == [cost] * 3
    assert [row["held_nanousd"] for row in rows] == [0] * 3
    assert rows[0]["burn_per_hour_nanousd"] > 0
    served.run("budget", "set", "key:ci", "0.000001/day")
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(served.url, served.key)
    refused.value.close()
    assert refused.value.code == 402
    served.run("budget", "set", "key:ci", "1/day")
    ask(served.url, served.key)


def test_what_is_held_is_seen(served):
    """While a call is under way its worst case is held and missing from what is left; afterwards nothing is held."""
    served.run("budget", "set", "key:ci", "1/day")
    slow = threading.Thread(target=ask, args=(served.url, served.key), kwargs={"model": "echo/latency=3s"})
    slow.start()
    end = time.monotonic() + 3
    held = 0
    while not held and time.monotonic() < end:
        row = served.run("budget", "list", "--json").json["budgets"][0]
        held = row["held_nanousd"]
    assert held > 0
    assert row["left_nanousd"] == 10**9 - held
    assert served.run("budget", "check", "key:ci", "1").code == 6
    slow.join(20)
    row = served.run("budget", "list", "--json").json["budgets"][0]
    assert (row["held_nanousd"], row["left_nanousd"]) == (0, 10**9 - row["spent_nanousd"])


def test_check_counts_every_ceiling(served):
    """A check looks at all budgets that hold for a scope, says which is tightest, and exits 6 where it does not fit."""
    assert served.run("budget", "check", "key:ci", "5").code == 0
    served.run("budget", "set", "key:ci", "5/day")
    served.run("budget", "set", "tenant:default", "0.40/week")
    served.run("budget", "set", "tag:nightly", "3/day")
    assert served.run("budget", "check", "key:ci", "0.40").code == 0
    refused = served.run("budget", "check", "key:ci", "0.400000001", "--json")
    assert refused.code == 6
    assert refused.json["fits"] is False
    assert refused.json["tightest"]["scope"] == "tenant:default"
    assert "tenant:default" in refused.err
    assert served.run("budget", "check", "all", "100").code == 0
    assert served.run("budget", "check", "key:ci", "10k-tokens").code == 0
    rows = {row["scope"]: row for row in served.run("budget", "list", "--json").json["budgets"]}
    assert rows["key:ci"]["tightest"] == "tenant:default week"
    assert rows["tenant:default"]["tightest"] is None
    shown = served.run("budget", "show", "key:ci")
    assert "tenant:default (week)" in shown.err


def test_reset_keeps_the_history(served):
    """After a reset nothing is spent and calls go through; the history and the ledger keep what was."""
    served.run("budget", "set", "key:ci", "1/day")
    ask(served.url, served.key)
    before = served.run("budget", "show", "key:ci", "--json").json["budgets"][0]["spent_nanousd"]
    assert before > 0
    after = served.run("budget", "reset", "key:ci", "-y", "--json").json["budgets"]
    assert [row["spent_nanousd"] for row in after] == [0]
    windows = served.run("budget", "history", "key:ci", "--json").json["windows"]
    assert [window["spent_nanousd"] for window in windows] == [before]
    assert served.run("db", "verify").code == 0


def test_list_is_for_people_and_programs(served):
    """A table has bars and words, csv and jsonl the same figures exactly, and it fits a narrow terminal."""
    served.run("budget", "set", "all", "0.0001/day")
    served.run("budget", "set", "key:ci", "1k-tokens/total")
    table = served.run("budget", "list", COLUMNS="160").out.splitlines()
    assert table[0].split() == [
        "SCOPE",
        "WINDOW",
        "SPENT",
        "HELD",
        "CEILING",
        "LEFT",
        "USED",
        "BURN",
        "RUNS",
        "OUT",
        "TIGHTEST",
    ]
    assert "1,000 tokens" in table[2]
    assert "░" in table[1]
    lines = [json.loads(line) for line in served.run("budget", "list", "-o", "jsonl").out.splitlines()]
    assert [line["unit"] for line in lines] == ["money", "tokens"]
    assert lines[1]["ends_at"] is None
    assert len(served.run("budget", "list", "-o", "csv").out.splitlines()) == 3
    assert max(map(len, served.run("budget", "list", COLUMNS="90").out.splitlines())) <= 90


def test_one_zone_for_gateway_and_commands(served):
    """`server.timezone` decides where a day ends for the gateway, the list and the report alike; --tz looks otherwise."""
    served.run("budget", "set", "all", "1/day")
    row = served.run("budget", "list", "--json").json["budgets"][0]
    answer = ask(served.url, served.key, path="/api/budget")
    assert answer["reset_at"].endswith("00:00:00+05:45")
    assert datetime.fromisoformat(row["ends_at"]) == datetime.fromisoformat(answer["reset_at"])
    other = served.run("budget", "list", "--tz", "Pacific/Auckland", "--json").json["budgets"][0]
    assert other["ends_at"] != row["ends_at"]


def test_api_budget(served):  # D-24
    """`GET /api/budget` has exactly S3's members with real figures, for any key and for nobody else."""
    empty = ask(served.url, served.key, path="/api/budget")
    assert empty["limits"] == {"soft": None, "medium": None, "hard": None}
    assert (empty["level"], empty["remaining"], empty["daily_spent"]) == ("ok", None, 0)
    served.run("budget", "set", "all", "50/day", "--soft", "0.000001", "--medium", "15")
    ask(served.url, served.key)
    found = ask(served.url, served.key, path="/api/budget")
    assert list(found) == [
        "date", "daily_spent", "request_count", "cheap_cost", "premium_cost", "cache_hits", "level", "limits",
        "remaining", "reset_at",
    ]  # fmt: skip
    assert found["limits"] == {"soft": 0.000001, "medium": 15.0, "hard": 50.0}
    assert found["level"] == "soft"
    assert found["request_count"] == 1
    assert found["remaining"] == pytest.approx(50 - found["daily_spent"])
    assert datetime.fromisoformat(found["reset_at"]).utcoffset() is not None
    assert found["date"] < found["reset_at"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(served.url, "lgw_wrong", path="/api/budget")
    refused.value.close()
    assert refused.value.code == 401


def test_a_key_is_made_with_its_budget(llmgw):
    """`key create --tenant --user --budget` makes the key and its ceiling at once; a wrong amount makes neither."""
    assert (
        llmgw.run("key", "create", "ci", "--tenant", "ml", "--user", "ada", "--budget", "20/month").code == 0
    )
    llmgw.run("budget", "set", "tenant:ml", "0.10/day")
    assert llmgw.run("budget", "check", "key:ci", "1").code == 6
    shown = llmgw.run("key", "show", "ci", "--json").json
    assert (shown["tenant"], shown["user"]) == ("ml", "ada")
    assert llmgw.run("budget", "list", "-q").out == "tenant:ml day\nkey:ci month\n"
    assert llmgw.run("key", "create", "other", "--budget", "much").code == 2
    assert llmgw.run("key", "list", "-q").out == "ci\n"
