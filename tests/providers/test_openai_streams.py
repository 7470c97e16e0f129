"""Streams to neutral events and back: odd servers, exact order, and the official SDK as the judge."""

from __future__ import annotations

import json

import httpx
import openai
import pytest

from llmgw.domain import chat
from llmgw.domain.chat import (
    Delta,
    Ended,
    Failed,
    Finished,
    FinishReason,
    Message,
    Metered,
    Role,
    Started,
    Text,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.domain.usage import Usage
from llmgw.errors import RateLimited
from llmgw.providers.dialects.openai_chat import DIALECT

DONE = "[DONE]"


def frame(told) -> bytes:
    return f"data: {told if isinstance(told, str) else json.dumps(told)}\n\n".encode()


def delta(finish=None, **members):
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": members, "finish_reason": finish}]}


def call(arguments="", **members):
    name = members.pop("name", None)
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return delta(tool_calls=[{**members, "function": function}])


def events(*told):
    parser = DIALECT.stream_parser()
    found = [event for each in told for event in parser.feed(frame(each))]
    return [*found, *parser.close()], parser.reading()


def calls(*told):
    return [event for event in events(*told)[0] if isinstance(event, ToolCallStarted | ToolCallDelta)]


def renderer(include_usage=True):
    request = chat.ChatRequest(model="asked", messages=(Message(Role.USER, ()),), include_usage=include_usage)
    return DIALECT.stream_renderer(request)


def test_a_stream_in_full():
    """Role, text, reason, usage and end become events in their order."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    found, reading = events(
        delta(role="assistant", content=""),
        delta(content="hi"),
        delta("stop"),
        {"choices": [], "usage": usage},
        DONE,
    )
    counted = Usage(input_tokens=3, output_tokens=2)
    assert found == [
        Started("c", "m"),
        Delta("text", "hi"),
        Finished(FinishReason.STOP),
        Metered(counted),
        Ended(),
    ]
    assert (reading.usage, reading.finish_reason, reading.whole, reading.upstream_id) == (
        counted,
        "stop",
        True,
        "c",
    )


def test_parallel_calls_by_index():
    """OpenAI counts calls by index and says their id once."""
    assert calls(
        call(index=0, id="a", name="f"),
        call('{"x"', index=0),
        call(":1}", index=0),
        call(index=1, id="b", name="g"),
    ) == [
        ToolCallStarted(0, "a", "f"),
        ToolCallDelta(0, '{"x"'),
        ToolCallDelta(0, ":1}"),
        ToolCallStarted(1, "b", "g"),
    ]


@pytest.mark.parametrize(
    "told",
    [
        [call("{}", index=0, id="a", name="f"), call("{}", index=0, id="b", name="g")],
        [call("{}", id="a", name="f"), call("{}", id="b", name="g")],
        [call(id="a", name="f"), call("{}", id="a"), call(id="b", name="g"), call("{}", id="b")],
        [call(id="a", name="f"), call("{}"), call("{}", id="b", name="g")],
        [
            call(index=0, id="a", name="f"),
            call("{}", index=0, id="a", name="f"),
            call("{}", index=1, id="b", name="g"),
        ],
        [call("{}", index=0, id="a"), call(index=0, name="f"), call("{}", index=1, id="b", name="g")],
    ],
    ids=["index always 0", "no index", "id each time", "fragment without id", "name each time", "name late"],
)
def test_calls_of_odd_servers(told):
    """Servers that count in their own way still make two calls with their arguments."""
    found = calls(*told)
    assert [(event.id, event.name) for event in found if isinstance(event, ToolCallStarted)] == [
        ("a", "f"),
        ("b", "g"),
    ]
    for slot in (0, 1):
        assert "".join(e.text for e in found if isinstance(e, ToolCallDelta) and e.slot == slot) == "{}"


def test_a_legacy_twin_is_not_a_second_call():
    """llama-cpp-python says a call in both shapes; alone, the legacy shape is a call too."""
    twin = call("{}", index=0, id="a", name="f")
    twin["choices"][0]["delta"]["function_call"] = {"name": "f", "arguments": "{}"}
    assert calls(twin) == [ToolCallStarted(0, "a", "f"), ToolCallDelta(0, "{}")]
    alone = delta(function_call={"name": "f", "arguments": "{}"})
    assert calls(alone) == [ToolCallStarted(0, "call_0_0", "f"), ToolCallDelta(0, "{}")]


def test_reasoning_in_its_shapes():
    """Each shape of reasoning is thinking, once; a signature is kept."""
    detail = {"type": "reasoning.text", "text": "c", "signature": "s"}
    block = {"type": "thinking", "thinking": "ab", "signature": "s2"}
    found, _ = events(
        delta(reasoning_content="a"),
        delta(reasoning="b"),
        delta(reasoning="c", reasoning_details=[detail]),
        delta(thinking_blocks=[block]),
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "d"}]}]),
    )
    assert [(e.kind, e.text) for e in found if isinstance(e, Delta)] == [
        ("thinking", "a"),
        ("thinking", "b"),
        ("thinking", "c"),
        ("signature", "s"),
        ("signature", "s2"),
        ("thinking", "d"),
    ]


def test_a_stream_without_done_is_whole_when_it_finished():
    """transformers serve ends without a marker."""
    assert events(delta(content="x"), delta("stop"))[0][-1] == Ended()


def test_a_cut_stream_fails():
    """A stream that stops in the middle ends in Failed, and leaves its text for an estimate."""
    parser = DIALECT.stream_parser()
    parser.feed(frame(delta(content="half")) + b'data: {"cho')
    assert isinstance(parser.close()[-1], Failed)
    reading = parser.reading()
    assert (reading.whole, reading.text, reading.usage) == (False, "half", None)


@pytest.mark.parametrize(
    ("told", "message", "status"),
    [
        ({"error": {"message": "slow down", "type": "rate", "code": 429}}, "slow down", 429),
        ({"error": "broken"}, "broken", 502),
        ("nonsense", "not JSON", 502),
    ],
)
def test_an_error_ends_the_stream(told, message, status):
    """After an error in a stream nothing else comes."""
    found, reading = events(delta(content="x"), told, delta(content="y"), DONE)
    assert isinstance(found[-1], Failed)
    assert message in found[-1].message
    assert (found[-1].status, reading.whole) == (status, False)


def test_rendered_order():
    """The role comes first, the reason alone, then usage without choices, then the end."""
    render = renderer()
    told = b"".join(
        map(
            render.feed,
            [
                Started("id", "claude", created=5),
                Delta("text", "hi"),
                Finished(FinishReason.STOP),
                Metered(Usage(input_tokens=3, output_tokens=2)),
                Ended(),
            ],
        )
    )
    *frames, done = [line.removeprefix("data: ") for line in told.decode().split("\n\n")[:-1]]
    chunks = [json.loads(each) for each in frames]
    assert done == DONE
    assert {(c["id"], c["model"], c["created"], c["object"]) for c in chunks} == {
        ("id", "claude", 5, "chat.completion.chunk")
    }
    assert [
        c["choices"] and (c["choices"][0]["delta"], c["choices"][0]["finish_reason"]) for c in chunks
    ] == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "hi"}, None),
        ({}, "stop"),
        [],
    ]
    assert [c["usage"] and c["usage"]["total_tokens"] for c in chunks] == [None, None, None, 5]


def test_usage_is_not_shown_to_who_did_not_ask():
    """aider breaks on a chunk with empty choices, so none is sent unasked."""
    render = renderer(include_usage=False)
    told = (
        render.feed(Delta("text", "x")) + render.feed(Metered(Usage(input_tokens=1))) + render.feed(Ended())
    )
    assert b"usage" not in told
    assert b'"choices":[]' not in told


def sdk(stream: bytes, status=200):
    """The official client, answered with these bytes."""
    reply = httpx.Response(status, content=stream, headers={"content-type": "text/event-stream"})
    transport = httpx.MockTransport(lambda _: reply)
    return openai.OpenAI(
        api_key="k", base_url="http://x/v1", max_retries=0, http_client=httpx.Client(transport=transport)
    )


def test_the_official_sdk_adds_up_what_was_rendered():
    """The openai SDK's own accumulator gets text, calls, reason and usage of two choices out of a rendered stream."""
    render = renderer()
    stream = b"".join(
        map(
            render.feed,
            [
                Started("id", "claude"),
                Delta("thinking", "hm"),
                Delta("signature", "sig"),
                Delta("text", "hel"),
                Delta("text", "lo"),
                ToolCallStarted(0, "a", "f"),
                ToolCallDelta(0, '{"x":'),
                ToolCallDelta(0, "1}"),
                ToolCallStarted(1, "b", "g"),
                Delta("text", "other", 1),
                Finished(FinishReason.TOOL_CALLS),
                Finished(FinishReason.STOP, choice=1),
                Metered(Usage(input_tokens=3, output_tokens=2)),
                Ended(),
            ],
        )
    )
    stream += DIALECT.stream_meta({"tier": "cheap"})
    messages = [{"role": "user", "content": "hi"}]
    with sdk(stream) as client, client.chat.completions.stream(model="m", messages=messages) as live:
        final = live.get_final_completion()
    first, second = final.choices
    assert first.message.content == "hello"
    assert first.message.to_dict()["reasoning_content"] == "hm"
    block = first.message.to_dict()["thinking_blocks"][0]
    assert (block["thinking"], block["signature"]) == ("hm", "sig")
    assert [(c.id, c.function.name, c.function.arguments) for c in first.message.tool_calls] == [
        ("a", "f", '{"x":1}'),
        ("b", "g", "{}"),
    ]
    assert (first.finish_reason, second.finish_reason, second.message.content) == (
        "tool_calls",
        "stop",
        "other",
    )
    assert final.usage.total_tokens == 5


def test_the_official_sdk_raises_on_errors():
    """The SDK raises its own classes on an error reply and on an error inside a stream."""
    refusal = RateLimited("Too many requests for key k.", hint="Wait 3 s.")
    messages = [{"role": "user", "content": "hi"}]
    with sdk(DIALECT.render_error(refusal, "req_1"), 429) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="m", messages=messages)
        assert (caught.value.code, caught.value.type) == ("rate_limited", "rate_limit_error")
    broken = renderer().feed(Delta("text", "x")) + DIALECT.render_stream_error(refusal, "req_1")
    with sdk(broken) as client, pytest.raises(openai.APIError, match="Too many requests"):
        list(client.chat.completions.create(model="m", messages=messages, stream=True))
    failed = renderer().feed(Failed("upstream broke"))
    with sdk(failed) as client, pytest.raises(openai.APIError, match="upstream broke"):
        list(client.chat.completions.create(model="m", messages=messages, stream=True))


def test_a_neutral_answer_is_valid_for_the_sdk():
    """The SDK's types accept a rendered plain answer."""
    answer = chat.ChatAnswer(
        id="x",
        model="m",
        choices=(chat.Choice(0, (Text("hi"),), FinishReason.STOP),),
        usage=Usage(input_tokens=1),
    )
    wire = DIALECT.render_answer(answer, {"tier": "local"})
    completion = openai.types.chat.ChatCompletion.model_validate_json(wire, strict=True)
    assert completion.choices[0].message.content == "hi"
    assert completion.to_dict()["gateway_meta"] == {"tier": "local"}
