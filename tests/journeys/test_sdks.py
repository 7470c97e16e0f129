"""The official SDKs, unmodified, with nothing but a base URL: relayed to their own provider, translated to another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel
from support.fake_anthropic import FakeAnthropic
from support.fake_ollama import FakeOllama
from support.fake_openai import FakeOpenAI
from support.fake_server import Behaviour, FakeServer
from support.gateway import RunningGateway, upstream

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-6", "ollama": "llama3.2:latest"}
TEXT = "Rome is the capital of Italy."
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
HI: Any = [{"role": "user", "content": "What is the capital of Italy?"}]
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PLACE}}
MESSAGES_TOOL: Any = {"name": "weather", "input_schema": PLACE}
CALLS = (("weather", {"city": "Rome"}), ("weather", {"city": "Milan"}))


class Verdict(BaseModel):
    answer: int


@dataclass
class There:
    """A gateway in front of one provider of each kind; ``upstream`` is the one this test talks to, by ``model``."""

    gateway: RunningGateway
    upstream: FakeServer
    model: str
    before: int

    def answers(self, **fields: Any) -> None:
        told = {"text": TEXT, "input_tokens": 321, "output_tokens": 45}
        self.upstream.default = Behaviour(**(told | fields))

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output as the upstream told them; the fake Ollama counts for itself."""
        last = self.gateway.requests()[-1]
        return (last["input_tokens"], last["output_tokens"]) if last["tier"] == "local" else (321, 45)

    def check(self, surface: str, calls: int = 1, reason: str = "stop") -> None:
        """The ledger holds these calls with the tokens that the upstream told, and each is priced."""
        rows = self.gateway.requests()[self.before :]
        assert [row["surface"] for row in rows] == [surface] * calls
        for row in rows:
            assert (row["model"], row["status"]) == (self.model, 200)
            assert (row["input_tokens"], row["output_tokens"]) == self.tokens
            assert not row["estimated"]
            assert row["cost"] == 0 if row["tier"] == "local" else row["cost"] > 0
        assert rows[-1]["finish_reason"] == reason


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, dict[str, FakeServer]]]:
    kinds = {"openai": FakeOpenAI, "anthropic": FakeAnthropic, "ollama": FakeOllama}
    with ExitStack() as stack:
        fakes: dict[str, FakeServer] = {
            name: stack.enter_context(kind(models=(MODELS[name],))) for name, kind in kinds.items()
        }
        upstreams = [
            upstream(name, fake.url + ("" if name == "ollama" else "/v1"), models=(MODELS[name],))
            for name, fake in fakes.items()
        ]
        with RunningGateway(tmp_path_factory.mktemp("gateway"), upstreams) as gateway:
            yield gateway, fakes


@pytest.fixture(params=MODELS)
def there(request: pytest.FixtureRequest, world: tuple[RunningGateway, dict[str, FakeServer]]) -> There:
    gateway, fakes = world
    found = There(gateway, fakes[request.param], MODELS[request.param], len(gateway.requests()))
    found.answers()
    return found


@pytest.fixture
def chat(there: There) -> Iterator[Any]:
    with openai.OpenAI(base_url=there.gateway.url + "/v1", api_key=there.gateway.token) as client:
        yield client.chat.completions


@pytest.fixture
def messages(there: There) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=there.gateway.url, api_key=there.gateway.token) as client:
        yield client.messages


def test_openai_plain_and_streamed(there: There, chat: Any) -> None:
    """openai: the text, its end and its usage are the same plain and streamed. # D-01 D-02"""
    plain = chat.create(model=there.model, messages=HI)
    with chat.stream(model=there.model, messages=HI, stream_options={"include_usage": True}) as stream:
        streamed = stream.get_final_completion()
    for answer in (plain, streamed):
        assert answer.choices[0].message.content == TEXT
        assert answer.choices[0].finish_reason == "stop"
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == there.tokens
    there.check("chat", 2)


def test_openai_tools(there: There, chat: Any) -> None:
    """openai: parallel calls arrive plain and streamed, and their results are taken back."""
    there.answers(tool_calls=CALLS)
    asked = {"model": there.model, "messages": HI, "tools": [CHAT_TOOL], "parallel_tool_calls": True}
    plain = chat.create(**asked).choices[0]
    with chat.stream(**asked) as stream:
        streamed = stream.get_final_completion().choices[0]
    for choice in (plain, streamed):
        assert choice.finish_reason == "tool_calls"
        told = [
            (call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls
        ]
        assert told == list(CALLS)
    there.check("chat", 2, "tool_calls")
    there.answers()
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in plain.message.tool_calls
    ]
    turn = [*HI, plain.message.model_dump(exclude_none=True), *results]
    assert chat.create(**asked | {"messages": turn}).choices[0].message.content == TEXT
    assert there.upstream.requests[-1].body.count(b"sunny") == 2


