"""Figures without a full screen: watch, top, the status line, the demo."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import resource
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.beats import canned
from support.program import Program

from llmgw.cli import watching
from llmgw.rules.picture import Picture
from llmgw.service import glancing

WIDTHS = (40, 80, 100, 200)


def call(url: str, key: str, model: str) -> None:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello there"}]}).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        urllib.request.urlopen(urllib.request.Request(url + "/v1/chat/completions", body, headers)).close()
    except urllib.error.HTTPError as error:
        error.close()


def until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not fact():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A gateway with a priced echo: three calls of `default`, two of them from the cache, two of `ci`, one failed."""
    llmgw: Any = Program(tmp_path_factory.mktemp("watched") / "home")
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text('[prices."echo/echo"]\ninput = 2\noutput = 4\n')
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json
    llmgw.url, llmgw.key = started["url"], started["key"]
    ci = llmgw.run("key", "create", "ci", "--tag", "nightly", "-q").out.strip()
    llmgw.admin = llmgw.run("key", "create", "boss", "--admin", "-q").out.strip()
    llmgw.run("budget", "set", "all", "100/day")
    for key, model in [(llmgw.key, "echo")] * 3 + [(ci, "echo/echo"), (ci, "echo/error=500")]:
        call(llmgw.url, key, model)
    yield llmgw
    llmgw.run("stop")


@pytest.fixture
def picture() -> Picture:
    found = Picture()
    for beat in canned(20):
        found.take(beat)
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("plain", [False, True])
def test_every_width_holds_the_block(picture: Picture, width: int, plain: bool) -> None:
    """The block fits any terminal, is ASCII where only that can be shown, and warns of what presses."""
    lines = watching.block(picture, "live", "", width, plain=plain)
    assert max(map(len, lines)) <= width
    assert not plain or "".join(lines).isascii()
    assert any("!" in line and "tenant:ml 88 %" in line for line in lines)
    assert any("throttle tag:batch" in line for line in lines)


def test_states_are_said(picture: Picture) -> None:
    """What is not live says so before any figure, and a feed without a beat says why."""
    assert watching.line(picture, "stale").startswith("stale ")
    assert watching.line(picture, "live")[:2].isdigit()
    assert (
        watching.line(Picture(), "down", "the gateway is not running") == "down: the gateway is not running"
    )


def test_the_figures_are_those_of_the_report(served: Any) -> None:
    """What `watch --json` tells is what report, status and the list of requests tell. # D-26"""
    told = served.run("watch", "-n", "1", "--json").json
    (day,) = served.run("report", "daily", "--json").json["lines"]
    status = served.run("status", "--json").json
    assert told["today"]["requests"] == told["requests"] == day["requests"] == 5
    assert told["today"]["errors"] == day["errors"] == 1
    assert told["today"]["cost_nanousd"] == day["cost_nanousd"] > 0
    everywhere = served.run("statusline", "--json").json["burn_per_hour_nanousd"]
    assert told["burn_per_hour_nanousd"] == pytest.approx(everywhere, rel=0.01)
    assert told["today"]["saved_nanousd"] == day["cache_saved_nanousd"] > 0
    assert told["hit_rate"] == pytest.approx(status["cache"]["hit_rate"]) == 0.4
    assert told["month_usd"] == status["spend"]["month_usd"]
    assert told["state"] == "live"
    assert told["simulated"] is False


def test_a_pipe_gets_a_line_each_time(served: Any) -> None:
    """Each moment is one line, none of them drawn over another."""
    done = served.run("watch", "-n", "2", "--every", "0.3s")
    lines = done.out.splitlines()
    assert len(lines) == 2
    assert all("req/s" in line and "hit 40 %" in line for line in lines)
    assert "\x1b" not in done.out


