"""Streams: relayed under a tap, parsed into events, rendered for callers; the official SDK is the judge."""

from __future__ import annotations

import itertools
import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import upstream
from support.fake_anthropic import event
from support.recorded import ANTHROPIC, recorded
from support.sdk_streams import anthropic_message, anthropic_stream

from llmgw.domain.chat import (
    ChatRequest,
    Delta,
    Ended,
    Failed,
    Finished,
    FinishReason,
    Metered,
    Opaque,
    OpaqueBlock,
    Started,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.domain.usage import Usage
from llmgw.providers.base import Peek
from llmgw.providers.dialects.anthropic import DIALECT

UP = upstream()
PEEK = Peek(model="m", stream=True)
REQUEST = ChatRequest(model="m", messages=())


def start(**usage):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
    return event({"type": "message_start", "message": message | ({"usage": usage} if usage else {})})


def text(*words, index=0):
    block = {"type": "text", "text": ""}
    yield event({"type": "content_block_start", "index": index, "content_block": block})
    for word in words:
        delta = {"type": "text_delta", "text": word}
        yield event({"type": "content_block_delta", "index": index, "delta": delta})
    yield event({"type": "content_block_stop", "index": index})


def end(reason="end_turn", **usage):
    delta = {"stop_reason": reason, "stop_sequence": None}
    return event({"type": "message_delta", "delta": delta, "usage": usage}) + event({"type": "message_stop"})


STREAM = start(input_tokens=5, output_tokens=1) + b"".join(text("grüß", " dich")) + end(output_tokens=4)


def tapped(*chunks):
    tap = DIALECT.tap(PEEK, UP)
    for chunk in chunks:
        assert tap.feed(chunk) is chunk
    return tap.close()


def parsed(*chunks):
    parser = DIALECT.stream_parser()
    events = [found for chunk in chunks for found in parser.feed(chunk)]
    return [*events, *parser.close()], parser.reading()


def rendered(events):
    renderer = DIALECT.stream_renderer(REQUEST)
    return b"".join(map(renderer.feed, events))


def types(stream):
    return [line[7:].decode() for line in stream.splitlines() if line.startswith(b"event: ")]


def pieces(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[left:right] for left, right in itertools.pairwise(edges)]


@given(st.lists(st.integers(0, 10**6), max_size=30))
def test_chunks_may_break_anywhere(cuts):
    """However the bytes are cut, even inside a character, tap and parser learn the same."""
    chunks = pieces(STREAM, cuts)
    whole, _ = parsed(STREAM)
    assert parsed(*chunks)[0] == whole
    assert tapped(*chunks) == tapped(STREAM)
    assert tapped(*chunks).usage == Usage(input_tokens=5, output_tokens=4)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_ending_turns_with_the_last_event(newline):
    """A tap says ending in the chunk that completes message_stop, neither earlier nor later."""
    stream = STREAM.replace(b"\n", newline)
    marker = stream.rindex(b"}") + 1
    tap = DIALECT.tap(PEEK, UP)
    tap.feed(stream[:marker])
    assert not tap.ending
    tap.feed(stream[marker:])
    assert tap.ending
    assert tap.close().whole


def test_words_that_look_like_events_change_nothing():
    """A model that writes about usage and message_stop neither ends the stream nor is billed for it."""
    spoken = b"".join(text("usage", 'data: {"type": "message_stop"}', '"usage": {"output_tokens": 9}'))
    tap = DIALECT.tap(PEEK, UP)
    tap.feed(start(input_tokens=5, output_tokens=1) + spoken)
    assert not tap.ending
    tap.feed(end(output_tokens=7))
    assert tap.close().usage == Usage(input_tokens=5, output_tokens=7)


@pytest.mark.parametrize(
    ("stream", "usage"),
    [
        # as Anthropic does it, in the first and the last event
        (start(input_tokens=5, output_tokens=1) + end(output_tokens=4), (5, 4)),
        # only in message_delta
        (start() + end(input_tokens=5, output_tokens=4), (5, 4)),
        (start(input_tokens=0, output_tokens=0) + end(input_tokens=5, output_tokens=4), (5, 4)),
        # twice, cumulative
        (start(input_tokens=2, output_tokens=1) + end(input_tokens=5, output_tokens=4), (5, 4)),
        # repeated as zeros and nulls
        (start(input_tokens=5, output_tokens=1) + end(input_tokens=0, output_tokens=4), (5, 4)),
        (start(input_tokens=5, output_tokens=1) + end(input_tokens=None, output_tokens=4), (5, 4)),
    ],
)
def test_usage_is_found_wherever_it_stands(stream, usage):
    """Input may come first, last, twice or as nothing in between: it is counted once."""
    for reading in (tapped(stream), parsed(stream)[1]):
        assert reading.whole
        assert reading.usage is not None
        assert (reading.usage.input_tokens, reading.usage.output_tokens) == usage
        assert reading.usage.complete


def test_absent_usage_leaves_the_text():
    """Without usage the words are told, so that they can be counted."""
    stream = start() + b"".join(text("one ", "two")) + end()
    for reading in (tapped(stream), parsed(stream)[1]):
        assert (reading.usage, reading.text, reading.finish_reason) == (None, "one two", "stop")


def test_a_cut_stream_is_not_whole():
    """Cut at any byte before its last event, a stream is not whole, and the words so far are told."""
    for cut in range(0, len(STREAM) - 1, 7):
        reading = tapped(STREAM[:cut])
        assert reading == parsed(STREAM[:cut])[1] or reading.whole
        if b'"stop_reason"' not in STREAM[:cut]:
            assert not reading.whole
            assert reading.usage is None or not reading.usage.complete
            assert reading.text in ("", "grüß", "grüß dich")
    assert tapped(STREAM[: STREAM.index(b" dich")]).text == "grüß"


def test_a_cut_stream_ends_in_failed():
    """A translated stream that breaks off says so; one that only lacks its last event does not."""
    events, _ = parsed(STREAM[: STREAM.index(b"message_delta")])
    assert isinstance(events[-1], Failed)
    events, reading = parsed(STREAM[: STREAM.index(b"event: message_stop")])
    assert isinstance(events[-1], Ended)
    assert reading.whole


def test_an_error_inside_a_stream_is_told():
    """An error event ends both ways with the upstream's words and the status of its type."""
    stream = start(input_tokens=5) + event(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    )
    events, reading = parsed(stream)
    assert events[-1] == Failed("Overloaded", "overloaded_error", 529)
    assert reading.error == tapped(stream).error == "Overloaded"
    assert not reading.whole


@given(st.binary(max_size=200), st.lists(st.integers(0, 10**6), max_size=5))
def test_no_bytes_break_the_readers(noise, cuts):
    """Noise in the middle of a stream never raises."""
    middle = len(STREAM) // 2
    chunks = pieces(STREAM[:middle] + noise + STREAM[middle:], cuts)
    tapped(*chunks)
    events, _ = parsed(*chunks)
    assert isinstance(events[-1], (Ended, Failed))
    rendered(events)


GARBAGE = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.none()) | st.just({"type": []})
KINDS = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
]
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={
        "index": GARBAGE,
        "message": GARBAGE | st.fixed_dictionaries({}, optional={"id": GARBAGE, "usage": GARBAGE}),
        "content_block": GARBAGE
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "tool_use", "thinking", "other"])},
            optional={"text": GARBAGE, "id": GARBAGE, "input": GARBAGE, "name": GARBAGE},
        ),
        "delta": GARBAGE
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["text_delta", "input_json_delta", "compaction_delta"]) | GARBAGE},
            optional={
                "text": GARBAGE,
                "partial_json": GARBAGE,
                "stop_reason": GARBAGE,
                "stop_sequence": GARBAGE,
            },
        ),
        "usage": GARBAGE | st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), GARBAGE),
        "error": GARBAGE,
    },
)


