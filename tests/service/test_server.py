"""Callers who stop reading: their connection ends within a bound, their call is billed, and slow ones go on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour
from support.gateway import RunningGateway, upstream

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def gateway(tmp_path: Path, fake_openai: FakeOpenAI) -> Iterator[RunningGateway]:
    fake_openai.default = Behaviour(text="word " * 600_000)
    openai = [upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",))]
    with RunningGateway(tmp_path, openai, write_timeout=1) as running:
        yield running


def connect(gateway: RunningGateway, *, stream: bool, room: int = 4096) -> socket.socket:
    body = json.dumps(CALL | {"stream": stream}).encode()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.connect(("127.0.0.1", gateway.port))
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s"
        % (gateway.token.encode(), len(body), body)
    )
    connection.settimeout(20)
    return connection


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_who_stops_reading_is_cut_off(
    stream: bool, gateway: RunningGateway, fake_openai: FakeOpenAI
) -> None:
    """Soon after the bound the upstream is let go and a row says what the answer has cost as far as it came."""
    with connect(gateway, stream=stream) as connection:
        connection.recv(1)
        end = time.monotonic() + 10
        while not (rows := gateway.requests()) or fake_openai.active:
            assert time.monotonic() < end, "it hangs"
            time.sleep(0.1)
        [row] = rows
        assert row["status"] == (499 if stream else 200)
        assert row["cost"] > 0


def test_a_caller_who_reads_slowly_is_served(gateway: RunningGateway, fake_openai: FakeOpenAI) -> None:
    """Whoever takes something within each span of the bound gets the whole answer, however long that takes."""
    fake_openai.default = Behaviour(text="word " * 2_000_000)
    began, got = time.monotonic(), b""
    with connect(gateway, stream=False, room=1 << 16) as connection:
        while not got.endswith(b"}}") and (chunk := connection.recv(1 << 20)):
            got += chunk
            if time.monotonic() - began < 3:
                time.sleep(0.2)
    assert time.monotonic() - began > 3
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert json.loads(body)["choices"][0]["message"]["content"].count("word") == 2_000_000
