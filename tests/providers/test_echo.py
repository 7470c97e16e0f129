"""The built-in provider says what it is, counts what it says, and misbehaves exactly as it is asked to."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmgw.domain.clock import Clock
from llmgw.errors import BadRequest, UpstreamFailed
from llmgw.providers import echo
from llmgw.providers.base import Peek, Upstream
from llmgw.providers.dialects.openai_chat import DIALECT
from llmgw.rules.estimating import estimate_tokens

MESSAGES = [{"role": "user", "content": "Is anybody there?"}]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "unit": {"enum": ["C", "F"]},
        "where": {"type": "object", "properties": {"at": {"type": ["number", "null"]}}, "required": ["at"]},
        "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        "more": {"type": "string"},
    },
    "required": ["city", "days", "unit", "where", "maybe"],
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}


class Sleeper:
    """A sleep that only counts."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def send(call: dict[str, Any] | bytes, options: dict[str, Any] | None = None, sleep: Sleeper | None = None):
    body = (
        call
        if isinstance(call, bytes)
        else json.dumps({"model": "echo", "messages": MESSAGES, **call}).encode()
    )
    clock = Clock(now=lambda: 1_700_000_000_000_000_000)
    return asyncio.run(echo.send(body, options or {}, sleep or Sleeper(), clock))


def plain(call: dict[str, Any] | bytes, **options: Any) -> ChatCompletion:
    answer = send(call, options)
    assert answer.status == 200
    return ChatCompletion.model_validate_json(asyncio.run(answer.read()))


async def gather(answer: echo.EchoAnswer) -> list[bytes]:
    chunks = []
    while (chunk := await answer.chunk()) is not None:
        chunks.append(chunk)
    return chunks


def streamed(call: dict[str, Any], **options: Any) -> list[ChatCompletionChunk]:
    raw = b"".join(asyncio.run(gather(send({**call, "stream": True}, options))))
    assert raw.endswith(b"data: [DONE]\n\n")
    events = [event.removeprefix(b"data: ") for event in raw.split(b"\n\n") if event]
    return [ChatCompletionChunk.model_validate_json(event) for event in events[:-1]]


def test_a_first_answer_echoes_and_says_what_it_is():
    """The reply repeats the last user message, names no model and tells how to get one; a later turn only echoes."""
    first = plain({})
    assert first.model == "echo (llmgw built-in, no model)"
    assert first.choices[0].message.content.startswith("Is anybody there?")
    assert "no model has read your message" in first.choices[0].message.content
    assert first.created == 1_700_000_000
    more = [*MESSAGES, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "who?"}]
    assert plain({"messages": more}).choices[0].message.content == "who?"


def test_messages_of_one_side_in_a_row_are_one_turn():
    """OpenClaw's question, which stands before a message of notes, is repeated with them."""
    turn = [*MESSAGES, {"role": "assistant", "content": "yes"}]
    turn += [{"role": "user", "content": "who?"}, {"role": "user", "content": "(notes)"}]
    turn += [{"role": "system", "content": "be brief"}]
    assert plain({"messages": turn}).choices[0].message.content == "who?\n(notes)"


def test_usage_is_counted_and_the_same_plain_and_streamed():
    """Tokens are those of the text, and a stream tells the same text and usage where it is asked for usage."""
    whole = plain({})
    assert whole.usage.completion_tokens == estimate_tokens(whole.choices[0].message.content)
    assert whole.usage.prompt_tokens > estimate_tokens("Is anybody there?")
    chunks = streamed({"stream_options": {"include_usage": True}})
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.usage for chunk in chunks if chunk.usage] == [whole.usage]
    assert not any(chunk.usage for chunk in streamed({}))
    assert {chunk.model for chunk in chunks} == {echo.MODEL}


def test_the_ledger_reads_an_echo_as_any_stream():
    """The OpenAI dialect's tap finds usage, finish reason and the end in an echoed stream."""
    answer = send({"stream": True, "stream_options": {"include_usage": True}, "model": "tokens=40"})
    upstream = Upstream(name="echo", provider=echo.PROVIDER, base_url="echo:", tier=echo.PROVIDER.tier)
    tap = DIALECT.tap(Peek(model="echo", stream=True, include_usage=True), upstream)
    for chunk in asyncio.run(gather(answer)):
        assert tap.feed(chunk) == chunk
    reading = tap.close()
    assert (reading.usage.output_tokens, reading.finish_reason, reading.whole) == (40, "stop", True)


