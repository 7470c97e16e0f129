"""What Ollama is asked: every neutral field has its place, is dropped by name or refused, and the prompt fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.domain.chat import (
    Audio,
    ChatRequest,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    ResponseFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
)
from llmgw.domain.chat import ToolCall as Call
from llmgw.domain.route import Tier
from llmgw.domain.usage import Usage
from llmgw.errors import BadRequest, ConfigInvalid
from llmgw.providers.base import Upstream
from llmgw.providers.dialects.ollama import OllamaDialect
from llmgw.providers.dialects.ollama.window import Windows, rung
from llmgw.providers.ollama import PROVIDER


def upstream(**options: Any) -> Upstream:
    return Upstream(
        name="ollama", provider=PROVIDER, base_url=PROVIDER.base_url, tier=Tier.LOCAL, options=options
    )


def ask(*messages: Message, model: str = "llama3.2", options: dict[str, Any] | None = None, **fields: Any):
    request = ChatRequest(model="asked", messages=messages or (user(Text("hi")),), **fields)
    rendered = OllamaDialect().render_request(request, upstream(**(options or {})), model)
    return json.loads(rendered.body), rendered


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def test_a_plain_call_says_everything_it_means():
    """``stream`` is explicit, since Ollama streams unless told not to, and ``num_ctx`` is always sent."""
    body, rendered = ask(Message(Role.SYSTEM, (Text("be brief"),)), user(Text("hi"), Text("there")))
    assert body == {
        "model": "llama3.2",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi\nthere"}],
        "stream": False,
        "options": {"num_ctx": 8192},
    }
    assert (rendered.dropped, rendered.warning) == ((), "")


def test_options_have_their_places():
    """Sampling goes under ``options`` and max_tokens becomes num_predict (bifrost #6132 dropped it)."""
    body, rendered = ask(
        stream=True,
        max_tokens=50,
        temperature=0.0,
        top_p=0.9,
        top_k=40,
        seed=7,
        stop=("END",),
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=True,
        top_logprobs=2,
        options={"keep_alive": "10m"},
    )
    assert body["options"] == {
        "temperature": 0.0,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "num_predict": 50,
        "stop": ["END"],
        "num_ctx": 4096,
    }
    assert (body["stream"], body["keep_alive"], body["logprobs"], body["top_logprobs"]) == (
        True,
        "10m",
        True,
        2,
    )
    assert rendered.dropped == ()


def test_a_caller_may_name_ollamas_own_fields():
    """``keep_alive``, ``think`` and sampling options pass from the extra fields, everything else is dropped by name."""
    extra = {
        "keep_alive": -1,
        "think": "high",
        "min_p": 0.05,
        "options": {"repeat_penalty": 1.1, "num_ctx": 20_000},
        "metadata": {},
    }
    body, rendered = ask(extra=extra, user="u", service_tier="flex")
    assert (body["keep_alive"], body["think"]) == (-1, "high")
    assert body["options"] == {"min_p": 0.05, "repeat_penalty": 1.1, "num_ctx": 20_000}
    assert rendered.dropped == ("user", "service_tier", "metadata")


def test_a_tool_conversation():
    """Calls carry arguments as an object with their bytes kept, results name their tool."""
    tool = Tool("look", "Looks.", {"type": "object", "properties": {"at": {"type": "string"}}}, strict=True)
    messages = (
        user(Text("look!")),
        Message(Role.ASSISTANT, (Thinking("well"), Text("ok"), Call("c1", "look", '{"at":1.50}'))),
        Message(Role.TOOL, (ToolResult("c1", (Text("a"), Image(data="QUJD")), is_error=True),)),
    )
    body, rendered = ask(*messages, tools=(tool,), parallel_tools=False, tool_choice=ToolChoice("required"))
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "ok",
            "thinking": "well",
            "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": {"at": 1.5}}}],
        },
        {"role": "tool", "content": "a", "images": ["QUJD"], "tool_name": "look", "tool_call_id": "c1"},
    ]
    assert b'"arguments":{"at":1.50}' in rendered.body
    function = {"name": "look", "description": "Looks.", "parameters": tool.schema}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert rendered.dropped == ("tool_result.is_error", "tool_choice", "parallel_tool_calls", "tools.strict")


@pytest.mark.parametrize(
    ("arguments", "sent"), [("", {}), ("not json", {"raw": "not json"}), ("[1]", {"raw": "[1]"})]
)
def test_arguments_that_are_no_object_stay_readable(arguments, sent):
    """Ollama answers 400 to arguments that are no object, so such a text travels under ``raw``."""
    body, _ = ask(user(Text("x")), Message(Role.ASSISTANT, (Call("c", "f", arguments),)))
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == sent


def test_a_choice_of_tools_narrows_what_is_offered():
    """``none`` offers nothing; a named tool is offered alone, as near to forcing as Ollama comes."""
    tools = (Tool("a"), Tool("b"))
    none, _ = ask(tools=tools, tool_choice=ToolChoice("none"))
    named, rendered = ask(tools=tools, tool_choice=ToolChoice("named", "b"))
    assert "tools" not in none
    assert [tool["function"]["name"] for tool in named["tools"]] == ["b"]
    assert rendered.dropped == ("tool_choice",)


