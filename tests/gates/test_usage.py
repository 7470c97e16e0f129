"""Tokens are counted alike wherever an upstream tells them, so that a streamed answer costs what a plain one does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour, FakeServer
from support.gateway import RunningGateway, upstream

from llmgw.providers.registry import providers
from llmgw.rules.estimating import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

SURFACES = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
SAID = Behaviour(
    text="A streamed answer costs what a plain one does.",
    input_tokens=1_200,
    output_tokens=340,
    cache_read_tokens=800,
    cache_write_tokens=90,
)
UNPRICED = {"huggingface"}
"""A router whose price depends on the provider it picks, so that it is unknown, which is never zero."""

TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "estimated",
    "complete",
    "cost",
    "premium_cost",
)


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, FakeServer]]:
    """One fake of each dialect, all saying the same."""
    with FakeOpenAI() as chat, FakeAnthropic() as messages, FakeOllama() as ollama:
        yield {"openai_chat": chat, "anthropic": messages, "ollama": ollama}


@pytest.fixture(scope="module")
def everywhere(
    fakes: dict[str, FakeServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with every known provider."""
    upstreams = [
        upstream(each.name, fakes[each.dialect].url + ("" if each.dialect == "ollama" else "/v1"))
        for each in providers().values()
    ]
    with RunningGateway(tmp_path_factory.mktemp("everywhere"), upstreams) as gateway:
        yield gateway


def ask(gateway: RunningGateway, surface: str, model: str, *, stream: bool) -> dict[str, Any]:
    """The ledger's row of one call."""
    call = {
        "model": model,
        "max_tokens": 400,
        "messages": [{"role": "user", "content": "What does it cost?"}],
    }
    reply = httpx.post(gateway.url + SURFACES[surface], json=call | {"stream": stream}, headers=gateway.auth)
    assert reply.status_code == 200, reply.text
    return gateway.requests()[-1]


def tokens(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in TOKENS}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("name", list(providers()))
def test_streamed_cost_is_plain_cost(
    name: str, surface: str, everywhere: RunningGateway, fakes: dict[str, FakeServer]
) -> None:
    """For every provider and either caller the streamed answer has the tokens and the price of the plain one."""
    provider = providers()[name]
    if provider.dialect != "ollama" and name != "echo":
        place = "last" if provider.dialect == "openai_chat" and provider.stream_usage == "always" else ""
        fakes[provider.dialect].default = SAID
        fakes[provider.dialect].behave()
        fakes[provider.dialect].behave(usage_in=place)
    models = {"ollama": ("llama3.2",)}.get(name, provider.default_models)
    model = f"{name}/{models[0] if models else 'any-model'}"

    plain = ask(everywhere, surface, model, stream=False)
    streamed = ask(everywhere, surface, model, stream=True)

    assert tokens(streamed) == tokens(plain)
    assert (plain["stream"], streamed["stream"]) == (0, 1)
    assert not plain["estimated"]
    assert plain["input_tokens"]
    assert plain["output_tokens"]
    if name in UNPRICED:
        assert plain["cost"] is None
    else:
        assert plain["cost"] == 0 if provider.local else plain["cost"] > 0


def chunk(**members: Any) -> bytes:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    return b"data: " + json.dumps(base | members).encode() + b"\n\n"


def said(text: str, reason: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]


def told(output: int) -> dict[str, int]:
    return {"prompt_tokens": 1_000, "completion_tokens": output, "total_tokens": 1_000 + output}


DONE = b"data: [DONE]\n\n"
PLACES = {
    "last content chunk": chunk(choices=said("one "))
    + chunk(choices=said("two", "stop"), usage=told(500))
    + DONE,
    "chunk without choices": chunk(choices=said("one two", "stop"), usage=None)
    + chunk(choices=[], usage=told(500))
    + DONE,
    "after the last finish reason, in a chunk with a choice": chunk(choices=said("one two", "stop"))
    + chunk(choices=said(""), usage=told(500))
    + DONE,
    "every chunk, growing": chunk(choices=said("one "), usage=told(200))
    + chunk(choices=said("two", "stop"), usage=told(500))
    + DONE,
    "twice, the same": chunk(choices=said("one two", "stop"), usage=told(500))
    + chunk(choices=[], usage=told(500))
    + DONE,
    "twice, the second with nothing": chunk(choices=said("one two", "stop"), usage=told(500))
    + chunk(choices=[], usage=told(0) | {"prompt_tokens": 0, "total_tokens": 0})
    + DONE,
    "x_groq": chunk(choices=said("one two"))
    + chunk(choices=said("", "stop"), x_groq={"usage": told(500)})
    + DONE,
    "last event, without a blank line or [DONE]": chunk(choices=said("one two", "stop"))
    + chunk(choices=[], usage=told(500)).rstrip(),
}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("piece", [3, 1 << 20])
def test_usage_is_found_wherever_a_stream_tells_it(
    place: str, surface: str, piece: int, everywhere: RunningGateway, fakes: dict[str, FakeServer]
) -> None:
    """Relayed or translated, in one piece or in crumbs: 1,000 tokens in and 500 out are counted, once. # D-02"""
    fakes["openai_chat"].behave(raw=PLACES[place], raw_type="text/event-stream", raw_piece=piece)

    row = ask(everywhere, surface, "openai/gpt-4o-mini", stream=True)

    assert (row["input_tokens"], row["output_tokens"], row["estimated"]) == (1_000, 500, 0)
    assert row["cost"] == 450_000  # 1000 x $0.15/M + 500 x $0.60/M
    assert (row["finish_reason"], row["error"]) == ("stop", "")


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("place", ["both", "delta"])
def test_usage_of_anthropic_streams(
    place: str, surface: str, everywhere: RunningGateway, fakes: dict[str, FakeServer]
) -> None:
    """Input in `message_start` and output in `message_delta`, or everything in `message_delta` alone: the plain cost."""
    fakes["anthropic"].default = SAID
    plain = ask(everywhere, surface, "anthropic/claude-sonnet-4-6", stream=False)
    fakes["anthropic"].behave(usage_in=place)

    streamed = ask(everywhere, surface, "anthropic/claude-sonnet-4-6", stream=True)

    assert tokens(streamed) == tokens(plain)
    assert streamed["input_tokens"] == 1_200 + 800 + 90
    assert (streamed["cache_read_tokens"], streamed["cache_write_tokens"]) == (800, 90)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("dialect", "model"),
    [
        ("openai_chat", "openai/gpt-4o-mini"),
        ("anthropic", "anthropic/claude-sonnet-4-6"),
        ("ollama", "ollama/llama3.2"),
    ],
)
def test_absent_usage_is_estimated_and_marked(
    dialect: str,
    model: str,
    surface: str,
    stream: bool,
    everywhere: RunningGateway,
    fakes: dict[str, FakeServer],
) -> None:
    """Where an upstream tells no usage, what was read and written is estimated, priced and marked as such."""
    fakes[dialect].default = SAID
    fakes[dialect].behave(usage_in="never")

    row = ask(everywhere, surface, model, stream=stream)

    assert (row["estimated"], row["complete"], row["status"]) == (1, 1, 200)
    assert 3 <= row["input_tokens"] <= 60
    assert row["output_tokens"] == estimate_tokens(SAID.text) or dialect == "ollama"
    assert row["cost"] > 0 or dialect == "ollama"
