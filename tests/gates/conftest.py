"""A gateway in front of one fake of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.gateway import RunningGateway, upstream


@pytest.fixture
def gateway(
    tmp_path: Path, fake_openai: FakeOpenAI, fake_anthropic: FakeAnthropic, fake_ollama: FakeOllama
) -> Iterator[RunningGateway]:
    upstreams = [
        upstream("openai", fake_openai.url + "/v1", models=("gpt-4o-mini",)),
        upstream("anthropic", fake_anthropic.url + "/v1", models=("claude-sonnet-4-6",)),
        upstream("ollama", fake_ollama.url, models=("llama3.2:latest",), credential=""),
    ]
    with RunningGateway(tmp_path, upstreams) as running:
        yield running


@pytest.fixture
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, headers=gateway.auth, timeout=10) as client:
        yield client