@pytest.mark.parametrize("tokens", [1, 7, 500])
def test_tokens_on_demand(tokens):
    """``tokens=N`` answers with N tokens, in the name or in the upstream's options; the name wins."""
    assert plain({"model": f"echo/tokens={tokens}"}).usage.completion_tokens == tokens
    assert plain({}, tokens=tokens).usage.completion_tokens == tokens
    assert plain({"model": f"tokens={tokens}"}, tokens=3).usage.completion_tokens == tokens


def test_max_tokens_and_n_are_kept():
    """An answer longer than allowed is cut and says so; several choices are all billed."""
    answer = plain({"model": "echo/tokens=500", "max_tokens": 20, "n": 2})
    assert [choice.finish_reason for choice in answer.choices] == ["length", "length"]
    assert answer.usage.completion_tokens == 40


def test_a_tool_call_on_demand_fits_its_schema():
    """``tool=NAME`` calls the offered tool with every required argument; after the result comes text."""
    call = {"model": "echo/tool=weather", "tools": [TOOL]}
    asked = plain(call)
    made = asked.choices[0].message.tool_calls[0]
    expected = {"city": "echo", "days": 1, "unit": "C", "where": {"at": 1}, "maybe": True}
    assert json.loads(made.function.arguments) == expected
    assert asked.choices[0].finish_reason == "tool_calls"
    chunks = streamed(call)
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    assert json.loads("".join(part.function.arguments or "" for part in parts)) == expected
    turn = {"role": "assistant", "tool_calls": [made.model_dump()]}
    result = {"role": "tool", "tool_call_id": made.id, "content": "12 degrees"}
    after = plain({**call, "messages": [*MESSAGES, turn, result]})
    assert after.choices[0].message.content == "12 degrees"


def test_json_on_demand():
    """A wanted schema gets a value that fits, JSON mode gets the message as JSON."""
    wanted = {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}}
    assert json.loads(plain({"response_format": wanted}).choices[0].message.content)["unit"] == "C"
    told = plain({"response_format": {"type": "json_object"}}).choices[0].message.content
    assert json.loads(told) == {"echo": "Is anybody there?"}


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503, 529])
def test_errors_on_demand(status):
    """``error=N`` answers with that status in OpenAI's shape, 429 with a retry-after."""
    answer = send({"model": f"echo/error={status}", "stream": True})
    assert answer.status == status
    assert "message" in json.loads(asyncio.run(answer.read()))["error"]
    assert (("retry-after", "1") in answer.headers) == (status == 429)


def test_a_cut_on_demand():
    """``cut=N`` breaks a stream after N chunks, a plain reply in its middle, and a whole stream is longer than that."""
    answer = send({"model": "echo/cut=3,tokens=20", "stream": True})
    for _ in range(3):
        assert asyncio.run(answer.chunk())
    with pytest.raises(UpstreamFailed):
        asyncio.run(answer.chunk())
    with pytest.raises(UpstreamFailed):
        asyncio.run(send({"model": "echo/cut=0"}).read())


def test_waits_go_through_the_given_sleep():
    """``latency`` comes before the reply, ``chunk_delay`` between chunks."""
    sleep = Sleeper()
    answer = send({"model": "echo/latency=1.5s,chunk_delay=5ms,tokens=4", "stream": True}, sleep=sleep)
    assert sleep.slept == [1.5]
    chunks = asyncio.run(gather(answer))
    assert sleep.slept[1:] == [0.005] * (len(chunks) - 1)


def test_a_closed_answer_says_no_more():
    """After ``close`` nothing comes."""
    answer = send({"stream": True})
    asyncio.run(answer.close())
    assert asyncio.run(answer.chunk()) is None


@pytest.mark.parametrize(
    "model",
    ["latency=5", "latency=fast", "error=200", "cut=-1", "tokens=0", "tokens=1e9", "tool=", "colour=red"],
)
def test_a_wish_that_makes_no_sense_is_a_clear_400(model):
    """A word or value that echo does not know is refused by its name, with the ones it knows."""
    with pytest.raises(BadRequest) as refusal:
        echo.read_wish(f"echo/{model}", {})
    assert model.partition("=")[0] in refusal.value.message
    assert refusal.value.hint
    answer = send({"model": f"echo/{model}"})
    assert answer.status == 400
    assert model.partition("=")[0] in json.loads(asyncio.run(answer.read()))["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model":"echo"}', b'{"model":"tool=x","messages":[]}'])
def test_a_body_that_is_no_call_is_a_400(body):
    """What OpenAI would refuse, and a tool that is not offered, echo refuses too."""
    assert send(body).status == 400


@pytest.mark.parametrize("model", ["gpt-4o", "echo", "claude-sonnet-4-5:thinking", "a/b/c"])
def test_any_model_name_is_answered(model):
    """A program with its own idea of a model's name gets its echo."""
    assert plain({"model": model}).choices[0].message.content.startswith("Is anybody there?")
