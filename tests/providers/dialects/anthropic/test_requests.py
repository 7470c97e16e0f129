"""Calls between Anthropic's words and ours, in both directions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import body, upstream
from support.recorded import ANTHROPIC, recorded

from llmgw.domain.chat import (
    Audio,
    ChatRequest,
    Document,
    Image,
    Message,
    Opaque,
    Reasoning,
    RedactedThinking,
    Refusal,
    ResponseFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmgw.errors import BadRequest
from llmgw.providers.dialects.anthropic import DIALECT
from llmgw.providers.dialects.anthropic.models import abilities

UP = upstream()
HELLO = Message(Role.USER, (Text("hello"),))
CACHE = {"type": "ephemeral"}
SONNET, OPUS = "claude-sonnet-4-5", "claude-opus-4-8"


def render(*messages, model=SONNET, **fields):
    request = ChatRequest(model="x", messages=messages or (HELLO,), **fields)
    rendered = DIALECT.render_request(request, UP, model)
    return json.loads(rendered.body), rendered.dropped


def parse(**fields):
    return DIALECT.parse_request(body(**{"model": "m", "max_tokens": 9, "messages": []} | fields))


def user(*parts):
    return Message(Role.USER, parts)


def test_every_kind_of_content_is_understood():
    """Each block Anthropic documents becomes its part; tool results form a turn of their own before the rest."""
    call = {"type": "tool_use", "id": "t1", "name": "f", "input": {"n": 1.50}, "cache_control": CACHE}
    png = {"type": "base64", "media_type": "image/png", "data": "AA=="}
    request = parse(
        system=[{"type": "text", "text": "be brief", "cache_control": CACHE}],
        messages=[
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "xx"},
                    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                    call,
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [{"type": "text", "text": "no"}, {"type": "image", "source": png}],
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    {"type": "document", "source": {"type": "text", "data": "plain"}, "title": "T"},
                    {"type": "document", "source": {"type": "content", "content": "inner"}},
                    {"type": "image", "source": {"type": "file", "file_id": "f1"}},
                ],
            },
            {"role": "system", "content": [{"type": "text", "text": "now in French"}]},
        ],
    )
    system, hi, turn, results, rest, later = request.messages
    assert system == Message(Role.SYSTEM, (Text("be brief", CACHE),))
    assert hi == user(Text("hi"))
    assert turn.parts[:2] == (Thinking("hm", "sig"), RedactedThinking("xx"))
    assert isinstance(turn.parts[2], Opaque)
    assert json.loads(turn.parts[3].arguments) == {"n": 1.5}
    assert results == Message(
        Role.TOOL,
        (ToolResult("t1", (Text("no"), Image("image/png", "AA==")), is_error=True),),
    )
    assert rest.parts[:4] == (
        Text("look"),
        Image(url="https://x/y.png"),
        Document("text/plain", text="plain", name="T"),
        Document("text/plain", text="inner"),
    )
    assert isinstance(rest.parts[4], Opaque)
    assert later == Message(Role.SYSTEM, (Text("now in French"),))


def test_arguments_keep_their_bytes():
    """A call's arguments are the text the model wrote, numbers beyond 64 bits and their spelling included."""
    raw = b'{"big": 123456789012345678901234567890, "one": 1.0, "e": 1e3}'
    wire = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":['
        b'{"type":"tool_use","id":"t","name":"f","input":' + raw + b"}]}]}"
    )
    request = DIALECT.parse_request(wire)
    assert request.messages[0].parts[0].arguments == raw.decode()
    assert raw in DIALECT.render_request(request, UP, SONNET).body


