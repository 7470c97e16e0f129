"""OpenAI and Anthropic callers reach Ollama: requests cross, answers come back as the official SDKs read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest
from support.fake_server import Behaviour, FakeServer, Reply, Request, pieces

from llmgw.domain.route import Tier
from llmgw.providers.base import Upstream
from llmgw.providers.dialects.ollama import OllamaDialect
from llmgw.providers.ollama import PROVIDER
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from support.fake_ollama import FakeOllama

MESSAGES = [{"role": "user", "content": "What is the weather in Paris?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALLED = Behaviour(
    thinking="let me see", tool_calls=(("weather", {"city": "Paris"}), ("weather", {"city": "Rome"}))
)
SAID = Behaviour(text="It rains — a lot.", thinking="let me see")


class Bridge(FakeServer):
    """What dispatch does between an SDK and the fake Ollama, as a server on loopback."""

    chat_paths = ("/v1/chat/completions", "/v1/messages")

    def __init__(self, fake_ollama: FakeOllama, dialect: str) -> None:
        super().__init__()
        self.ollama, self.caller, self.target = fake_ollama, caller_dialect(dialect), OllamaDialect()

    def chat(self, request: Request, how: Behaviour) -> Reply:
        url = self.ollama.url
        upstream = Upstream(name="ollama", provider=PROVIDER, base_url=url, tier=Tier.LOCAL)
        call = self.caller.parse_request(request.body)
        raw = httpx.post(
            url + PROVIDER.chat_path, content=self.target.render_request(call, upstream, "llama3.2").body
        ).content
        if not call.stream:
            return Reply(self.caller.render_answer(self.target.parse_answer(raw), None))
        parser, renderer = self.target.stream_parser(), self.caller.stream_renderer(call)
        events = [event for piece in pieces(raw, 50) for event in parser.feed(piece)]
        data = [chunk for event in [*events, *parser.close()] if (chunk := renderer.feed(event))]
        return Reply(data, content_type=self.caller.stream_type)


def ask_openai(fake_ollama, stream: bool) -> tuple[str, list[Any], str, tuple[int, int]]:
    tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    call: dict[str, Any] = {"model": "m", "messages": MESSAGES, "tools": [tool]}
    with (
        Bridge(fake_ollama, "openai_chat") as bridge,
        openai.OpenAI(base_url=bridge.url + "/v1", api_key="k") as client,
    ):
        if stream:
            with client.chat.completions.stream(**call, stream_options={"include_usage": True}) as events:
                whole = events.get_final_completion()
        else:
            whole = client.chat.completions.create(**call)
    choice = whole.choices[0]
    calls = [json.loads(made.function.arguments) for made in choice.message.tool_calls or []]
    usage = (whole.usage.prompt_tokens, whole.usage.completion_tokens)
    return choice.message.content or "", calls, choice.finish_reason, usage


def ask_anthropic(fake_ollama, stream: bool) -> tuple[str, list[Any], str, tuple[int, int]]:
    call: dict[str, Any] = {"model": "m", "max_tokens": 500, "messages": MESSAGES}
    call["tools"] = [{"name": "weather", "input_schema": SCHEMA}]
    with (
        Bridge(fake_ollama, "anthropic") as bridge,
        anthropic.Anthropic(base_url=bridge.url, api_key="k") as client,
    ):
        if stream:
            with client.messages.stream(**call) as events:
                whole = events.get_final_message()
        else:
            whole = client.messages.create(**call)
    text = "".join(block.text for block in whole.content if block.type == "text")
    calls = [block.input for block in whole.content if block.type == "tool_use"]
    return text, calls, whole.stop_reason, (whole.usage.input_tokens, whole.usage.output_tokens)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("ask", "stops"), [(ask_openai, "tool_calls"), (ask_anthropic, "tool_use")])
def test_tool_calls_cross(fake_ollama, ask, stops, stream):
    """Two parallel calls arrive whole and end as tool calls, plain and streamed (litellm #35663)."""
    fake_ollama.default = CALLED
    text, calls, reason, usage = ask(fake_ollama, stream)
    assert (text, calls, reason) == ("", [{"city": "Paris"}, {"city": "Rome"}], stops)
    assert usage[0] > 0
    assert usage[1] == 7
    assert fake_ollama.chats[-1].json["stream"] is stream


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("ask", "stops"), [(ask_openai, "stop"), (ask_anthropic, "end_turn")])
def test_text_and_counts_cross(fake_ollama, ask, stops, stream):
    """Text, stop reason and Ollama's own counts arrive, plain and streamed alike."""
    fake_ollama.default = SAID
    text, calls, reason, usage = ask(fake_ollama, stream)
    assert (text, calls, reason) == ("It rains — a lot.", [], stops)
    assert usage == ask(fake_ollama, not stream)[3]
