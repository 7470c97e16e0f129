"""Alerts from the command line: what was noticed, and whether a test alert arrives."""

import json
import sys
import time

import pytest
from support.fake_server import FakeServer, json_reply


class Hook(FakeServer):
    status = 200

    def other(self, request):
        return json_reply({}, self.status)


@pytest.fixture
def hook():
    with Hook() as server:
        yield server


def configure(llmgw, text):
    llmgw.home.mkdir(exist_ok=True)
    (llmgw.home / "llmgw.toml").write_text(text, encoding="utf-8")


def test_nothing_noticed_and_nothing_configured(llmgw):
    """An empty list is an empty list, and a test without anywhere to send is an error that says what to do."""
    assert llmgw.run("alert", "list", "--json").json["notices"] == []
    tested = llmgw.run("alert", "test")
    assert tested.code == 2
    assert "[alerts]" in tested.err


def test_a_test_alert_arrives(llmgw, hook, tmp_path):
    """The webhook and the command hear of it, once each; the address is not shown."""
    seen = tmp_path / "seen"
    program = f"import sys; open({str(seen)!r}, 'w').write(sys.stdin.read())"
    command = json.dumps([sys.executable, "-c", program])
    configure(llmgw, f'[alerts]\nwebhook = "{hook.url}/s3cret"\nformat = "slack"\ncommand = {command}\n')
    tested = llmgw.run("alert", "test", "--json")
    assert tested.code == 0, tested.err
    assert [(each["name"], each["sent"]) for each in tested.json["alerts"]] == [
        ("webhook", True),
        ("command", True),
    ]
    [request] = hook.requests
    assert request.json == {"text": "llmgw: this is a test alert"}
    assert json.loads(seen.read_text(encoding="utf-8"))["kind"] == "test"
    shown = llmgw.run("config", "show")
    assert "s3cret" not in tested.out + tested.err + shown.out + shown.err


def test_a_test_alert_that_does_not_arrive(llmgw, hook):
    """The exit code tells scripts, the row tells why."""
    hook.status = 404
    configure(llmgw, f'[alerts]\nwebhook = "{hook.url}"\n')
    tested = llmgw.run("alert", "test", "--json")
    assert tested.code == 7
    assert tested.json["alerts"] == [
        {"name": "webhook", "sent": False, "error": "it answered with status 404"}
    ]


def test_a_loop_is_shown_and_lifted(llmgw, hook):
    """By default an agent that repeats itself is paused: list, status, webhook and `kill off` know of it."""
    configure(llmgw, f'[loops]\nrepeats = 3\n[alerts]\nwebhook = "{hook.url}"\n')
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json

    import httpx

    tools = [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]
    call = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "tools": tools}

    def ask():
        headers = {"authorization": f"Bearer {started['key']}"}
        return httpx.post(started["url"] + "/v1/chat/completions", headers=headers, json=call).status_code

    assert [ask() for _ in range(4)] == [200, 200, 200, 429]
    end = time.monotonic() + 10
    while not hook.requests:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert hook.requests[0].json["kind"] == "loop"
    [notice] = llmgw.run("alert", "list", "--json").json["notices"]
    assert "key default" in notice["message"]
    assert "KILL SWITCH  pause on key:default" in llmgw.run("status").out
    assert llmgw.run("kill", "off", "key:default").code == 0
    assert ask() == 200


def test_headroom_is_shown(llmgw):
    """What was heard stands in `status`, and by provider in `provider list --json`."""
    llmgw.home.mkdir(exist_ok=True)
    now = time.time_ns()
    minute = 60 * 10**9
    heard = [
        {
            "provider": "echo",
            "model": "echo",
            "at": now,
            "until": 0,
            "allowances": [{"kind": "tokens", "remaining": 900, "limit": 1000, "reset": minute}],
        },
        {"provider": "echo", "model": "shut", "at": now, "until": now + minute, "allowances": []},
        {"provider": "echo", "model": "old", "at": now - 120 * minute, "until": 0, "allowances": []},
    ]
    (llmgw.home / "headroom.json").write_text(json.dumps(heard), encoding="utf-8")
    shown = llmgw.run("status")
    assert "headroom  echo/echo has 900 of 1,000 tokens left" in shown.out
    assert "echo/shut refuses until" in shown.out
    told = llmgw.run("status", "--json").json["headroom"]
    assert [each["name"] for each in told] == ["echo/echo", "echo/shut"]
    assert told[0]["retry_at"] is None
    assert told[0]["left"][0]["remaining"] == 900
    [provider] = llmgw.run("provider", "list", "--json").json["providers"]
    assert [each["name"] for each in provider["headroom"]] == ["echo/echo", "echo/shut"]
