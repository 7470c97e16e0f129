"""The gateway as a process: started, found, asked, ended."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from support.program import Program


def ask(url: str, key: str, text: str = "hello", **fields) -> dict:
    """One chat completion, as any HTTP client would ask for it."""
    body = {"model": "echo", "messages": [{"role": "user", "content": text}]} | fields
    request = urllib.request.Request(
        url + "/v1/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())


def serve(llmgw: Program, *words: str, **environ: str) -> dict:
    result = llmgw.run("serve", "--port", "0", "--json", *words, **environ)
    assert result.code == 0, result.err
    return result.json


def ends(pid: int) -> bool:
    """Whether a process is gone within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_serve_status_stop(llmgw):
    """A fresh home serves with one command, shows its first key once, is found, and stops without a trace."""
    started = serve(llmgw)
    assert started["key"].startswith("lgw_")
    assert [provider["name"] for provider in started["providers"]] == ["echo"]
    assert "hello" in ask(started["url"], started["key"])["choices"][0]["message"]["content"]
    status = llmgw.run("status", "--json")
    assert status.code == 0
    assert (status.json["url"], status.json["pid"]) == (started["url"], started["pid"])
    assert status.json["requests"]["today"] == 1
    assert f"gateway is up at {started['url']}" in llmgw.run().out
    stopped = llmgw.run("stop", "--json")
    assert (stopped.code, stopped.json["drained"]) == (0, True)
    assert ends(started["pid"])
    assert not (llmgw.home / "gateway.json").exists()
    assert [llmgw.run(word).code for word in ("status", "stop", "logs")] == [3, 3, 3]


def test_what_people_see_first(llmgw):
    """The words of the first start hold the address, what was found, the key and a curl that works as it stands."""
    out = llmgw.run("serve", "--port", "0").out
    assert "llmgw is up at http://127.0.0.1:" in out
    assert "no other provider is in use" in out
    curl = out[out.index("curl ") : out.index("\n\n  dashboard:")]
    done = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True)
    assert "hello" in json.loads(done.stdout)["choices"][0]["message"]["content"]
    assert "lgw_" not in llmgw.run("restart").out


def test_sources_of_credentials_are_told(llmgw):
    """Each provider is listed with where its credential came from, never with the credential."""
    result = llmgw.run("serve", "--port", "0", "--json", OPENAI_API_KEY="sk-secret-of-openai")
    (provider,) = result.json["providers"]
    assert (provider["name"], provider["source"]) == ("openai", "$OPENAI_API_KEY")
    assert "sk-secret" not in result.out + result.err
    assert b"sk-secret" not in Path(f"/proc/{result.json['pid']}/cmdline").read_bytes()


def test_a_second_start_is_refused(llmgw):
    """One home runs one gateway: exit 8, naming where it is."""
    started = serve(llmgw)
    again = llmgw.run("serve", "--port", "0")
    assert again.code == 8
    assert started["url"] in again.err
    assert llmgw.run("serve", "-F", "--port", "0").code == 8


def test_a_taken_port_names_who_has_it(llmgw):
    """Exit 8 when another program listens there, with its name; nothing is left running."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        result = llmgw.run("serve", "--port", str(port))
        assert result.code == 8
        assert f"port {port}" in result.err
        assert f"pid {os.getpid()}" in result.err
        assert llmgw.run("serve", "-F", "--port", str(port)).code == 8
    assert llmgw.run("status").code == 3


def test_a_killed_gateway_leaves_nothing_in_the_way(llmgw):
    """After kill -9 the run file is known to be stale, and the next start works and keeps the key."""
    started = serve(llmgw)
    os.kill(started["pid"], signal.SIGKILL)
    assert ends(started["pid"])
    assert (llmgw.home / "gateway.json").exists()
    assert llmgw.run("status").code == 3
    again = serve(llmgw)
    assert again["pid"] != started["pid"]
    assert again["key"] is None
    assert ask(again["url"], started["key"])


def test_another_program_with_the_same_pid_is_not_taken_for_it(llmgw):
    """A run file whose pid is alive but does not hold the lock is stale."""
    started = serve(llmgw)
    said = json.loads((llmgw.home / "gateway.json").read_text())
    llmgw.run("stop")
    (llmgw.home / "gateway.json").write_text(json.dumps(said | {"pid": os.getpid()}))
    assert llmgw.run("status").code == 3
    assert llmgw.run("stop").code == 3
    assert serve(llmgw)["pid"] != started["pid"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}'])
def test_a_damaged_run_file_means_not_running(llmgw, content):
    """A run file that cannot be read is no gateway and no traceback."""
    llmgw.home.mkdir()
    (llmgw.home / "gateway.json").write_text(content)
    assert llmgw.run("status").code == 3


def test_an_unwritable_home(tmp_path):
    """Exit 2, naming the folder and a way out."""
    (tmp_path / "file").write_text("")
    result = Program(tmp_path).run("serve", "--port", "0", "--home", str(tmp_path / "file" / "home"))
    assert result.code == 2
    assert str(tmp_path / "file") in result.err
    assert "--home" in result.err


def test_a_mistyped_config(llmgw):
    """Exit 2 and no start when the config holds an unknown option."""
    llmgw.home.mkdir()
    (llmgw.home / "llmgw.toml").write_text("[server]\nprot = 1\n")
    result = llmgw.run("serve", "--port", "0")
    assert result.code == 2
    assert "port" in result.err


def test_strangers_need_a_key(llmgw):
    """Listening beyond this machine is refused as long as no key exists, and fine once one does."""
    refused = llmgw.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.code == 6
    assert "0.0.0.0" in refused.err
    llmgw.run("key", "create", "mine")
    assert llmgw.run("serve", "--host", "0.0.0.0", "--port", "0").code == 0


def test_restart_repeats_what_was_typed(llmgw):
    """After a restart the gateway is another process at the same address, with the same flags and keys."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    started = llmgw.run("serve", "--demo", "--port", str(port), "--json").json
    again = llmgw.run("restart", "--json", OPENAI_API_KEY="sk-not-for-a-demo")
    assert again.json["url"] == started["url"]
    assert again.json["pid"] != started["pid"]
    assert [provider["name"] for provider in again.json["providers"]] == ["echo"]
    assert ask(again.json["url"], started["key"])


