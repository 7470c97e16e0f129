"""LLM Gateway v2.0's `POST /admin/kill-switch`, with its answers. # D-21"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.gateway import RunningGateway, upstream


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path, [upstream("echo", "echo:")]) as running:
        yield running


def switch(gateway: RunningGateway, token: str | None = None, **query: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else gateway.auth
    return httpx.post(gateway.url + "/admin/kill-switch", params=query, headers=headers)


def ask(gateway: RunningGateway, path: str) -> httpx.Response:
    call = {"model": "echo", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    return httpx.post(gateway.url + path, headers=gateway.auth, json=call)


def test_the_answers_of_v2(gateway: RunningGateway) -> None:
    """enable, disable, status and anything else answer as they did; chat is 503 meanwhile and health 200."""
    status = switch(gateway, action="status").json()
    assert status == {
        "mode": "off",
        "reason": None,
        "activated_at": None,
        "activated_by": None,
        "error_rate": 0.0,
        "recent_requests": 0,
        "recent_errors": 0,
    }
    assert ask(gateway, "/v1/messages").status_code == 200
    assert switch(gateway, action="enable").json() == {"status": "enabled"}
    shown = switch(gateway, action="status").json()
    assert (shown["mode"], shown["reason"], shown["activated_by"]) == ("kill", "Manual activation", "api")
    assert shown["activated_at"] > 1.7e9
    assert shown["recent_requests"] == 1
    refused = ask(gateway, "/v1/chat/completions")
    assert refused.status_code == 503
    assert "Manual activation" in refused.json()["error"]["message"]
    refused = ask(gateway, "/v1/messages")
    assert (refused.status_code, refused.json()["type"]) == (503, "error")
    assert httpx.get(gateway.url + "/health").status_code == 200
    assert switch(gateway, action="disable").json() == {"status": "disabled"}
    assert ask(gateway, "/v1/chat/completions").status_code == 200


@pytest.mark.parametrize("query", [{}, {"action": ""}, {"action": "explode"}])
def test_an_action_there_is_not(gateway: RunningGateway, query: dict[str, str]) -> None:
    """Any other action is 400 in the words of v2."""
    reply = switch(gateway, **query)
    assert (reply.status_code, reply.json()) == (400, {"detail": "Invalid action"})


def test_who_may(gateway: RunningGateway) -> None:
    """Only a key with admin rights: none is 401, another one 403, and nothing changes."""
    with gateway.control as control:
        _, plain = control.create("ci")
        _, admin = control.create("ops", admin=True)
    assert httpx.post(gateway.url + "/admin/kill-switch?action=enable").status_code == 401
    assert switch(gateway, "lgw_wrong", action="enable").status_code == 401
    assert switch(gateway, plain, action="enable").status_code == 403
    assert switch(gateway, action="status").json()["mode"] == "off"
    assert switch(gateway, admin, action="enable", reason="drill").status_code == 200
    shown = switch(gateway, admin, action="status").json()
    assert (shown["reason"], shown["activated_by"]) == ("drill", "ops")