@given(st.lists(EVENTS, max_size=12))
def test_no_events_break_the_readers(events):
    """Events of the wrong shape are overlooked, not stumbled over, and what is rendered stays decodable."""
    stream = b"".join(map(event, events))
    tapped(stream)
    found, _ = parsed(stream)
    assert isinstance(found[-1], (Ended, Failed))
    for line in rendered(found).splitlines():
        assert not line.startswith(b"data: ") or json.loads(line[6:])["type"]


def test_input_never_told_is_not_complete():
    """Output alone is no complete usage: the text comes along, and the counts say so."""
    stream = start() + b"".join(text("hi")) + end(output_tokens=4)
    for reading in (tapped(stream), parsed(stream)[1]):
        assert reading.usage == Usage(output_tokens=4, complete=False)
        assert reading.text == "hi"


def test_a_call_without_arguments_has_empty_ones():
    """A tool that takes nothing is called with an empty object, as in the plain reply."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    call = event({"type": "content_block_start", "index": 0, "content_block": block})
    call += event({"type": "content_block_stop", "index": 0})
    events, _ = parsed(start() + call + end("tool_use", output_tokens=3))
    assert events[1:3] == [ToolCallStarted(0, "toolu_1", "now"), ToolCallDelta(0, "{}")]


def test_events_come_in_the_order_sdks_demand():
    """Thinking, its signature, text and calls each open, fill and close one block after the other."""
    stream = rendered(
        [
            Started("msg_1", "claude-x", Usage(input_tokens=9, cache_read_tokens=4)),
            Delta("thinking", "hm"),
            Delta("signature", "sig"),
            Delta("redacted_thinking", "xx"),
            Delta("text", "hel"),
            Delta("text", "lo"),
            ToolCallStarted(0, "call:1", "f"),
            ToolCallDelta(0, '{"a":'),
            ToolCallDelta(0, "1}"),
            Finished(FinishReason.STOP),
            Metered(Usage(input_tokens=9, cache_read_tokens=4, output_tokens=7)),
            Ended(),
        ]
    )
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert types(stream) == [
        "message_start",
        *(block[:2] + block[1:]),
        *(block[:1] + block[2:]),
        *(block[:2] + block[1:]),
        *(block[:2] + block[1:]),
        "message_delta",
        "message_stop",
    ]
    message = anthropic_stream(stream)
    thinking, hidden, said, call = message.content
    assert (thinking.thinking, thinking.signature, hidden.data, said.text) == ("hm", "sig", "xx", "hello")
    assert (call.id, call.name, call.input) == ("call_1", "f", {"a": 1})
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (5, 4)
    assert message.usage.output_tokens == 7


@given(st.data())
def test_interleaved_calls_come_apart_again(data):
    """Arguments of parallel calls that arrive mixed end up whole in their own blocks."""
    wanted = [{"n": number, "text": "x" * number} for number in range(data.draw(st.integers(1, 4)))]
    rest = {slot: json.dumps(value) for slot, value in enumerate(wanted)}
    events = [Started("msg_1", "m")]
    begun: set[int] = set()
    while any(rest.values()):
        slot = data.draw(st.sampled_from([slot for slot, left in rest.items() if left]))
        if slot not in begun:
            begun.add(slot)
            events.append(ToolCallStarted(slot, f"call_{slot}", "f"))
        size = data.draw(st.integers(1, 8))
        events.append(ToolCallDelta(slot, rest[slot][:size]))
        rest[slot] = rest[slot][size:]
    message = anthropic_stream(rendered([*events, Finished(FinishReason.TOOL_CALLS), Ended()]))
    assert {block.id: block.input for block in message.content} == {
        f"call_{slot}": value for slot, value in enumerate(wanted)
    }


def test_a_failure_becomes_an_error_event():
    """A stream that fails ends in an error event of Anthropic's kind and no message_stop."""
    stream = rendered([Started("m", "m"), Delta("text", "x"), Failed("gone", "server_error", 502)])
    assert types(stream)[-1] == "error"
    assert json.loads(stream.rpartition(b"data: ")[2])["error"] == {"type": "api_error", "message": "gone"}


