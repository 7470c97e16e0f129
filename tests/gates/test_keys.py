"""A key opens what it should and nothing else, from the moment a command changed it."""

from __future__ import annotations

import time

import httpx
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


def ask(gateway: RunningGateway, token: str, header: str = "bearer", **changes: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if header == "bearer" else {header: token}
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, json=CHAT | changes)


def test_key_counts_from_the_next_request(gateway: RunningGateway) -> None:
    """A key made, rotated or revoked beside the running gateway counts on the very next request."""
    control = gateway.control
    _, token = control.create("ci")
    for header in ("bearer", "x-api-key", "x-llmgw-key"):
        assert ask(gateway, token, header).status_code == 200
    _, second = control.rotate("ci", grace=0)
    assert ask(gateway, token).status_code == 401
    assert ask(gateway, second).status_code == 200
    control.revoke("ci")
    assert ask(gateway, second).status_code == 401
    assert {row["key_name"] for row in gateway.requests()} == {"ci"}


def test_rotation_with_grace_keeps_the_old_value_for_a_while(gateway: RunningGateway) -> None:
    """Within the grace both values work; after it only the new one."""
    control = gateway.control
    _, old = control.create("ci")
    _, new = control.rotate("ci", grace=700_000_000)
    assert ask(gateway, old).status_code == ask(gateway, new).status_code == 200
    time.sleep(0.8)
    assert ask(gateway, old).status_code == 401
    assert ask(gateway, new).status_code == 200


def test_expired_key_is_refused_by_name(gateway: RunningGateway) -> None:
    """An expired key says which key expired, never its value."""
    _, token = gateway.control.create("old", expires_at=time.time_ns() - 1)
    reply = ask(gateway, token)
    assert reply.status_code == 401
    assert "`old` has expired" in reply.text
    assert token not in reply.text


def test_key_with_models_may_use_only_those(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """A key for some models gets 403 for others, and the list of models shows only its own."""
    _, token = gateway.control.create("narrow", models=("gpt-*",))
    assert ask(gateway, token).status_code == 200
    refused = ask(gateway, token, model="claude-sonnet-4-6")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "not_allowed"
    listed = httpx.get(gateway.url + "/v1/models", headers={"authorization": f"Bearer {token}"}).json()
    assert [model["id"] for model in listed["data"]] == ["gateway-auto", "gateway-premium", "gpt-4o-mini"]


def test_tags_of_key_and_header_meet_in_the_ledger(gateway: RunningGateway) -> None:
    """Tags of the key and of the `x-llmgw-tag` header stand together on the row, sorted."""
    _, token = gateway.control.create("tagged", tags=("team-b",))
    httpx.post(
        gateway.url + "/v1/chat/completions",
        headers={"authorization": f"Bearer {token}", "x-llmgw-tag": "nightly, team-b,a"},
        json=CHAT,
    )
    assert gateway.requests()[-1]["tags"] == "a,nightly,team-b"


def test_a_tag_moves_no_terminal(gateway: RunningGateway) -> None:
    """Tags are text in UTF-8; control characters, and what turns the direction of writing, are left out of them."""
    answer = httpx.post(
        gateway.url + "/v1/chat/completions",
        headers=[
            (b"authorization", gateway.auth["authorization"].encode()),
            (b"x-llmgw-tag", "caf\u00e9,a\u009b2J\u202eb".encode()),
        ],
        json=CHAT,
    )
    assert answer.status_code == 200
    assert gateway.requests()[-1]["tags"] == "a2Jb,caf\u00e9"
