"""Alerts reach a webhook and a program, once each, and whatever ails those harms nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_openai import FakeOpenAI
from support.fake_server import FakeServer, Reply, Request, json_reply
from support.gateway import RunningGateway, upstream

from llmgw.config.control import Alerts
from llmgw.domain.budget import Budget, Window
from llmgw.domain.money import NANO
from llmgw.domain.scope import ALL
from llmgw.rules.tripping import Trips
from llmgw.service.alerting import Alerter, AlertFailed, channels
from llmgw.storage.budgets import Budgets
from llmgw.storage.notices import Notice

NOTICE = Notice(1_763_700_000 * NANO, "budget", "budget all", "budget all: $4.00 of <$5.00> spent & more")
CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}

OLD_PYTHON = pytest.mark.filterwarnings(
    "ignore:.imghdr. is deprecated:DeprecationWarning"
)  # Apprise imports it


class Hook(FakeServer):
    """A webhook that answers with the next of ``statuses``, at last with 200."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[int] = []

    def other(self, request: Request) -> Reply:
        return json_reply({}, self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        yield server


def send(alerts: Alerts, *notices: Notice) -> None:
    async def all_of_them() -> None:
        alerter = Alerter(alerts, (0.01, 0.01, 0.01))
        await asyncio.gather(*(alerter.send(notice) for notice in notices))

    asyncio.run(all_of_them())


def until(fact: Any) -> None:
    end = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (
            "json",
            {
                "source": "llmgw",
                "kind": "budget",
                "name": "budget all",
                "message": NOTICE.message,
                "at": "2025-11-21T04:40:00Z",
            },
        ),
        ("slack", {"text": "llmgw: budget all: $4.00 of &lt;$5.00&gt; spent &amp; more"}),
        ("discord", {"content": f"llmgw: {NOTICE.message}", "allowed_mentions": {"parse": []}}),
    ],
)
def test_shapes(shape: Any, body: dict[str, Any], hook: Hook) -> None:
    """Each service gets the JSON it understands, and the secret travels as a bearer token."""
    send(Alerts(webhook=hook.url + "/x", format=shape, secret="t0ken"), NOTICE)
    [request] = hook.requests
    assert (request.method, request.path, request.json) == ("POST", "/x", body)
    assert request.headers["authorization"] == "Bearer t0ken"


def test_ntfy(hook: Hook) -> None:
    """ntfy gets plain text with a title."""
    send(Alerts(webhook=hook.url + "/topic", format="ntfy"), NOTICE)
    [request] = hook.requests
    assert request.body.decode() == NOTICE.message
    assert request.headers["title"] == "llmgw: budget"
    assert "authorization" not in request.headers


def test_a_webhook_that_fails_is_tried_again(hook: Hook) -> None:
    """Errors of the server and 429 are tried again until it works, and no more often than that."""
    hook.statuses = [500, 429, 503]
    send(Alerts(webhook=hook.url), NOTICE)
    assert len(hook.requests) == 4


@pytest.mark.parametrize(("statuses", "tries"), [([500] * 9, 4), ([404], 1), ([302], 1)])
def test_what_cannot_be_sent_is_logged(
    statuses: list[int], tries: int, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    """After the last try, or at once where another makes no sense, one line is logged without the address."""
    hook.statuses = list(statuses)
    with caplog.at_level(logging.DEBUG):
        send(Alerts(webhook=hook.url + "/secret-path"), NOTICE)
    assert len(hook.requests) == tries
    [line] = [record.getMessage() for record in caplog.records if record.name == "llmgw.alerts"]
    assert str(statuses[0]) in line
    assert "secret-path" not in caplog.text


def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    """A webhook that cannot be reached is a line in the log."""
    send(Alerts(webhook="http://127.0.0.1:9/"), NOTICE)
    assert "cannot be reached (ConnectError)" in caplog.text


def test_a_command_reads_json(tmp_path: Path, hook: Hook) -> None:
    """The program gets its arguments as they are, without a shell, and the alert on stdin; the webhook gets it too."""
    seen = tmp_path / "seen"
    program = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read() + sys.argv[2])"
    send(Alerts(webhook=hook.url, command=(sys.executable, "-c", program, str(seen), "$HOME; *")), NOTICE)
    line, rest = seen.read_text(encoding="utf-8").split("\n")
    assert json.loads(line)["message"] == NOTICE.message
    assert rest == "$HOME; *"
    assert len(hook.requests) == 1