def test_a_broken_config_does_not_end_a_gateway_that_works(llmgw):
    """`restart` reads the config before it stops anything."""
    started = serve(llmgw)
    (llmgw.home / "llmgw.toml").write_text("[server]\nprot = 1\n")
    assert llmgw.run("restart").code == 2
    assert ask(started["url"], started["key"])
    assert llmgw.run("stop").code == 0


def test_stop_lets_requests_end(llmgw):
    """A request in flight gets its answer while the gateway stops."""
    started = serve(llmgw)
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(ask(started["url"], started["key"], model="echo/latency=1s"))
    )
    caller.start()
    time.sleep(0.3)
    assert llmgw.run("stop", "--json").json["drained"] is True
    caller.join(10)
    assert answers


def test_ctrl_c_on_stop_forces_the_end(llmgw):
    """Who does not want to wait for a slow request presses Ctrl-C: the gateway is gone at once, and that is said."""
    started = serve(llmgw)
    caller = threading.Thread(target=swallow, args=(started["url"], started["key"], "echo/latency=60s"))
    caller.start()
    time.sleep(0.5)
    stop = llmgw.start("stop", "--json")
    time.sleep(1)
    stop.send_signal(signal.SIGINT)
    out, err = stop.communicate(timeout=20)
    assert json.loads(out)["drained"] is False
    assert "by force" in err
    assert ends(started["pid"])
    caller.join(10)


def swallow(url: str, key: str, model: str) -> None:
    """Ask, and expect to be cut off."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask(url, key, model=model)


def test_status_waits(llmgw):
    """`serve --no-wait` returns at once, `status --wait` when it answers; waiting in vain ends with 124."""
    assert llmgw.run("status", "--wait", "200ms").code == 124
    assert llmgw.run("serve", "--port", "0", "--no-wait", "--json").json["state"] == "starting"
    assert llmgw.run("status", "--wait", "20s").code == 0


def test_foreground_logs_to_its_terminal_and_ends_on_a_signal(llmgw):
    """`serve -F` stays, logs to stderr, and ends cleanly on SIGTERM."""
    process = llmgw.start("serve", "-F", "--demo", "--port", "0")
    assert "llmgw is up at" in process.stdout.readline()
    assert llmgw.run("status").code == 0
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "info llmgw: stopped" in err
    assert llmgw.run("status").code == 3


def test_interrupt_ends_the_foreground(llmgw):
    """Ctrl-C on `serve -F` ends with 130 and no traceback."""
    process = llmgw.start("serve", "-F", "--demo", "--port", "0")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_starting_is_cheap(llmgw):
    """Ready in under one second of CPU, both processes together."""
    llmgw.run("key", "list")
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "spent = resource.getrusage(resource.RUSAGE_CHILDREN); print(spent.ru_utime + spent.ru_stime)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, "-m", "llmgw", "serve", "--port", "0"],
        capture_output=True,
        text=True,
        check=True,
        cwd=llmgw.home.parent,
        env=llmgw.environ,
    )
    pid = llmgw.run("status", "--json").json["pid"]
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    child = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
    assert float(done.stdout) + child < 1.0