def test_a_terminal_is_drawn_in_place(served: Any) -> None:
    """On a terminal the block is drawn over itself, without an alternate screen; textual is never loaded."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-X", "importtime", "-m", "llmgw", "watch", "-n", "3", "--every", "0.2s"]
    with subprocess.Popen(
        words, stdout=theirs, stderr=subprocess.PIPE, env=served.environ | {"TERM": "xterm", "COLUMNS": "90"}
    ) as process:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if not chunk:
                break
            drawn += chunk
        _, loaded = process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert b"llmgw live" in drawn
    assert "█".encode() in drawn
    assert b"\x1b[?1049h" not in drawn
    assert b"\x1b[1A" in drawn
    assert b"textual" not in loaded
    assert b"rich.live" in loaded


@pytest.mark.parametrize("words", [["watch", "-n", "1"], ["top", "--once"]])
def test_without_a_gateway(llmgw: Program, words: list[str]) -> None:
    """The exit code says that nothing runs."""
    done = llmgw.run(*words)
    assert done.code == 3
    assert "llmgw serve" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["watch", "--window", "2h"],
        ["watch", "--every", "1ms"],
        ["top", "--by", "shoe"],
        ["top", "--window", "x"],
    ],
)
def test_what_makes_no_sense(llmgw: Program, words: list[str]) -> None:
    """A window, a group or a pause that there is not is a usage error."""
    assert llmgw.run(*words).code == 2


def test_top_adds_up(served: Any) -> None:
    """Groups hold each request once, are sorted, and elsewhere are the same as here."""
    groups = served.run("top", "--by", "key", "--json").json["groups"]
    assert {group["name"]: group["requests"] for group in groups} == {"default": 3, "ci": 2}
    assert groups[0]["cost_nanousd"] >= groups[1]["cost_nanousd"]
    assert {group["name"]: group["hit_rate"] for group in groups}["default"] == pytest.approx(2 / 3)
    table = served.run("top", "--by", "model", "--sort", "requests", "--limit", "1")
    assert table.out.splitlines()[0].split()[:3] == ["MODEL", "REQ", "SHARE"]
    assert "▓▓▓" in table.out
    assert "1 of 2 groups" in table.err
    environ = {"LLMGW_URL": served.url, "LLMGW_ADMIN_KEY": served.admin}
    assert served.run("top", "--by", "key", "--json", **environ).json["groups"] == groups
    assert served.run("top", "--once", LLMGW_URL=served.url, LLMGW_ADMIN_KEY=served.key).code == 4


def test_the_line_up_and_down(served: Any, llmgw: Program) -> None:
    """The line tells today, what the caches did, $/h and the tightest budget; that the gateway is down comes first."""
    line = served.run("statusline").out
    assert " today · 40 % cached · $" in line
    assert " · all $100.00 left" in line
    assert line.endswith(" left\n")
    told = served.run("statusline", "--json").json
    assert (told["state"], told["requests_today"], told["hit_rate"]) == ("up", 5, 0.4)
    assert told["today_nanousd"] == served.run("status", "--json").json["spend"]["today_nanousd"]
    assert served.run("statusline", "--format", "{requests}/{errors}{left}").out.startswith("5/1 · all ")
    unknown = served.run("statusline", "--format", "{shoes}")
    assert (unknown.code, "shoes" in unknown.err) == (2, True)
    environ = {"LLMGW_URL": served.url, "LLMGW_ADMIN_KEY": served.admin}
    form = ("--format", "{today} {hit}{left}")
    assert served.run("statusline", *form, **environ).out == served.run("statusline", *form).out
    assert llmgw.run("statusline").out.startswith("llmgw down · $0.00 today")


def test_the_gateway_keeps_the_line_fresh(served: Any) -> None:
    """Once it was asked for, the figures lie ready in a file of the owner's, and are read from there."""
    file = served.home / "statusline"
    served.run("statusline")
    until(file.read_bytes)
    assert file.stat().st_mode & 0o777 == 0o600
    told = json.loads(file.read_text())
    told["glance"]["today_nanousd"] = 7_000_000_000
    file.write_text(json.dumps(told))
    assert served.run("statusline").out.startswith("$7.00 today")
    file.write_text(json.dumps(told | {"at": told["at"] - 60 * 10**9}))
    assert not served.run("statusline").out.startswith("$7.00 today")


def test_whoever_comes_back_reads_what_lies_ready(served: Any, llmgw: Program) -> None:
    """While nobody reads, figures hold for longer than while somebody does: the gateway writes them once a minute."""
    served.run("statusline")
    until((served.home / "statusline").read_bytes)
    told = json.loads((served.home / "statusline").read_text())
    told["glance"]["today_nanousd"] = 7_000_000_000
    told |= {"at": time.time_ns() - 60 * 10**9, "pid": os.getpid()}
    llmgw.home.mkdir()
    file = llmgw.home / "statusline"
    file.write_text(json.dumps(told))
    os.utime(file, (time.time() - 120, time.time() - 120))
    assert llmgw.run("statusline").out.startswith("$7.00 today")
    assert not llmgw.run("statusline").out.startswith("$7.00 today"), "it has been read just now"


def test_a_gateway_that_is_down_is_read_of_once(llmgw: Program) -> None:
    """Its ledger is not opened again as long as no file has changed, and at once where one has."""

    def loaded() -> tuple[str, set[str]]:
        words = [sys.executable, "-X", "importtime", "-m", "llmgw", "statusline"]
        done = subprocess.run(words, env=llmgw.environ, capture_output=True, check=True, text=True)
        return done.stdout, {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    llmgw.run("budget", "set", "all", "5/day")
    llmgw.run("statusline")  # makes the file, or has it made
    first, again = loaded(), loaded()
    assert first[0] == again[0]
    assert first[0].startswith("llmgw down · $0.00 today")
    assert "sqlite3" not in again[1]
    assert (llmgw.home / "statusline").stat().st_mode & 0o777 == 0o600
    llmgw.run("kill", "on")
    assert "kill" in loaded()[0]
    (llmgw.home / "llmgw.toml").write_text("")
    assert "sqlite3" in loaded()[1]
    file = llmgw.home / "statusline"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"until": time.time_ns()}))
    assert "sqlite3" in loaded()[1], "a new quarter of an hour may be a new day"


