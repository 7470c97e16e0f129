"""Chat completions to neutral words and back: every kind of content, and what a target cannot take."""

from __future__ import annotations

import json

import pytest

from llmgw.domain import chat
from llmgw.domain.chat import Message, Opaque, Role, Text, Tool
from llmgw.domain.clock import Clock
from llmgw.domain.usage import Usage
from llmgw.errors import BadRequest, UpstreamFailed
from llmgw.providers.base import Upstream
from llmgw.providers.dialects.openai_chat import DIALECT, OpenAIChat
from llmgw.providers.registry import providers

HELLO = (Message(Role.USER, (Text("hello"),)),)


def upstream(name="openai"):
    provider = providers()[name]
    return Upstream(name=name, provider=provider, base_url=provider.base_url, tier=provider.tier)


def parse(*messages, **members):
    wire = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}], **members}
    return DIALECT.parse_request(json.dumps(wire).encode())


def render(request, name="openai", model="gpt-4o"):
    rendered = DIALECT.render_request(request, upstream(name), model)
    return json.loads(rendered.body), rendered.dropped


def ask(**members):
    return chat.ChatRequest(**{"model": "m", "messages": HELLO, **members})


def parts(content, role="user"):
    return parse({"role": role, "content": content}).messages[0].parts


def test_roles_and_names():
    """Developer and system are one role; a name is kept."""
    request = parse(
        {"role": "developer", "content": "be brief"}, {"role": "user", "name": "ann", "content": "hi"}
    )
    assert request.messages == (
        Message(Role.SYSTEM, (Text("be brief"),)),
        Message(Role.USER, (Text("hi"),), "ann"),
    )


def test_every_kind_of_content():
    """Text, pictures, files, sounds and parts nobody knows each find their place."""
    mark = {"type": "ephemeral"}
    video = {"type": "video_url", "video_url": {"url": "https://x/v.mp4"}}
    assert parts(
        [
            "bare",
            {"type": "text", "text": "marked", "cache_control": mark},
            {"type": "text", "text": "null beside", "image_url": None},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA", "detail": "low"}},
            {"type": "image_url", "image_url": "https://x/p.png"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBB"}},
            {"type": "file", "file": {"filename": "b.pdf", "file_data": "https://x/b.pdf"}},
            {"type": "document_url", "document_url": "https://x/c.pdf"},
            {"type": "input_audio", "input_audio": {"data": "CCC", "format": "wav"}},
            {"type": "file", "file": {"file_id": "file-1"}},
            video,
        ]
    ) == (
        Text("bare"),
        Text("marked", cache=mark),
        Text("null beside"),
        chat.Image("image/png", "AAA", detail="low"),
        chat.Image(url="https://x/p.png"),
        chat.Document("application/pdf", "BBB", name="a.pdf"),
        chat.Document(url="https://x/b.pdf", name="b.pdf"),
        chat.Document(url="https://x/c.pdf"),
        chat.Audio("CCC", "wav"),
        Opaque("openai_chat", {"type": "file", "file": {"file_id": "file-1"}}),
        Opaque("openai_chat", video),
    )


def test_a_turn_with_tools_round_trips():
    """Calls, their results, reasoning and refusals go into neutral words and come back."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    request = parse(
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [call],
            "prefix": True,
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
        {"role": "assistant", "refusal": "no"},
    )
    assert [turn.role for turn in request.messages] == [Role.USER, Role.ASSISTANT, Role.TOOL, Role.ASSISTANT]
    assert request.messages[1].parts == (
        chat.Thinking("hm"),
        chat.ToolCall("c1", "f", '{"a": 1}'),
        Opaque("openai_chat", {"prefix": True}),
    )
    assert [part.call_id for part in request.messages[2].parts] == ["c1", "c2"]
    body, dropped = render(request, "deepseek")
    assert dropped == ()
    assert body["messages"][1] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [call],
        "prefix": True,
    }
    assert body["messages"][2:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "assistant", "content": None, "refusal": "no"},
    ]
    assert render(request, "openai")[1] == ("thinking",)


def test_legacy_functions_become_tools():
    """`functions`, `function_call` and the function role are read as their successors."""
    request = parse(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "done"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    call, result = request.messages[0].parts[0], request.messages[1].parts[0]
    assert (call.name, call.id, result.name) == ("f", result.call_id, "f")
    assert request.tools == (Tool("f", schema={"type": "object"}),)
    assert request.tool_choice == chat.ToolChoice("named", "f")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ("auto", "")),
        ("any", ("required", "")),
        ("none", ("none", "")),
        ({"type": "function", "function": {"name": "f"}}, ("named", "f")),
        ({"function": {"name": "f"}}, ("named", "f")),
        ({"type": "function", "name": "f"}, ("named", "f")),
        ({"type": "auto"}, ("auto", "")),
    ],
)
def test_tool_choices(choice, expected):
    """A tool choice is understood in each of its spellings."""
    found = parse(tool_choice=choice).tool_choice
    assert (found.mode, found.name) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_effort": "high"}, chat.Reasoning(enabled=True, effort="high")),
        ({"reasoning_effort": "none"}, chat.Reasoning(enabled=False)),
        ({"reasoning": {"max_tokens": 99, "exclude": True}}, chat.Reasoning(True, "", 99, "omitted")),
        ({"thinking": {"type": "disabled"}}, chat.Reasoning(enabled=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, chat.Reasoning(enabled=True, budget=9)),
        ({"enable_thinking": False}, chat.Reasoning(enabled=False)),
        ({}, None),
    ],
)
def test_how_hard_to_think(members, expected):
    """Reasoning is understood in each of its four spellings."""
    assert parse(**members).reasoning == expected


def test_other_members():
    """Formats, stops and unknown members are kept; the gateway's own fields are not among them."""
    schema = {"type": "object"}
    request = parse(
        stop="END",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": schema, "strict": True},
        },
        tools=[
            {"type": "custom", "custom": {"name": "patch"}},
            {"type": "function", "function": {"name": "f"}},
        ],
        store=True,
        unknown=[1],
        nothing=None,
        force_tier="local",
    )
    assert request.stop == ("END",)
    assert request.response_format == chat.ResponseFormat("json_schema", "n", schema, strict=True)
    assert request.tools[0].opaque == Opaque("openai_chat", {"type": "custom", "custom": {"name": "patch"}})
    assert request.extra == {"store": True, "unknown": [1]}
    body, dropped = render(request)
    assert dropped == ("unknown",)
    assert body["tools"][0] == {"type": "custom", "custom": {"name": "patch"}}
    assert parse(response_format={"type": "json_object"}).response_format == chat.ResponseFormat(
        "json_object"
    )
    assert parse(response_format={"type": "grammar"}).extra == {"response_format": {"type": "grammar"}}


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": [7]}], "messages[0].content[0]"),
        ([{"role": "alien", "content": ""}], "messages[0].role"),
        ([{"content": ""}], "messages[0].role"),
        ([{"role": "assistant", "tool_calls": [{"id": "x"}]}], "messages[0].tool_calls[0].function.name"),
    ],
)
def test_a_message_that_makes_no_sense_is_named(messages, param):
    """The refusal of a bad message says which member is wrong."""
    with pytest.raises(BadRequest) as caught:
        parse(*messages)
    assert caught.value.param == param


