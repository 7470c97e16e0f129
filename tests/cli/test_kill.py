"""The kill switch from the command line. # D-21"""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest


def ask(url, key):
    """The status of one call to the built-in echo."""
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hi"}]}).encode()
    call = Request(f"{url}/v1/chat/completions", body, {"authorization": f"Bearer {key}"})
    try:
        with urlopen(call, timeout=10) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_with_the_gateway_down(llmgw):
    """The switch is thrown, shown with its reason and author, and lifted, with no gateway running."""
    thrown = llmgw.run("kill", "on", "paid", "--reason", "the bill", "--json")
    assert (thrown.code, thrown.json["scope"], thrown.json["mode"]) == (0, "paid", "kill")
    assert thrown.json["by"]
    assert thrown.json["thrown_at"].endswith("Z")
    (shown,) = llmgw.run("kill", "status", "--json").json["kills"]
    assert (shown["scope"], shown["mode"], shown["reason"]) == ("paid", "kill", "the bill")
    assert "KILL SWITCH  kill on paid: the bill" in llmgw.run("status").out
    assert llmgw.run("status", "--json").json["kills"] == [shown]
    lifted = llmgw.run("kill", "off", "paid")
    assert (lifted.code, lifted.out) == (0, "paid is open again\n")
    assert llmgw.run("kill", "status", "--json").json["kills"] == []
    assert "KILL SWITCH" not in llmgw.run("status").out


def test_with_the_gateway_up(llmgw):
    """It counts on the next call, also after a restart, until it is lifted."""
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json
    url, key = started["url"], started["key"]
    assert ask(url, key) == 200
    llmgw.run("kill", "on", "--reason", "drill")
    assert ask(url, key) == 503
    assert llmgw.run("restart").code == 0
    url = llmgw.run("status", "--json").json["url"]
    assert ask(url, key) == 503
    assert "KILL SWITCH" in llmgw.run("status").out
    assert llmgw.run("kill", "off").out == "all is open again\n"
    assert ask(url, key) == 200


def test_one_call_is_ended_and_its_switch_with_it(llmgw):
    """`request:ID` ends a call under way and leaves nothing behind; what has ended, or cannot be, is said so."""
    started = llmgw.run("serve", "--demo", "--port", "0", "--json").json
    body = {
        "model": "echo/chunk_delay=100ms,tokens=500",
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    }
    headers = {"authorization": f"Bearer {started['key']}"}
    with urlopen(
        Request(f"{started['url']}/v1/chat/completions", json.dumps(body).encode(), headers), timeout=20
    ) as answer:
        scope = f"request:{answer.headers['x-llmgw-request-id']}"
        done = llmgw.run("kill", "on", scope, "--reason", "enough")
        assert (done.code, done.out) == (0, f"{scope[8:]} is ended\n")
        assert "enough" in answer.read().decode()
    assert llmgw.run("kill", "status", "--json").json["kills"] == []
    again = llmgw.run("kill", "on", scope)
    assert (again.code, llmgw.run("kill", "status", "--json").json["kills"]) == (8, [])
    assert "has ended already" in again.err
    assert llmgw.run("kill", "throttle", scope).code == 2
    assert llmgw.run("kill", "on", "request:nonsense").code == 2


def test_a_scope_has_one_switch(llmgw):
    """A second switch on a scope takes the first one's place; lifting one tells which others are on."""
    llmgw.run("key", "create", "ci")
    for verb in ("throttle", "degrade"):
        assert llmgw.run("kill", verb, "key:ci").code == 0
    llmgw.run("kill", "on")
    shown = llmgw.run("kill", "status", "--json").json["kills"]
    assert [(each["scope"], each["mode"]) for each in shown] == [("key:ci", "degrade"), ("all", "kill")]
    lifted = llmgw.run("kill", "off")
    assert "still on for key:ci" in lifted.err
    again = llmgw.run("kill", "off")
    assert (again.code, again.out) == (0, "the kill switch was not on for all\n")


def test_a_slip_in_a_name_is_noticed(llmgw):
    """A key that nobody has is stopped all the same, and said to be unknown."""
    result = llmgw.run("kill", "on", "key:nobody")
    assert result.code == 0
    assert "no key `nobody`" in result.err


@pytest.mark.parametrize("words", [["on", "everything"], ["off", "key:"], ["throttle", "tier"], ["explode"]])
def test_exit_codes(llmgw, words):
    """What is no scope and no verb is a wrong command line."""
    result = llmgw.run("kill", *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")


def test_an_admin_key(llmgw):
    """`key create --admin` makes a key with admin rights, and shows that it has them."""
    assert llmgw.run("key", "create", "ops", "--admin", "--json").json["admin"] is True
    assert llmgw.run("key", "create", "ci", "--json").json["admin"] is False