def test_settings_are_understood():
    """Tools, choices, thinking, effort, format and sampling land in their own fields, the rest is named."""
    request = parse(
        tools=[
            {"name": "f", "input_schema": {"type": "object"}, "strict": True, "defer_loading": True},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2_000, "display": "omitted"},
        output_config={"effort": "high", "format": {"type": "json_schema", "schema": {"a": 1}}, "new": 1},
        stop_sequences=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        metadata={"user_id": "u", "other": 1},
        service_tier="standard_only",
        stream=True,
        context_management={"edits": []},
        force_tier="local",
        null_field=None,
    )
    function, search = request.tools
    assert (function.name, function.schema, function.strict) == ("f", {"type": "object"}, True)
    assert search.opaque is not None
    assert request.tool_choice == ToolChoice("required")
    assert request.parallel_tools is False
    assert request.reasoning == Reasoning(True, "high", 2_000, "omitted")
    assert request.response_format.schema == {"a": 1}
    assert (request.stop, request.temperature, request.top_p, request.top_k) == (("END",), 0.5, 0.9, 3)
    assert (request.user, request.service_tier, request.stream) == ("u", "standard_only", True)
    assert request.extra == {
        "context_management": {"edits": []},
        "metadata.other": True,
        "output_config.new": True,
        "tools.defer_loading": True,
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages.0.content.0.text",
        ),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"temperature": "hot"}, "temperature"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ],
)
def test_what_is_wrong_is_named(fields, param):
    """A call that cannot be understood says where."""
    with pytest.raises(BadRequest) as refused:
        parse(**fields)
    assert refused.value.param == param


def test_turns_become_anthropics():
    """Leading instructions stand apart, same roles merge, results come first, blank text is left out."""
    wire, dropped = render(
        Message(Role.SYSTEM, (Text("one"),)),
        Message(Role.SYSTEM, (Text("two", CACHE),)),
        user(Text("hi")),
        user(Text(" "), Text("there")),
        Message(Role.ASSISTANT, (Refusal("hm"), ToolCall("functions.f:0", "f", '{"a":1}'))),
        Message(Role.TOOL, (ToolResult("functions.f:0", (Text("r"),)),)),
        user(Text("go on")),
        Message(Role.TOOL, (ToolResult("other", (Text("late"), Text("x"))),)),
    )
    assert wire["system"] == [
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two", "cache_control": CACHE},
    ]
    assert [turn["role"] for turn in wire["messages"]] == ["user", "assistant", "user"]
    assert [block["text"] for block in wire["messages"][0]["content"]] == ["hi", "there"]
    assert wire["messages"][1]["content"][1] == {
        "type": "tool_use",
        "id": "functions_f_0",
        "name": "f",
        "input": {"a": 1},
    }
    kinds = [block["type"] for block in wire["messages"][2]["content"]]
    assert kinds == ["tool_result", "tool_result", "text"]
    assert wire["messages"][2]["content"][0]["tool_use_id"] == "functions_f_0"
    assert not dropped


def test_instructions_inside_the_conversation():
    """A later instruction stays where the model takes it there, and joins the others where it does not."""
    talk = (user(Text("a")), Message(Role.SYSTEM, (Text("later"),)), Message(Role.ASSISTANT, (Text("b"),)))
    wire, _ = render(*talk, user(Text("c")), model=OPUS)
    assert [turn["role"] for turn in wire["messages"]] == ["user", "system", "assistant", "user"]
    wire, _ = render(*talk, user(Text("c")), model=SONNET)
    assert wire["system"] == "later"
    assert [turn["role"] for turn in wire["messages"]] == ["user", "assistant", "user"]
    wire, _ = render(user(Text("a")), Message(Role.SYSTEM, (Text("x"),)), user(Text("b")), model=OPUS)
    assert wire["system"] == "x"
    assert [turn["role"] for turn in wire["messages"]] == ["user"]


def test_instructions_alone_are_asked():
    """A call of nothing but instructions sends the last of them as the user's turn."""
    wire, _ = render(Message(Role.SYSTEM, (Text("be"), Text("say hi"))))
    assert wire["system"] == "be"
    assert wire["messages"] == [{"role": "user", "content": "say hi"}]


def test_an_unfinished_answer_ends_without_white_space():
    """The answer a caller begins for the model loses the white space that Anthropic refuses."""
    wire, _ = render(HELLO, Message(Role.ASSISTANT, (Text("The answer is: \n"),)))
    assert wire["messages"][-1]["content"] == "The answer is:"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [("", {}), ('{"a": 1}', {"a": 1}), ("not json", {"raw": "not json"}), ("[1]", {"raw": "[1]"})],
)
def test_arguments_are_an_object(arguments, wanted):
    """Arguments that are no JSON object are handed on as text under `raw`."""
    wire, _ = render(HELLO, Message(Role.ASSISTANT, (ToolCall("c", "f", arguments),)))
    assert wire["messages"][1]["content"][0]["input"] == wanted


