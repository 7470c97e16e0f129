"""What lies beside the calls themselves: knocks at the door, addresses that programs get slightly wrong."""

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


@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_a_knock_is_answered(gateway: RunningGateway, path: str) -> None:
    """Claude Code's first request, a HEAD without a key, finds somebody at home."""
    assert httpx.head(gateway.url + path).status_code == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/messages", "/v1/chat/completions", "/chat/completions"])
def test_a_base_url_with_or_without_v1(gateway: RunningGateway, path: str) -> None:
    """OpenAI's SDKs want `/v1` in the base URL, Anthropic's do not, the AI SDK does; each may be set either way."""
    call = {"model": "echo", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    assert httpx.post(gateway.url + path, headers=gateway.auth, json=call).status_code == 200


def test_a_surface_that_is_not_there(gateway: RunningGateway) -> None:
    """A program that speaks a protocol we do not serve is told which ones we do."""
    reply = httpx.post(gateway.url + "/v1/responses", headers=gateway.auth, json={})
    assert reply.status_code == 404
    assert "/v1/chat/completions" in reply.json()["error"]["message"]
