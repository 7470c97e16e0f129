"""Fixtures that every room's tests may ask for: a fresh fake of each kind of upstream, on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake_openai() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as upstream:
        yield upstream


@pytest.fixture
def fake_anthropic() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as upstream:
        yield upstream


@pytest.fixture
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as upstream:
        yield upstream