def test_openai_vision(there: There, chat: Any) -> None:
    """openai: a picture reaches every kind of upstream."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    content = [{"type": "text", "text": "What is this?"}, picture]
    answer = chat.create(model=there.model, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == TEXT
    assert PNG.encode() in there.upstream.requests[-1].body
    there.check("chat")


def test_openai_structured_output(there: There, chat: Any) -> None:
    """openai: `parse` sends its schema in the target's own words and reads the answer."""
    there.answers(text='{"answer": 42}')
    answer = chat.parse(model=there.model, messages=HI, response_format=Verdict)
    assert answer.choices[0].message.parsed == Verdict(answer=42)
    assert b'"answer"' in there.upstream.requests[-1].body
    there.check("chat")


def test_openai_async(there: There) -> None:
    """openai: eight asynchronous calls at once, streamed and plain, keep apart."""

    async def calls() -> list[str]:
        client = openai.AsyncOpenAI(base_url=there.gateway.url + "/v1", api_key=there.gateway.token)

        async def plain() -> str:
            answer = await client.chat.completions.create(model=there.model, messages=HI)
            return answer.choices[0].message.content or ""

        async def streamed() -> str:
            stream = await client.chat.completions.create(model=there.model, messages=HI, stream=True)
            # No usage was asked for, so every chunk has a choice.
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        async with client:
            return await asyncio.gather(*(each() for each in (plain, streamed) * 4))

    assert asyncio.run(calls()) == [TEXT] * 8
    there.check("chat", 8)


def test_anthropic_plain_and_streamed(there: There, messages: Any) -> None:
    """anthropic: the text, its end and its usage are the same plain and streamed."""
    plain = messages.create(model=there.model, max_tokens=50, messages=HI)
    with messages.stream(model=there.model, max_tokens=50, messages=HI) as stream:
        assert "".join(stream.text_stream) == TEXT
        streamed = stream.get_final_message()
    for answer in (plain, streamed):
        assert [block.text for block in answer.content] == [TEXT]
        assert answer.stop_reason == "end_turn"
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == there.tokens
    there.check("messages", 2)


def test_anthropic_tools(there: There, messages: Any) -> None:
    """anthropic: parallel calls arrive plain and streamed, and their results are taken back."""
    there.answers(tool_calls=CALLS, text="")
    asked = {"model": there.model, "max_tokens": 50, "messages": HI, "tools": [MESSAGES_TOOL]}
    plain = messages.create(**asked)
    with messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for answer in (plain, streamed):
        assert answer.stop_reason == "tool_use"
        assert [(block.name, block.input) for block in answer.content] == list(CALLS)
    there.check("messages", 2, "tool_calls")
    there.answers()
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny", "is_error": False}
        for block in plain.content
    ]
    turn = [*HI, {"role": "assistant", "content": plain.content}, {"role": "user", "content": results}]
    assert messages.create(**asked | {"messages": turn}).content[0].text == TEXT
    assert there.upstream.requests[-1].body.count(b"sunny") == 2


def test_anthropic_vision(there: There, messages: Any) -> None:
    """anthropic: a picture reaches every kind of upstream."""
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    turn: Any = [{"role": "user", "content": content}]
    assert messages.create(model=there.model, max_tokens=50, messages=turn).content[0].text == TEXT
    assert PNG.encode() in there.upstream.requests[-1].body
    there.check("messages")


def test_anthropic_structured_output(there: There, messages: Any) -> None:
    """anthropic: `parse` sends its schema in the target's own words and reads the answer."""
    there.answers(text='{"answer": 42}')
    answer = messages.parse(model=there.model, max_tokens=50, messages=HI, output_format=Verdict)
    assert answer.parsed_output == Verdict(answer=42)
    assert b'"answer"' in there.upstream.requests[-1].body
    there.check("messages")


def test_anthropic_async(there: There) -> None:
    """anthropic: eight asynchronous calls at once, streamed and plain, keep apart."""

    async def calls() -> list[str]:
        client = anthropic.AsyncAnthropic(base_url=there.gateway.url, api_key=there.gateway.token)

        async def plain() -> str:
            answer = await client.messages.create(model=there.model, max_tokens=50, messages=HI)
            return answer.content[0].text  # type: ignore[union-attr]

        async def streamed() -> str:
            async with client.messages.stream(model=there.model, max_tokens=50, messages=HI) as stream:
                return await stream.get_final_text()

        async with client:
            return await asyncio.gather(*(each() for each in (plain, streamed) * 4))

    assert asyncio.run(calls()) == [TEXT] * 8
    there.check("messages", 8)


def test_both_list_the_models(world: tuple[RunningGateway, dict[str, FakeServer]]) -> None:
    """One list of models, in a shape that either SDK reads."""
    gateway, _ = world
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token) as one:
        listed = {model.id for model in one.models.list()}
        assert one.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token) as two:
        assert {model.id for model in two.models.list(limit=1000)} == listed
        assert two.models.retrieve("gpt-4o-mini").display_name == "gpt-4o-mini"
    assert set(MODELS.values()) < listed
