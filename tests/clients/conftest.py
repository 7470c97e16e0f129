"""Gateways for real programs: in front of their own provider, in front of another one only, and with nothing but echo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.acting import ActingAnthropic, ActingOpenAI
from support.clients import CLAUDE, GPT
from support.fake_server import Behaviour
from support.served import Serve, Served


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve("openai", aliases={...})` starts a gateway in front of fakes of these providers, none for echo."""
    kinds = {"openai": (ActingOpenAI, GPT), "anthropic": (ActingAnthropic, CLAUDE)}
    with ExitStack() as stack:

        def start(*names: str, aliases: dict[str, str] | None = None) -> Served:
            fakes = {}
            for name in names:
                kind, model = kinds[name]
                fakes[name] = stack.enter_context(kind(models=(model,)))
                fakes[name].default = Behaviour(text="The answer is 42.", input_tokens=321, output_tokens=45)
            return stack.enter_context(Served(tmp_path, fakes, aliases))

        yield start