def test_pictures_travel_as_base64():
    """Data URLs and base64 become ``images``; text documents become text."""
    parts = (
        Text("what?"),
        Image("image/png", data="QUJD"),
        Image(url="data:image/png;base64,REVG"),
        Document(text="the text", name="a.txt"),
    )
    body, _ = ask(user(*parts))
    assert body["messages"] == [
        {"role": "user", "content": "what?\na.txt\nthe text", "images": ["QUJD", "REVG"]}
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": (user(Image(url="https://example.com/a.png")),)},
        {"messages": (user(Document(data="AAAA")),)},
        {"messages": (user(Audio("AAAA", "wav")),)},
        {"messages": (Message(Role.ASSISTANT, (Opaque("anthropic", {"type": "server_tool_use"}),)),)},
        {"messages": (), "tools": (Tool("w", opaque=Opaque("anthropic", {"type": "web_search"})),)},
        {"messages": (), "n": 2},
    ],
)
def test_what_would_change_the_answer_is_refused(fields):
    """Content that Ollama cannot see, hosted tools and several answers are refused with the field's name."""
    with pytest.raises(BadRequest) as refusal:
        OllamaDialect().render_request(ChatRequest(model="m", **fields), upstream(), "m")
    assert refusal.value.param


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (None, None),
        (ResponseFormat("text"), None),
        (ResponseFormat("json_object"), "json"),
        (ResponseFormat("json_schema", "a", {"type": "object"}), {"type": "object"}),
    ],
)
def test_formats(wanted, sent):
    """JSON mode and schemas become ``format``."""
    assert ask(response_format=wanted)[0].get("format") == sent


@pytest.mark.parametrize(
    ("model", "reasoning", "option", "sent", "dropped"),
    [
        ("qwen3", Reasoning(enabled=True, budget=9000), None, None, ()),
        ("qwen3", Reasoning(effort="high"), None, None, ("reasoning_effort",)),
        ("qwen3", Reasoning(enabled=False), None, False, ()),
        ("qwen3", Reasoning(effort="none"), None, False, ()),
        ("qwen3", Reasoning(effort="low"), True, True, ()),
        ("gpt-oss:20b", Reasoning(effort="minimal"), None, "low", ()),
        ("gpt-oss:20b", Reasoning(effort="xhigh"), None, "high", ()),
        ("llama3.2", None, None, None, ()),
    ],
)
def test_thinking(model, reasoning, option, sent, dropped):
    """Levels go to gpt-oss alone, a no to everyone, a yes to nobody: models that cannot think answer 400 to it."""
    body, rendered = ask(
        model=model, reasoning=reasoning, options={} if option is None else {"think": option}
    )
    assert body.get("think") == sent
    assert rendered.dropped == dropped


def test_the_window_fits_the_prompt():
    """A prompt beyond Ollama's usual 4,096 tokens opens a window that holds it and the answer."""
    body, rendered = ask(user(Text("word " * 10_000)), max_tokens=1_000)
    assert body["options"]["num_ctx"] == 16_384
    assert rendered.warning == ""


def test_the_operators_limits_hold():
    """``num_ctx`` is a floor and ``num_ctx_max`` a cap; a prompt beyond the cap is said loudly."""
    assert ask(options={"num_ctx": 12_000})[0]["options"]["num_ctx"] == 12_000
    body, rendered = ask(user(Text("word " * 10_000)), options={"num_ctx_max": 6_000})
    assert body["options"]["num_ctx"] == 6_000
    assert "num_ctx_max of `ollama` is 6,000" in rendered.warning
    with pytest.raises(ConfigInvalid):
        ask(options={"num_ctx": "big"})


def test_a_cut_prompt_is_noticed():
    """A full window, an outgrown one and a count far below the text make a warning; an honest count makes none."""
    _, rendered = ask(user(Text("word " * 10_000)), max_tokens=1_000)
    assert rendered.check is not None
    assert rendered.check(Usage(input_tokens=10_010, output_tokens=50)) == ""
    assert rendered.check(Usage(output_tokens=50, estimated=True)) == ""
    assert "16,384" in rendered.check(Usage(input_tokens=16_384))
    assert "outgrew" in rendered.check(Usage(input_tokens=12_000, output_tokens=5_000))
    assert "read 2,050 tokens" in rendered.check(Usage(input_tokens=2_050, output_tokens=5))


def test_a_short_call_between_long_ones_reloads_nothing():
    """A model keeps the largest window of its last calls, and gives it up when they all stay small."""
    windows = Windows()

    def size(prompt: int, model: str = "m") -> int:
        return windows.choose("ollama", model, prompt, 100, 0, None).size

    assert [size(100), size(20_000), size(100), size(100, "other")] == [4096, 32_768, 32_768, 4096]
    assert [size(100) for _ in range(15)][-2:] == [32_768, 4096]


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.none() | st.integers(1, 200_000)), min_size=1),
    st.integers(0, 50_000),
    st.none() | st.integers(1, 300_000),
)
def test_a_window_keeps_its_promises(calls, floor, cap):
    """It never passes the cap, never falls below the floor otherwise, and ``fits`` means that the prompt does."""
    windows = Windows()
    for prompt, max_tokens in calls:
        window = windows.choose("ollama", "m", prompt, max_tokens, floor, cap)
        assert cap is None or window.size <= cap
        assert window.size >= min(floor, cap or floor)
        assert window.fits <= (window.size > prompt)
        assert window.fits or window.size == cap


@given(st.integers(1, 1 << 20))
def test_a_rung_is_the_next_power_of_two(tokens):
    """The ladder holds the tokens and is at most twice as high, above its lowest rung."""
    assert tokens <= rung(tokens) <= max(4096, 2 * tokens)
    assert rung(tokens).bit_count() == 1