def test_attachments():
    """Pictures and documents go by data or by URL; text files go as text."""
    parts = [
        (Image("image/png", "AA=="), {"type": "base64", "media_type": "image/png", "data": "AA=="}),
        (Image(url="https://x/y"), {"type": "url", "url": "https://x/y"}),
        (Document(data="AA=="), {"type": "base64", "media_type": "application/pdf", "data": "AA=="}),
        (Document(url="https://x/z"), {"type": "url", "url": "https://x/z"}),
        (Document("text/csv", "YSxi"), {"type": "text", "media_type": "text/plain", "data": "a,b"}),
        (Document(text="words"), {"type": "text", "media_type": "text/plain", "data": "words"}),
    ]
    wire, _ = render(user(*(part for part, _ in parts)))
    assert [block["source"] for block in wire["messages"][0]["content"]] == [source for _, source in parts]


@pytest.mark.parametrize(
    ("part", "word"),
    [
        (Audio("AA==", "wav"), "input_audio"),
        (Document("application/msword", "AA=="), "file"),
        (Document("text/plain", "!"), "file"),
        (Opaque("openai_chat", {"type": "file"}), "file"),
    ],
)
def test_what_cannot_be_said_is_refused(part, word):
    """Content that Anthropic cannot read is refused by name, never left out."""
    with pytest.raises(BadRequest) as refused:
        render(user(part))
    assert word in refused.value.param


def test_unsigned_thinking_is_dropped_by_name():
    """Reasoning without Anthropic's signature cannot go back to it."""
    wire, dropped = render(HELLO, Message(Role.ASSISTANT, (Thinking("hm"), Text("hi"))))
    assert wire["messages"][1]["content"] == "hi"
    assert dropped == ("messages.reasoning_content",)


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-3-opus-20240229", 4_096),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-3-7-sonnet-latest", 64_000),
        ("claude-opus-4-20250514", 32_000),
        ("claude-opus-4-1-20250805", 32_000),
        ("anthropic/claude-sonnet-4.5", 64_000),
        ("claude-haiku-4-5-20251001", 64_000),
        ("claude-opus-4-6", 128_000),
        ("claude-sonnet-4-6", 128_000),
        ("us.anthropic.claude-opus-4-8-v1:0", 128_000),
        ("claude-haiku-5-5", 64_000),
        ("claude-fable-5", 128_000),
        ("claude-mythos-preview", 128_000),
        ("claude-9-future", 128_000),
        ("kimi-k2", 8_192),
    ],
)
def test_the_limit_is_the_models_own(model, limit):
    """Without max_tokens a call may answer as long as the model can, and never asks for more than that."""
    assert render(model=model)[0]["max_tokens"] == limit
    assert render(model=model, max_tokens=7)[0]["max_tokens"] == 7
    capped = render(model=model, max_tokens=999_999)[0]["max_tokens"]
    assert capped == (limit if abilities(model).capped else 999_999)


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort"),
    [
        (OPUS, Reasoning(effort="xhigh"), {"type": "adaptive"}, "xhigh"),
        (OPUS, Reasoning(effort="minimal"), {"type": "adaptive"}, "low"),
        ("claude-opus-4-6", Reasoning(effort="xhigh"), {"type": "adaptive"}, "high"),
        (OPUS, Reasoning(True, budget=9_000), {"type": "adaptive"}, "high"),
        (OPUS, Reasoning(True, display="omitted"), {"type": "adaptive", "display": "omitted"}, None),
        (OPUS, Reasoning(effort="none"), None, None),
        ("claude-opus-5", Reasoning(effort="none"), {"type": "disabled"}, None),
        ("claude-fable-5", Reasoning(effort="none"), None, "low"),
        (SONNET, Reasoning(effort="low"), {"type": "enabled", "budget_tokens": 2_048}, None),
        (SONNET, Reasoning(effort="high"), {"type": "enabled", "budget_tokens": 16_384}, None),
        (SONNET, Reasoning(True, budget=5_000), {"type": "enabled", "budget_tokens": 5_000}, None),
        (SONNET, Reasoning(enabled=False), None, None),
        ("kimi-k2", Reasoning(effort="medium"), {"type": "enabled", "budget_tokens": 4_096}, None),
        ("claude-3-5-haiku-latest", Reasoning(effort="low"), None, None),
    ],
)
def test_effort_is_said_as_the_model_takes_it(model, reasoning, thinking, effort):
    """A budget up to Claude 4.5, an effort later, and off in the one way that the generation allows."""
    wire, _ = render(model=model, reasoning=reasoning)
    assert wire.get("thinking") == thinking
    assert wire.get("output_config", {}).get("effort") == effort