@pytest.mark.parametrize("command", [("/no/such/program",), (sys.executable, "-c", "raise SystemExit(3)")])
def test_a_command_that_fails_is_logged(command: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    """A program that is not there or fails is a line in the log."""
    send(Alerts(command=command), NOTICE)
    assert "cannot be run" in caplog.text or "ended with code 3" in caplog.text


def test_nothing_is_configured() -> None:
    """Without a webhook and a command there is no way to send anything."""
    assert dict(channels(Alerts())) == {}


def test_an_answer_without_an_end_is_not_read() -> None:
    """A webhook that says yes and then talks on for ever has taken the alert."""

    class Talking(Hook):
        def other(self, request: Request) -> Reply:
            return Reply(iter(lambda: time.sleep(0.01) or b"more " * 1000, b""))

    with Talking() as hook:
        begun = time.monotonic()
        send(Alerts(webhook=hook.url), NOTICE)
        assert time.monotonic() - begun < 3


def test_alerts_that_hang_keep_nobody_from_the_kill_switch(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    """While a webhook and a program take their time over many alerts, the switch is thrown at once. # D-21"""
    openai = [upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",))]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        alerts = Alerts(webhook=f"http://127.0.0.1:{silent.getsockname()[1]}", command=("sleep", "9"))
        with RunningGateway(tmp_path, openai, alerts=alerts) as gateway:
            with gateway.control as control:
                Budgets(control).set(*(Budget(scope=ALL, window=window, soft=1) for window in Window))
            assert httpx.post(
                gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL
            ).is_success
            time.sleep(0.5)
            begun = time.monotonic()
            thrown = httpx.post(
                gateway.url + "/admin/kill-switch?action=enable", headers=gateway.auth, timeout=30
            )
            assert thrown.is_success
            assert time.monotonic() - begun < 1


def test_a_budget_mark_is_alerted_once(tmp_path: Path, fake_openai: FakeOpenAI, hook: Hook) -> None:
    """A budget that passes its soft mark alerts once in its window, however many calls follow. # D-20"""
    openai = [upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",))]
    with RunningGateway(tmp_path, openai, alerts=Alerts(webhook=hook.url)) as gateway:
        with gateway.control as control:
            Budgets(control).set(Budget(scope=ALL, window=Window.DAY, hard=NANO, soft=1))
        for _ in range(5):
            assert httpx.post(
                gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL
            ).is_success
        until(lambda: hook.requests)
        time.sleep(0.3)
    [request] = hook.requests
    assert request.json["kind"] == "budget"
    assert "the soft mark" in request.json["message"]


def test_a_trip_is_alerted_and_harms_no_call(tmp_path: Path, fake_openai: FakeOpenAI, hook: Hook) -> None:
    """When the kill switch throws itself the webhook hears why; one that hangs delays nobody."""
    hook.statuses = [500]
    fake_openai.default = fake_openai.default.__class__(status=500)
    openai = [upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",))]
    trips = Trips(error_rate=0.5)
    with RunningGateway(tmp_path, openai, alerts=Alerts(webhook=hook.url), trips=trips) as gateway:
        for _ in range(12):
            httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL)
        until(lambda: len(hook.requests) == 3)  # one of them was told again
    [message] = {request.json["message"] for request in hook.requests if request.json["kind"] == "kill"}
    assert "requests failed within a minute" in message


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ({"hard": 10}, "the hard mark is at $0.00000001, calls that do not fit under it are refused"),
        ({"hard": NANO, "medium": 1}, "the medium mark is at $0.000000001, premium models are refused"),
    ],
)
def test_a_budget_that_refuses_is_alerted_once(
    marks: dict[str, int], words: str, tmp_path: Path, fake_openai: FakeOpenAI, hook: Hook
) -> None:
    """The first call that a hard or a medium mark refuses alerts, those after it do not. # D-20"""
    openai = [upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",), tier="premium")]
    with RunningGateway(tmp_path, openai, alerts=Alerts(webhook=hook.url)) as gateway:
        with gateway.control as control:
            Budgets(control).set(Budget(scope=ALL, window=Window.DAY, **marks))
        codes = [
            httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.auth, json=CALL).status_code
            for _ in range(6)
        ]
        until(lambda: hook.requests)
        time.sleep(0.3)
    assert codes[-4:] == [402] * 4
    [request] = hook.requests
    assert words in request.json["message"]


@OLD_PYTHON
def test_apprise_tells_everybody(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """Each address of Apprise is told once, with the kind as its title; none of them is logged."""
    port = hook.url.rpartition(":")[2]
    addresses = f"json://127.0.0.1:{port}/first-secret, json://127.0.0.1:{port}/second"
    with caplog.at_level(logging.DEBUG):
        send(Alerts(apprise=addresses), NOTICE)
    told = {request.path: request.json for request in hook.requests}
    assert told.keys() == {"/first-secret", "/second"}
    assert told["/second"]["title"] == "llmgw: budget"
    assert told["/second"]["message"] == NOTICE.message
    assert "first-secret" not in caplog.text


@OLD_PYTHON
@pytest.mark.parametrize(
    ("addresses", "installed", "words"),
    [
        ("nonsense-secret", True, "none that Apprise understands"),
        ("json://127.0.0.1:9/secret", True, "not everybody could be told"),
        ("json://127.0.0.1:9/secret", False, "llmgw[alerts]"),
    ],
)
def test_what_ails_apprise_is_said_without_its_addresses(
    addresses: str,
    installed: bool,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An address that is none, one that nobody answers at and a missing extra are told in words, without addresses."""
    if not installed:
        monkeypatch.setitem(sys.modules, "apprise", None)
    (_, way), *_ = channels(Alerts(apprise=addresses))
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(AlertFailed, match=words.replace("[", r"\[")) as failed,
    ):
        way(NOTICE)
    assert "secret" not in str(failed.value) + caplog.text
