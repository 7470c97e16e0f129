"""What Ollama answers: recorded replies and every oddity of its wire, plain and streamed, told the same."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import recorded

from llmgw.domain.chat import (
    ChatRequest,
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
    Thinking,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.domain.route import Tier
from llmgw.domain.usage import Usage
from llmgw.errors import UpstreamFailed
from llmgw.providers.base import Peek, Upstream
from llmgw.providers.dialects.ollama import DIALECT, OllamaDialect
from llmgw.providers.ollama import PROVIDER

if TYPE_CHECKING:
    from support.fake_ollama import FakeOllama

MADE = "2026-08-07T06:08:14.73237Z"
USAGE = {"prompt_eval_count": 21, "eval_count": 3}


def line(done: bool = False, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "", **message}
    return {"model": "m", "created_at": MADE, "message": said, "done": done}


def final(**fields: Any) -> dict[str, Any]:
    return {**line(done=True), "done_reason": "stop", **USAGE, **fields}


def wire(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in lines)


def parse(raw: bytes, size: int = 1 << 20):
    parser = DIALECT.stream_parser()
    events = [event for start in range(0, len(raw), size) for event in parser.feed(raw[start : start + size])]
    return [*events, *parser.close()], parser.reading()


def dechunked(raw: bytes) -> bytes:
    """Recordings of langchaingo kept the chunked framing."""
    if not re.match(rb"[0-9a-f]+\r\n\{", raw):
        return raw
    whole = b""
    while (size := int((head := raw.split(b"\r\n", 1))[0], 16)) > 0:
        whole, raw = whole + head[1][:size], head[1][size + 2 :]
    return whole


def test_every_recorded_reply_is_understood():
    """Each recorded /api/chat exchange yields its text, thinking, tool calls, finish reason and counts."""
    streams = answers = errors = 0
    for exchange in recorded("ollama-chat", "ollama"):
        if exchange.status != 200:
            message, _ = DIALECT.read_error(exchange.status, exchange.reply)
            assert message == json.loads(exchange.reply)["error"]
            errors += 1
            continue
        raw = dechunked(exchange.reply)
        lines = [json.loads(each) for each in raw.splitlines()]
        last = lines[-1]
        counts = (last["prompt_eval_count"], last["eval_count"])
        if len(lines) == 1:
            answer, reading = DIALECT.parse_answer(raw), DIALECT.read(raw)
            said = last["message"]
            parts = answer.choices[0].parts
            assert [p.text for p in parts if isinstance(p, Text)] == [said["content"]] * bool(said["content"])
            assert [p.text for p in parts if isinstance(p, Thinking)] == [said["thinking"]]
            calls = said.get("tool_calls", [])
            told = [(p.id, p.name, json.loads(p.arguments)) for p in parts if isinstance(p, ToolCall)]
            assert told == [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls]
            assert answer.choices[0].finish_reason == ("tool_calls" if calls else last["done_reason"])
            assert answer.created > 1_700_000_000
            assert answer.usage == reading.usage
            answers += 1
        else:
            events, reading = parse(raw, 41)
            for kind, name in (("text", "content"), ("thinking", "thinking")):
                told = "".join(e.text for e in events if isinstance(e, Delta) and e.kind == kind)
                assert told == "".join(each["message"].get(name, "") for each in lines)
            assert isinstance(events[0], Started)
            assert isinstance(events[-1], Ended)
            assert reading.finish_reason == last["done_reason"]
            streams += 1
        assert reading.usage is not None
        assert (reading.usage.input_tokens, reading.usage.output_tokens) == counts
        assert reading.whole
    print(f"ollama-chat: {answers} plain, {streams} streamed, {errors} errors")
    assert (answers, streams, errors) == (7, 11, 1)


@given(st.integers(1, 60))
def test_chunks_may_break_anywhere(size):
    """The same events come out however the bytes are cut, even inside a character."""
    raw = wire(line(thinking="hm"), line(content="čaj 😀"), line(content=" ende"), final())
    assert parse(raw, size) == parse(raw)


def test_a_streamed_tool_call_ends_as_tool_calls():
    """Ollama says ``stop`` after a tool call and may spread calls over lines (litellm #35663)."""
    calls = [
        {"function": {"name": "look", "arguments": {"at": [1]}}},
        {"id": "x", "function": {"name": "go"}},
    ]
    events, reading = parse(wire(line(tool_calls=calls[:1]), line(tool_calls=calls[1:]), final()))
    digits = "2026080706081473237"
    assert events == [
        Started(f"chatcmpl-{digits}", "m", created=1786082894),
        ToolCallStarted(0, f"call_{digits}_0", "look"),
        ToolCallDelta(0, '{"at": [1]}'),
        ToolCallStarted(1, "x", "go"),
        ToolCallDelta(1, "{}"),
        Finished(FinishReason.TOOL_CALLS),
        Metered(Usage(input_tokens=21, output_tokens=3)),
        Ended(),
    ]
    assert reading.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"done_reason": "stop"}, "stop"),
        ({"done_reason": "length"}, "length"),
        ({"done_reason": "load"}, "stop"),
        ({"done_reason": ""}, "stop"),
    ],
)
def test_finish_reasons_are_the_same_plain_and_streamed(fields, reason):
    """Each done_reason has one neutral word, whichever way it came."""
    _, reading = parse(wire(line(content="a"), final(**fields)))
    body = json.dumps(final(**fields)).encode()
    assert reading.finish_reason == DIALECT.read(body).finish_reason == reason
    assert DIALECT.parse_answer(body).choices[0].finish_reason == reason