def test_a_budget_stays_below_the_limit():
    """The budget leaves half of max_tokens to the answer, and where that is too little nothing is thought."""
    for limit in (1_025, 2_000, 4_000, 20_000):
        wire, dropped = render(max_tokens=limit, reasoning=Reasoning(effort="high"))
        assert 1_024 <= wire["thinking"]["budget_tokens"] < wire["max_tokens"] == limit
        assert not dropped
    wire, dropped = render(max_tokens=1_000, reasoning=Reasoning(effort="high"))
    assert "thinking" not in wire
    assert dropped == ("reasoning_effort",)


def test_thinking_gives_way_where_anthropic_refuses_it():
    """With a forced tool, or behind a call that shows no signed thinking, a budget is dropped by name."""
    tools = (Tool("f"),)
    forced = {"tools": tools, "tool_choice": ToolChoice("required"), "reasoning": Reasoning(effort="low")}
    assert render(**forced)[1] == ("reasoning_effort",)
    assert render(**forced, model=OPUS)[1] == ()
    call, result = ToolCall("c", "f", "{}"), Message(Role.TOOL, (ToolResult("c", (Text("r"),)),))
    unsigned = (HELLO, Message(Role.ASSISTANT, (call,)), result)
    signed = (HELLO, Message(Role.ASSISTANT, (Thinking("t", "sig"), call)), result)
    assert render(*unsigned, reasoning=Reasoning(effort="low"))[1] == ("reasoning_effort",)
    assert "thinking" in render(*signed, reasoning=Reasoning(effort="low"))[0]


def test_sampling_fits_the_model():
    """Temperature is capped at 1, excludes top_p, and is dropped by name where thinking or the model forbids it."""
    wire, dropped = render(temperature=1.7, model="claude-3-5-haiku-latest", top_p=0.5, top_k=4)
    assert (wire["temperature"], wire["top_p"], wire["top_k"], dropped) == (1.0, 0.5, 4, ())
    wire, dropped = render(temperature=0.2, top_p=0.5)
    assert (wire["temperature"], "top_p" in wire, dropped) == (0.2, False, ("top_p",))
    wire, dropped = render(temperature=0.2, top_k=5, reasoning=Reasoning(effort="low"))
    assert "temperature" not in wire
    assert dropped == ("temperature", "top_k")
    assert render(temperature=1, top_p=1, model=OPUS)[1] == ("temperature", "top_p")


def test_tools_and_choices():
    """Functions, forced calls and parallel calls are said in Anthropic's words."""
    tool = Tool(
        "f", "does", {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}, strict=True
    )
    wire, _ = render(tools=(tool,), parallel_tools=False)
    assert wire["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert wire["tools"][0]["strict"] is True
    assert wire["tools"][0]["input_schema"] == {
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}},
        "additionalProperties": False,
    }
    wire, _ = render(tools=(Tool("f"),), tool_choice=ToolChoice("named", "f"))
    assert wire["tool_choice"] == {"type": "tool", "name": "f"}
    assert wire["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    wire, _ = render(tools=(Tool("f"),), tool_choice=ToolChoice("none"), parallel_tools=False)
    assert wire["tool_choice"] == {"type": "none"}
    assert render(tool_choice=ToolChoice("auto"))[1] == ("tool_choice",)
    assert render(tools=(tool,), model="claude-3-5-haiku-latest")[1] == ("tools.strict",)
    with pytest.raises(BadRequest, match=r"tools\.custom"):
        render(tools=(Tool("x", opaque=Opaque("openai_chat", {"type": "custom"})),))


def test_formats():
    """A JSON schema is held to by structured outputs; free JSON mode is dropped, an old model refuses."""
    wanted = ResponseFormat(
        "json_schema", "n", {"type": "object", "oneOf": [{"type": "string", "format": "x"}]}
    )
    wire, _ = render(response_format=wanted, model=OPUS, reasoning=Reasoning(effort="low"))
    assert wire["output_config"] == {
        "effort": "low",
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "anyOf": [{"type": "string", "description": '{format: "x"}'}],
                "additionalProperties": False,
            },
        },
    }
    assert render(response_format=ResponseFormat("json_object"))[1] == ("response_format",)
    assert render(response_format=ResponseFormat("text"))[1] == ()
    with pytest.raises(BadRequest) as refused:
        render(response_format=wanted, model="claude-3-7-sonnet-latest")
    assert refused.value.param == "response_format"