def test_what_a_target_cannot_take_is_named():
    """Each field that OpenAI does not take is left out by name, and nothing else is."""
    request = ask(
        messages=(
            Message(Role.SYSTEM, (Text("a", cache={"type": "ephemeral"}), Text("b"))),
            Message(Role.ASSISTANT, (chat.Thinking("t", "sig"), chat.RedactedThinking("r"), Text("x"))),
            Message(Role.USER, (Opaque("anthropic", {"type": "search_result"}), Text("hi"))),
        ),
        tools=(Tool("web", opaque=Opaque("anthropic", {"type": "web_search_20250305"})), Tool("f")),
        top_k=5,
        reasoning=chat.Reasoning(enabled=True, effort="high"),
        extra={"metadata": {"user_id": "u"}, "context_management": {}},
    )
    body, dropped = render(request)
    assert dropped == (
        "cache_control",
        "context_management",
        "messages.search_result",
        "metadata",
        "reasoning_effort",
        "thinking",
        "tools.web_search_20250305",
        "top_k",
    )
    assert body["messages"][0] == {"role": "system", "content": "a\n\nb"}
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f"]


def test_openrouter_takes_what_openai_does_not():
    """Cache marks, signed reasoning, budgets and top_k reach a provider that knows them."""
    mark = {"type": "ephemeral"}
    request = ask(
        messages=(
            Message(Role.SYSTEM, (Text("a", cache=mark),)),
            Message(Role.ASSISTANT, (chat.Thinking("t", "sig"), chat.ToolCall("c", "f", ""))),
            Message(Role.TOOL, (chat.ToolResult("c", (Text("r"),), cache=mark),)),
        ),
        top_k=5,
        reasoning=chat.Reasoning(enabled=True, budget=4000),
    )
    body, dropped = render(request, "openrouter")
    assert dropped == ()
    assert body["messages"][0]["content"] == [{"type": "text", "text": "a", "cache_control": mark}]
    assert body["messages"][1]["reasoning_details"][0]["signature"] == "sig"
    assert body["messages"][2]["content"] == [{"type": "text", "text": "r", "cache_control": mark}]
    assert (body["top_k"], body["reasoning"]) == (5, {"enabled": True, "max_tokens": 4000})
    again = DIALECT.parse_request(json.dumps(body).encode()).messages
    assert again[1].parts[0] == chat.Thinking("t", "sig")


