"""What the ledger's commands show of real requests."""

import csv
import io
import json
import time
import urllib.error
import urllib.request

import pytest
from support.program import Program


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A gateway that answered three requests of `default` and one of `ci`, and one that failed."""
    llmgw = Program(tmp_path_factory.mktemp("served") / "home")
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json
    ci = llmgw.run("key", "create", "ci", "--tag", "nightly", "-q").out.strip()
    for key, model in [(started["key"], "echo")] * 3 + [(ci, "echo/echo"), (ci, "echo/error=500")]:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello there"}]}).encode()
        request = urllib.request.Request(
            started["url"] + "/v1/chat/completions",
            body,
            {"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as error:
            error.close()
    llmgw.url, llmgw.key = started["url"], started["key"]
    yield llmgw
    llmgw.run("stop")


def test_list_is_json_with_everything(served):
    """A list as JSON holds tokens, both forms of money, target, tier and verdict of each request."""
    listed = served.run("request", "list", "--status", "ok", "--json").json
    assert listed["schema"] == 1
    newest = listed["requests"][0]
    assert newest["id"].startswith("req_")
    assert (newest["key"], newest["tags"], newest["target"], newest["tier"]) == (
        "ci",
        ["nightly"],
        "echo/echo",
        "local",
    )
    assert (newest["cost_nanousd"], newest["cost_usd"], newest["status"]) == (0, "0", 200)
    assert newest["usage"]["input_tokens"] > 0
    assert newest["started_at"].endswith("Z")


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ([], 5),
        (["--key", "ci"], 2),
        (["--key", "nobody"], 0),
        (["--status", "error"], 1),
        (["--status", "500"], 1),
        (["--status", "upstream_refused"], 1),
        (["--model", "echo/ec*"], 4),
        (["--provider", "echo", "--tier", "local", "--tag", "nightly"], 2),
        (["--min-cost", "0.01"], 0),
        (["--since", "1h"], 5),
        (["--until", "1h"], 0),
        (["--limit", "2"], 2),
        (["--sort", "tokens"], 5),
        (["--sort", "latency", "--limit", "1"], 1),
    ],
)
def test_filters(served, words, count):
    """Each filter keeps what it says and nothing else."""
    assert len(served.run("request", "list", *words, "-q").out.split()) == count


def test_a_cut_list_is_announced(served):
    """What --limit left out is said on stderr with the whole number."""
    assert served.run("request", "list", "--limit", "2").err == "note: 2 of 5 requests (use --limit)\n"


def test_formats_agree(served):
    """Every format tells the same requests."""
    ids = served.run("request", "list", "-q").out.split()
    lines = served.run("request", "list", "-o", "jsonl").out.splitlines()
    table = served.run("request", "list", COLUMNS="200").out.splitlines()
    rows = list(csv.DictReader(io.StringIO(served.run("request", "list", "-o", "csv").out)))
    assert [json.loads(line)["id"] for line in lines] == ids == [row["id"] for row in rows]
    assert [line.split()[0] for line in table[1:]] == ids
    assert rows[0]["usage.input_tokens"].isdecimal()
    failed = served.run("request", "list", "--status", "error", "--fields", "error.code", "-o", "jsonl").out
    assert json.loads(failed) == {"error.code": "upstream_refused"}


def test_show_explains_one(served):
    """One request is shown with its attempts; an unknown or a mistyped id says so."""
    ident = served.run("request", "list", "--key", "ci", "--status", "ok", "-q").out.strip()
    shown = served.run("request", "show", ident, "--json").json
    assert shown["id"] == ident
    assert [attempt["state"] for attempt in shown["attempts"]] == ["settled"]
    text = served.run("request", "show", ident).out
    assert "attempt 1" in text
    assert "$0.00" in text
    assert served.run("request", "show", "req_0000000000001").code == 5
    assert served.run("request", "show", "nonsense!").code == 2


def test_tail_shows_requests_as_they_end(served):
    """A tail begins with the last ones and goes on with what comes, one JSON object a line."""
    tail = served.start("request", "tail", "-n", "1", "--json")
    first = json.loads(tail.stdout.readline())
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "new"}]}).encode()
    request = urllib.request.Request(
        served.url + "/v1/chat/completions",
        body,
        {"authorization": f"Bearer {served.key}", "content-type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()
    second = json.loads(tail.stdout.readline())
    tail.terminate()
    tail.communicate(timeout=10)
    assert second["id"] > first["id"]
    assert second["key"] == "default"


@pytest.mark.parametrize("window", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("by", [None, "model", "key", "tier", "tag", "provider"])
def test_reports_add_up(served, window, by):
    """Grouped or not, the requests of a report add up to those of the ledger."""
    words = ["--by", by] if by else []
    lines = served.run("report", window, *words, "--json").json["lines"]
    everything = len(served.run("request", "list", "-q").out.split())
    assert sum(line["requests"] for line in lines) == everything
    assert all("cost_usd" in line for line in lines)


def test_report_breakdown_csv_and_range(served):
    """--breakdown adds the models of each line, --csv writes all of it, and a range without requests is empty."""
    out = served.run("report", "monthly", "--by", "key", "--breakdown", "--csv").out
    rows = list(csv.DictReader(io.StringIO(out)))
    whole = [row for row in rows if not row["within"] and row["key"] == "ci"]
    assert int(whole[0]["requests"]) == 2
    assert {row["within"] for row in rows if row["key"] == "default"} == {"", "echo/echo"}
    assert served.run("report", "daily", "--until", "2020-01-01", "--json").json["lines"] == []
    assert served.run("report", "daily", "--since", "today", "--until", "yesterday").code == 2
    assert served.run("report", "daily", "--tz", "Mars/Olympus").code == 2


def test_logs_are_filtered_and_followed(served):
    """The log is cut by --tail and --level, told as JSON, and followed as it grows."""
    assert "is up at" in served.run("logs").out
    assert served.run("logs", "--level", "error").out == ""
    assert served.run("logs", "--tail", "1", "--json").json["lines"][0]["level"] in {"info", "warning"}
    follow = served.start("logs", "-f", "--tail", "0")
    time.sleep(0.5)
    with (served.home / "gateway.log").open("a") as log:
        log.write("2099-01-01T00:00:00.000Z warning llmgw.test: written later\n")
    found = ""
    while "written later" not in found:
        found = follow.stdout.readline()
    follow.terminate()
    follow.communicate(timeout=10)