def test_the_rest_is_carried_or_named():
    """Stops, user, tier and stream go along; what Anthropic lacks is named; its own fields pass from any caller."""
    wire, dropped = render(
        stop=("END", "\n"),
        user="u",
        service_tier="default",
        stream=True,
        seed=1,
        presence_penalty=0.1,
        logprobs=True,
        extra={"speed": "fast", "logit_bias": {}, "messages.content.citations": True},
    )
    assert wire["stop_sequences"] == ["END"]
    assert wire["metadata"] == {"user_id": "u"}
    assert (wire["service_tier"], wire["stream"], wire["speed"]) == ("standard_only", True, "fast")
    assert set(dropped) == {
        "stop",
        "seed",
        "presence_penalty",
        "logprobs",
        "logit_bias",
        "messages.content.citations",
    }
    assert render(service_tier="flex")[1] == ("service_tier",)
    with pytest.raises(BadRequest, match="n: "):
        render(n=2)


def test_unsupported_fields_leave_a_translated_call():
    """A field that this upstream answers with an error is dropped by name."""
    request = ChatRequest(model="x", messages=(HELLO,), top_k=3)
    rendered = DIALECT.render_request(request, upstream(unsupported=frozenset({"top_k"})), SONNET)
    assert "top_k" not in json.loads(rendered.body)
    assert rendered.dropped == ("top_k",)


WORDS = st.text(min_size=1).filter(str.strip)
PARTS = st.one_of(
    st.builds(Text, WORDS, st.none() | st.just(CACHE)),
    st.builds(Image, st.just("image/png"), st.just("AA==")),
    st.builds(Document, st.just("application/pdf"), st.just("AA=="), name=st.sampled_from(["", "n"])),
)
SAID = st.one_of(
    st.builds(Text, WORDS.map(str.rstrip)),
    st.builds(Thinking, st.text(), st.just("sig")),
    st.builds(ToolCall, st.just("t1"), st.just("f"), st.just('{"a":1}')),
)


@given(
    system=st.lists(st.builds(Text, WORDS), max_size=2),
    talk=st.lists(st.tuples(st.lists(PARTS, min_size=1), st.lists(SAID, min_size=1)), min_size=1, max_size=4),
    stop=st.lists(WORDS, max_size=2),
    limit=st.integers(1, 4_000),
)
def test_a_call_survives_the_way_back(system, talk, stop, limit):
    """What is rendered for Anthropic is understood as the same conversation again."""
    messages = [Message(Role.SYSTEM, tuple(system))] if system else []
    for asked, said in talk:
        messages += [Message(Role.USER, tuple(asked)), Message(Role.ASSISTANT, tuple(said))]
    request = ChatRequest(
        model=SONNET, messages=tuple(messages), stop=tuple(stop), max_tokens=limit, include_usage=True
    )
    again = DIALECT.parse_request(DIALECT.render_request(request, UP, SONNET).body)
    assert again == request


def test_recorded_calls_survive():
    """A recorded call, understood and said again, is understood as the same call."""
    for exchange in recorded("messages", *ANTHROPIC):
        if exchange.status != 200:
            continue
        request = DIALECT.parse_request(exchange.request)
        rendered = DIALECT.render_request(request, UP, request.model)
        again = DIALECT.parse_request(rendered.body)
        assert [tool.name for tool in again.tools] == [tool.name for tool in request.tools]
        assert again.user == request.user
        assert len(again.messages) <= len(request.messages)
        assert again.max_tokens == request.max_tokens