def test_a_line_that_nobody_reads_is_kept_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway goes on writing it, more seldom, and does not take its own writing for somebody's reading."""
    monkeypatch.setattr(glancing, "EVERY_SECONDS_UNREAD", 1)
    path, desks = tmp_path / "statusline", []

    def written(where: Path, _: Any, asked: tuple[int, int]) -> None:
        desks.append(asked)
        where.write_text("new")
        os.utime(where, ns=asked)

    monkeypatch.setattr(glancing, "_write", written)
    path.touch()
    os.utime(path, (1, 1))

    async def keep() -> None:
        keeping = asyncio.create_task(glancing.keep_glance(path, lambda _: None))  # type: ignore[arg-type,return-value]
        await asyncio.sleep(3.5)
        assert path.stat().st_mtime == 1
        keeping.cancel()

    asyncio.run(keep())
    assert 2 <= len(desks) <= 3
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        "garbage",
        "{}",
        "[]",
        '{"at": 9000000000000000000, "pid": "1", "glance": {}}',
        '{"at": 9000000000000000000, "pid": 99999999999999999999999, "glance": {}}',
        f'{{"at": 9000000000000000000, "pid": {os.getpid()}, "glance": {{}}}}',
    ],
    ids=["garbage", "nothing", "a list", "a word for a pid", "no pid", "no figures"],
)
def test_a_line_that_is_damaged_is_made_anew(llmgw: Program, content: str) -> None:
    """A file that a disk or another release has left otherwise is as none."""
    llmgw.home.mkdir()
    (llmgw.home / "statusline").write_text(content)
    line = llmgw.run("statusline")
    assert (line.code, line.err) == (0, "")
    assert line.out.startswith("llmgw down · $0.00 today")


def test_the_line_is_instant(served: Any) -> None:
    """60 ms of processor time, with nothing loaded that parses command lines or draws. # ux 4.2"""
    served.run("statusline")
    file, asked = served.home / "statusline", time.time_ns()
    until(lambda: file.read_bytes() and json.loads(file.read_text())["at"] > asked)
    words = [sys.executable, "-m", "llmgw", "statusline"]
    spent = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, env=served.environ, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) <= 0.060
    words.insert(1, "-X")
    words.insert(2, "importtime")
    loaded = subprocess.run(words, env=served.environ, capture_output=True, check=True).stderr.decode()
    names = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert not names & {"typer", "rich", "textual", "httpx", "sqlite3", "asyncio"}


@pytest.mark.parametrize(
    ("program", "file", "before"),
    [
        ("tmux", ".tmux.conf", "set -g mouse on\n"),
        ("claude", ".claude/settings.json", '{"model": "opus" /* mine */}\n'),
        ("starship", ".config/starship.toml", '# mine\n[custom.other]\ncommand = "x"\n'),
        ("tmux", ".tmux.conf", None),
    ],
)
def test_it_is_put_into_other_programs(llmgw: Program, program: str, file: str, before: str | None) -> None:
    """The settings keep what they held, have the line once however often it is installed, and come back byte for byte."""
    path = llmgw.home / file
    path.parent.mkdir(parents=True)
    if before is not None:
        path.write_text(before)
    printed = llmgw.run("statusline", "--install", program, "--print").out
    assert "statusline --home" in printed
    assert (path.read_text() if path.exists() else None) == before
    for _ in range(2):
        assert llmgw.run("statusline", "--install", program).code == 0
    text = path.read_text()
    assert text.count("statusline --home") == 1
    assert ("mouse" in text) == (before == "set -g mouse on\n")
    if program == "claude":
        assert json.loads(text) == {
            "model": "opus",
            "statusLine": {
                "type": "command",
                "command": f"{sys.executable} -m llmgw statusline --home {llmgw.home}",
                "padding": 0,
            },
        }
    assert llmgw.run("statusline", "--install", program, "--undo").code == 0
    assert (path.read_text() if path.exists() else None) == before
    assert llmgw.run("statusline", "--install", program, "--undo").code == 5