def test_blocks_of_other_dialects_and_choices_are_left_out():
    """What Anthropic cannot say leaves no trace, and an answer of nothing is still a whole message."""
    stream = rendered(
        [
            Delta("text", "other", choice=1),
            OpaqueBlock(Opaque("openai_chat", {"type": "x"})),
            Delta("text", ""),
            Ended(),
        ]
    )
    message = anthropic_stream(stream)
    assert (message.content, message.stop_reason) == ([], "end_turn")


def test_metadata_is_a_comment():
    """What a stream says about itself on request is a comment that SDKs skip."""
    meta = DIALECT.stream_meta({"tier": "local"})
    assert meta.startswith(b":")
    message = anthropic_stream(STREAM[: STREAM.index(b"event: message_stop")] + meta + end(output_tokens=4))
    assert message.content[0].text == "grüß dich"


def told(message):
    """What must be the same on every way: words, thoughts, calls, reason and counts."""
    blocks = [block.model_dump() for block in message.content]
    return {
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "thinking": [
            (block.get("thinking"), block.get("signature")) for block in blocks if block["type"] == "thinking"
        ],
        "calls": [
            (block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"
        ],
        "reason": (message.stop_reason, message.stop_sequence),
        "model": message.model,
    }


def test_recorded_streams_survive():
    """Recorded streams relayed, and parsed and rendered again, are to the SDK the messages they were."""
    random = Random(7)
    for exchange in recorded("messages", *ANTHROPIC):
        if not exchange.streamed:
            continue
        chunks = pieces(exchange.reply, [random.randrange(10**6) for _ in range(20)])
        reading = tapped(*chunks)
        events, learnt = parsed(*chunks)
        assert reading == learnt
        assert reading.whole
        assert reading.usage is not None
        wanted = anthropic_stream(exchange.reply)
        assert told(anthropic_stream(rendered(events))) == told(wanted)
        assert reading.finish_reason
        assert reading.model == wanted.model
        assert reading.upstream_id == wanted.id


def test_recorded_answers_survive():
    """Recorded plain replies, parsed and rendered again, are to the SDK the messages they were."""
    for exchange in recorded("messages", *ANTHROPIC)[::7]:
        if exchange.kind == "json" and exchange.status == 200:
            again = DIALECT.render_answer(DIALECT.parse_answer(exchange.reply), None)
            assert told(anthropic_message(again)) == told(anthropic_message(exchange.reply))