def test_models_that_reason_are_asked_in_their_own_way():
    """A reasoning model gets an effort and the new name of the limit, and no temperature that it refuses."""
    request = ask(
        max_tokens=9, temperature=0.2, top_p=1.0, reasoning=chat.Reasoning(enabled=True, budget=2048)
    )
    body, dropped = render(request, model="gpt-5.4")
    assert dropped == ("temperature",)
    assert (body["max_completion_tokens"], body["reasoning_effort"], body["top_p"]) == (9, "low", 1.0)
    assert render(ask(max_tokens=9), "mistral")[0]["max_tokens"] == 9


def test_streams_are_asked_for_usage():
    """A translated stream always asks for usage where it must be asked for."""
    assert render(ask(stream=True))[0]["stream_options"] == {"include_usage": True}
    assert "stream_options" not in render(ask(stream=True), "mistral")[0]


def test_pictures_that_tools_show_follow_the_results():
    """A tool's picture travels in a user's message right behind all results."""
    image = chat.Image("image/png", "AAA")
    results = (chat.ToolResult("c1", (image,)), chat.ToolResult("c2", (Text("two"),), is_error=True))
    body, dropped = render(ask(messages=(Message(Role.TOOL, results),)))
    assert [message["role"] for message in body["messages"]] == ["tool", "tool", "user"]
    assert body["messages"][2]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAA"
    assert dropped == ("is_error",)


def test_what_would_change_the_question_is_refused():
    """A document by URL and a forced tool that runs elsewhere are refused, not dropped."""
    with pytest.raises(BadRequest, match="documents by URL"):
        render(ask(messages=(Message(Role.USER, (chat.Document(url="https://x/a.pdf"),)),)))
    web = Tool("web", opaque=Opaque("anthropic", {"type": "web_search_20250305"}))
    with pytest.raises(BadRequest, match="runs at its own provider"):
        render(ask(tools=(web,), tool_choice=chat.ToolChoice("named", "web")))


def test_an_answer_in_full():
    """A neutral answer becomes a chat completion with reasoning that can travel back, and meta as its last member."""
    answer = chat.ChatAnswer(
        id="msg_1",
        model="claude",
        choices=(
            chat.Choice(
                0,
                (
                    chat.Thinking("hm", "sig"),
                    chat.RedactedThinking("r"),
                    Text("a"),
                    Text("b"),
                    chat.ToolCall("c", "f", ""),
                ),
                chat.FinishReason.TOOL_CALLS,
            ),
        ),
        usage=Usage(input_tokens=10, output_tokens=4, cache_read_tokens=3, cache_write_tokens=2),
    )
    dialect = OpenAIChat(Clock(now=lambda: 1_700_000_000_000_000_000))
    wire = json.loads(dialect.render_answer(answer, {"tier": "premium"}))
    assert list(wire)[-1] == "gateway_meta"
    assert wire["created"] == 1_700_000_000
    assert wire["choices"][0]["finish_reason"] == "tool_calls"
    message = wire["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("ab", "hm")
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "r"},
    ]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert wire["usage"]["prompt_tokens_details"] == {
        "cached_tokens": 3,
        "cache_write_tokens": 2,
        "audio_tokens": 0,
    }
    turn = parse({"role": "assistant", **message}).messages[0]
    assert turn.parts[:2] == (chat.Thinking("hm", "sig"), chat.RedactedThinking("r"))


def test_mistral_writes_its_thinking_into_content():
    """Content parts that think are thinking."""
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "ok"},
    ]
    body = json.dumps({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}).encode()
    assert DIALECT.parse_answer(body).choices[0].parts == (chat.Thinking("hm"), Text("ok"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "no chat completion"),
        (b'{"error":{"message":"overloaded"}}', "overloaded"),
        (b'{"choices":[],"error":"quota"}', "quota"),
        (b'{"choices":[{"message":{"content":7}}]}', "cannot be read"),
    ],
)
def test_a_reply_that_is_none_is_the_upstream_s_failure(body, says):
    """What is no chat completion under a good status is a failure in the upstream's words."""
    with pytest.raises(UpstreamFailed, match=says):
        DIALECT.parse_answer(body)