def test_a_cached_prompt_without_a_count_is_marked():
    """Where prompt_eval_count is absent the usage is estimated; where both are, there is none."""
    cached = final()
    del cached["prompt_eval_count"]
    assert parse(wire(cached))[1].usage == Usage(output_tokens=3, estimated=True)
    del cached["eval_count"]
    assert parse(wire(cached))[1].usage is None


def test_an_error_ends_a_stream():
    """An error line becomes Failed with Ollama's words, and nothing after it counts."""
    events, reading = parse(wire(line(content="so"), {"error": "llama runner died"}, final()))
    assert events[-1] == Failed("llama runner died")
    assert (reading.error, reading.whole, reading.usage, reading.text) == (
        "llama runner died",
        False,
        None,
        "so",
    )


@pytest.mark.parametrize("raw", [b"", wire(line(content="so")), b'{"model":"m","mess', b"<html>\n"])
def test_a_stream_that_is_cut_or_nonsense_fails(raw):
    """Without its last line a stream is no success, whatever came before."""
    events, reading = parse(raw)
    assert isinstance(events[-1], Failed)
    assert not reading.whole


@pytest.mark.parametrize("body", [b"", b"[]", b"nope", b'{"error":"out of memory"}', b'{"message":3}'])
def test_a_reply_that_is_none_is_a_failure(body):
    """A 200 without an answer in it is the upstream's failure."""
    with pytest.raises(UpstreamFailed):
        DIALECT.parse_answer(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"model \'x\' not found"}', "model 'x' not found"),
        (b'{"error":{"message":"bad","type":"t"}}', "bad"),
        (b"404 page not found", "404 page not found"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"detail":[1]}', '{"detail":[1]}'),
    ],
)
def test_errors_of_any_shape_are_read(body, message):
    """Whatever the shape of an error body, its words come out."""
    assert DIALECT.read_error(500, body) == (message, "")


def test_a_tap_changes_nothing():
    """A listener passes each chunk on as it is and knows the end when it sees it."""
    raw = wire(line(content="hello"), final())
    tap = DIALECT.tap(Peek(model="m"), at(""))
    middle = len(raw) // 2
    assert tap.feed(raw[:middle]) == raw[:middle]
    assert not tap.ending
    assert tap.feed(raw[middle:]) == raw[middle:]
    assert tap.ending
    reading = tap.close()
    assert (reading.text, reading.whole, reading.upstream_id) == (
        "hello",
        True,
        "chatcmpl-2026080706081473237",
    )


def test_logprobs_keep_openais_shape():
    """Ollama's logprob entries stand in the text's delta and in the plain choice."""
    entries = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    events, _ = parse(wire({**line(content="a", thinking="t"), "logprobs": entries}, final()))
    assert [e.logprobs for e in events if isinstance(e, Delta)] == [None, {"content": entries}]
    answer = DIALECT.parse_answer(json.dumps({**final(), "logprobs": entries}).encode())
    assert answer.choices[0].logprobs == {"content": entries}


def at(url: str, **options: Any) -> Upstream:
    return Upstream(name="ollama", provider=PROVIDER, base_url=url, tier=Tier.LOCAL, options=options)


def call(server: FakeOllama, dialect: OllamaDialect, *texts: str, stream: bool = False, **options: Any):
    messages = tuple(Message(Role.USER, (Text(text),)) for text in texts)
    request = ChatRequest(model="m", messages=messages, stream=stream, max_tokens=50)
    rendered = dialect.render_request(request, at(server.url, **options), "llama3.2")
    reply = httpx.post(server.url + PROVIDER.chat_path, content=rendered.body)
    assert reply.status_code == 200
    usage = parse(reply.content)[1].usage if stream else dialect.parse_answer(reply.content).usage
    assert usage is not None
    assert rendered.check is not None
    return usage, rendered.warning, rendered.check(usage)


def test_on_the_wire_a_long_prompt_is_whole(fake_ollama):
    """Through a server that cuts as Ollama does, long prompts arrive whole, plain and streamed, with two loads only."""
    dialect = OllamaDialect()
    long = "word " * 9_000
    assert call(fake_ollama, dialect, "hi") == (Usage(input_tokens=1, output_tokens=5), "", "")
    for stream in (False, True):
        usage, warning, late = call(fake_ollama, dialect, long, "and now?", stream=stream)
        assert (usage.input_tokens, warning, late) == (9_003, "", "")
    call(fake_ollama, dialect, "a title, please")
    assert fake_ollama.loads == [4096, 16_384]


def test_on_the_wire_a_cut_prompt_is_announced_and_noticed(fake_ollama):
    """With a cap below the prompt the warning comes before the call and again from the count."""
    usage, warning, late = call(fake_ollama, OllamaDialect(), "word " * 9_000, "and now?", num_ctx_max=4096)
    assert usage.input_tokens == 3
    assert "may not fit" in warning
    assert "dropped the oldest turns" in late