@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")
def test_tmux_understands_it(llmgw: Program) -> None:
    """A real tmux reads the settings and has the command in its status bar."""
    llmgw.home.mkdir()
    llmgw.run("statusline", "--install", "tmux")
    tmux = ["tmux", "-S", str(llmgw.home / "socket"), "-f", str(llmgw.home / ".tmux.conf")]
    shown = subprocess.run(
        [*tmux, "new-session", "-d", "sleep 5", ";", "show", "-g", "status-right", ";", "kill-server"],
        env=llmgw.environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"llmgw statusline --home {llmgw.home})" in shown


def test_sessions(served: Any) -> None:
    """A session is one key with one set of tags; together they hold every request."""
    sessions = served.run("report", "session", "--json").json["sessions"]
    assert {(each["key"], tuple(each["tags"]), each["requests"]) for each in sessions} == {
        ("default", (), 3),
        ("ci", ("nightly",), 2),
    }
    assert all(each["running"] for each in sessions)
    assert (
        sum(each["cost_nanousd"] for each in sessions)
        == served.run("status", "--json").json["spend"]["today_nanousd"]
    )
    table = served.run("report", "session", "--key", "ci").out.splitlines()
    assert table[0].split()[:4] == ["BEGAN", "LASTED", "KEY", "TAGS"]
    assert len(table) == 2
    assert served.run("report", "session", "--gap", "1m").code == 2
    assert served.run("report", "session", "--csv").out.startswith("starts_at,ends_at,running,key")


def test_reports_say_where_it_goes(served: Any) -> None:
    """Below a table stand the sum, a curve and the month's end; columns go with --compact and --no-cost."""
    daily = served.run("report", "daily")
    assert "▓▓▓" in daily.out
    assert "in 5 requests  █" in daily.err
    assert "projected" in daily.err
    assert "SHARE" not in served.run("report", "daily", "--compact").out
    plain = served.run("report", "daily", "--no-cost", "--timezone", "UTC")
    assert "$" not in plain.out + plain.err
    assert "bar" not in served.run("report", "daily", "--csv").out
    assert served.run("report", "daily", "--json").err == ""


def test_the_demo_touches_nothing(llmgw: Program, tmp_path: Path) -> None:
    """Simulated traffic is seen, and said to be simulated; no key is used and nothing is left behind."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    environ = {
        "TMPDIR": str(folder),
        "OPENAI_API_KEY": "sk-planted-0123456789",
        "LLMGW_URL": "http://127.0.0.1:9",
        "LLMGW_ADMIN_KEY": "lgw_planted0123456789",
    }
    done = llmgw.run("demo", "--no-dash", "--seconds", "3", "--json", **environ)
    ticks = [json.loads(line) for line in done.out.splitlines()]
    assert len(ticks) == 3
    assert all(tick["simulated"] and tick["state"] == "live" for tick in ticks)
    assert ticks[-1]["today"]["requests"] > 100
    assert ticks[-1]["requests_per_second"] > 0
    assert ticks[-1]["month_nanousd"] > 0
    assert "simulated" in done.err
    assert list(folder.iterdir()) == []
    assert not llmgw.home.exists()


def test_a_demo_that_is_killed_leaves_nothing(llmgw: Program, tmp_path: Path) -> None:
    """Also a demo that is killed takes its gateway and its files with it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    process = llmgw.start("demo", "--no-dash", TMPDIR=str(folder))
    assert process.stdout is not None
    process.stdout.readline()
    (home,) = folder.iterdir()
    process.kill()
    process.communicate()
    until(lambda: not home.exists())


@pytest.mark.parametrize(
    "words",
    [
        ["watch", "-n", "1"],
        ["watch", "-n", "1", "--json"],
        ["top"],
        ["top", "--json"],
        ["status"],
        ["logs"],
        ["stop"],
        ["run", "--budget", "1", "--", "true"],
        ["request", "stop", "req_6hc31cn3r0000"],
    ],
)
def test_without_a_gateway_all_say_the_same(llmgw: Program, words: list[str]) -> None:
    """Whatever needs a running gateway ends with 3, and names the command that starts one in the same words."""
    done = llmgw.run(*words)
    assert done.code == 3, done.err
    assert done.err.endswith("hint: start it with `llmgw serve`\n")


def test_a_log_without_its_gateway_says_how_to_go_on(llmgw: Program) -> None:
    """The end of the last log is shown, then what the other commands say."""
    llmgw.run("serve", "--demo", "--port", "0")
    llmgw.run("stop")
    done = llmgw.run("logs")
    assert (done.code, bool(done.out)) == (3, True)
    assert done.err.endswith("hint: start it with `llmgw serve`\n")


def test_a_gateway_that_ends_meanwhile_is_told(picture: Picture) -> None:
    """The line of a pipe names what is wrong beside the figures that were."""
    line = watching.line(picture, "down", "the gateway is not running")
    assert line.startswith("down ")
    assert line.endswith("the gateway is not running")
