"""What a caller may send, by mistake or on purpose: an error in its dialect, never a 500, and nothing odd in the ledger."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway
from support.raw import converse

HI = [{"role": "user", "content": "hi"}]
CHAT = {"model": "gpt-4o-mini", "messages": HI}
MESSAGES = {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": HI}
CALLS = {"/v1/chat/completions": CHAT, "/v1/messages": MESSAGES, "/v1/messages/count_tokens": MESSAGES}


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(
    "model", ["openai/gpt\r\nx-evil: 1", "openai/a\0b", "openai/" + "m" * 100_000, "openai/a\u2028b"]
)
def test_what_cannot_be_a_model_is_400(
    path: str, model: str, http: httpx.Client, gateway: RunningGateway
) -> None:
    """A name with control characters or of great length reaches no header, no upstream and no row."""
    reply = http.post(path, json=CALLS[path] | {"model": model})
    assert reply.status_code == 400
    assert "'model'" in reply.json()["error"]["message"]
    assert all(row["model_asked"] == "" for row in gateway.requests())


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("model", ["gpt-4o-mini", "claude-sonnet-4-6"])
@pytest.mark.parametrize(
    "member",
    ['"x":' + "9" * 5_000, '"seed":' + "9" * 40, '"max_tokens":' + "9" * 31, '"\\ud800":1', '"\xff":1'],
)
def test_odd_members_are_no_fault_of_ours(path: str, model: str, member: str, http: httpx.Client) -> None:
    """Numbers beyond all bounds and names that are no text pass or are refused, relayed or translated."""
    body = json.dumps(CALLS[path] | {"model": model})[:-1] + f",{member}}}"
    assert http.post(path, content=body.encode("latin-1")).status_code in {200, 400}


def test_names_of_dropped_fields_are_one_line(http: httpx.Client) -> None:
    """A field that a target cannot take is named in a header, whatever characters its name has."""
    reply = http.post(
        "/v1/messages", json=MESSAGES | {"model": "gpt-4o-mini", "a\r\nx-evil: 1": 1, "é" * 2_000: 2}
    )
    assert reply.status_code == 200
    assert "x-evil" not in reply.headers
    assert len(reply.headers["x-llmgw-dropped"]) <= 1_000


@pytest.mark.parametrize("host", ["[", "evil.example", "a b"])
@pytest.mark.parametrize("path", ["/nothing", "/v1/models/", "/health/", "//"])
def test_host_header_decides_nothing(host: str, path: str, gateway: RunningGateway) -> None:
    """A Host header, valid or not, leads to no redirect and no fault."""
    said = converse(
        gateway.port, f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode()
    )
    assert said.startswith((b"HTTP/1.1 404", b"HTTP/1.1 401")), said
    assert b"location" not in said.lower()
    assert b'"message"' in said


def test_key_counts_beside_an_empty_bearer(gateway: RunningGateway) -> None:
    """Programs that send an empty `Authorization: Bearer` along with `x-api-key` are known by the latter."""
    head = "GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \r\nconnection: close\r\n"
    assert converse(gateway.port, f"{head}x-api-key: {gateway.token}\r\n\r\n".encode()).startswith(
        b"HTTP/1.1 200"
    )
    assert converse(gateway.port, f"{head}\r\n".encode()).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 hello\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"BREW /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_told_so(sent: bytes, gateway: RunningGateway) -> None:
    """Bytes that are no request get a 400 with an error in JSON, and the connection ends."""
    head, _, body = converse(gateway.port, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["error"]["message"]


def test_endless_headers_are_431(gateway: RunningGateway) -> None:
    """Nobody who has shown no key can fill memory with headers."""
    for line in (b"x-a: %s\r\n" % (b"a" * 1_000), b"a" * 1_000):
        said = converse(gateway.port, b"GET /health HTTP/1.1\r\nhost: x\r\n" + line * 400)
        assert said.startswith(b"HTTP/1.1 431")
    assert httpx.get(gateway.url + "/health").status_code == 200


def test_caller_who_leaves_before_the_body_is_whole_leaves_nothing(
    gateway: RunningGateway, http: httpx.Client, fake_openai: FakeOpenAI
) -> None:
    """A request that never became whole asks nobody and is no row."""
    body = json.dumps(CHAT)
    whole = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.token}\r\n"
    for length in range(0, len(body), 9):
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(f"{whole}content-length: {len(body)}\r\n\r\n{body[:length]}".encode())
    assert http.post("/v1/chat/completions", json=CHAT).status_code == 200
    assert len(gateway.requests()) == len(fake_openai.chats) == 1


def test_pipelined_requests_are_answered_in_order(
    gateway: RunningGateway, fake_anthropic: FakeAnthropic, tmp_path: Path
) -> None:
    """Ten requests in one packet get ten answers on one connection."""
    body = json.dumps(MESSAGES)
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.token}\r\ncontent-length: {len(body)}\r\n"
    said = converse(
        gateway.port, f"{head}\r\n{body}".encode() * 9 + f"{head}connection: close\r\n\r\n{body}".encode()
    )
    assert said.count(b"HTTP/1.1 200 OK") == 10
    assert len(gateway.requests()) == 10
