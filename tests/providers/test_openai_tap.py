"""Listening to relayed streams: every place where usage is told, hidden, missing or broken."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.providers.base import Peek, Upstream
from llmgw.providers.dialects.openai_chat import DIALECT
from llmgw.providers.registry import providers

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
DONE = b"data: [DONE]\n\n"


def frame(**members) -> bytes:
    return b"data: " + json.dumps({"id": "c1", "model": "m1", **members}).encode() + b"\n\n"


def delta(text=None, finish=None, **members) -> bytes:
    said = {} if text is None else {"content": text}
    return frame(choices=[{"index": 0, "delta": said, "finish_reason": finish}], **members)


CONTENT = [delta("Hel"), delta("lo"), delta(finish="stop")]


def tap(name="groq", include_usage=False):
    provider = providers()[name]
    target = Upstream(name=name, provider=provider, base_url="", tier=provider.tier)
    return DIALECT.tap(Peek(model="m", stream=True, include_usage=include_usage), target)


def run(chunks, name="groq"):
    """What the caller got, and what was learnt."""
    listener = tap(name)
    passed = b"".join(map(listener.feed, chunks))
    return passed, listener.close(), listener


@pytest.mark.parametrize(
    "chunks",
    [
        [*CONTENT, frame(choices=[], usage=USAGE), DONE],
        [*CONTENT[:2], delta(finish="stop", usage=USAGE), DONE],
        [*CONTENT, frame(choices=[{"index": 0, "delta": {}}], usage=USAGE), DONE],
        [*CONTENT[:2], delta(finish="stop", x_groq={"usage": USAGE}), frame(choices=[], usage=USAGE), DONE],
        [delta("a", usage={**USAGE, "completion_tokens": 1}), delta("b", "stop", usage=USAGE), DONE],
        [*CONTENT, frame(choices=[], usage=USAGE), frame(choices=[], usage={"prompt_tokens": 0}), DONE],
        [*CONTENT[:2], delta(finish="stop", usage=USAGE)],
    ],
    ids=["empty choices", "last content", "empty delta", "twice", "cumulative", "zeros after", "no DONE"],
)
def test_usage_is_found_wherever_it_is_told(chunks):
    """Usage counts the same in each of the places that providers choose for it."""  # issue 2, acceptance 5
    passed, reading, listener = run(chunks)
    assert passed == b"".join(chunks)
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (9, 4)
    assert (reading.finish_reason, reading.model, reading.upstream_id, reading.whole) == (
        "stop",
        "m1",
        "c1",
        True,
    )
    assert listener.ending == (DONE in chunks)


def test_without_usage_the_text_is_kept_for_an_estimate():
    """A stream that tells no usage leaves its text, arguments and reasoning behind."""
    call = {"index": 0, "function": {"name": "f", "arguments": '{"a":1}'}}
    thought = frame(choices=[{"index": 0, "delta": {"reasoning_content": "hm "}}])
    called = frame(choices=[{"index": 0, "delta": {"tool_calls": [call]}}])
    _, reading, _ = run([thought, *CONTENT[:2], called, CONTENT[2], DONE])
    assert reading.usage is None
    assert reading.text == 'hm Hellof{"a":1}'


def test_long_streams_keep_their_text_not_their_bytes():
    """The text of megabytes of stream is whole though its bytes are let go."""
    listener = tap()
    for _ in range(20_000):
        listener.feed(delta("word "))
    assert sum(map(len, listener._unread)) <= 1024 * 1024 + 200
    assert listener.close().text == "word " * 20_000


@given(st.data())
def test_the_usage_that_was_asked_for_here_is_hidden(data):
    """Wherever chunks break, the caller gets every byte but the usage event that only the gateway asked for."""
    content = [b": note\n\n", delta("a"), delta('say "usage" and [DONE]'), delta(finish="stop", usage=None)]
    stream = b"".join([*content, frame(choices=[], usage=USAGE), DONE])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    passed, reading, listener = run(pieces, "openai")
    assert passed == b"".join([*content, DONE])
    assert (reading.usage.total_tokens, listener.ending) == (13, True)


def test_usage_that_the_caller_asked_for_is_not_hidden():
    """Who asked for usage gets it."""
    listener = tap("openai", include_usage=True)
    stream = b"".join([*CONTENT, frame(choices=[], usage=USAGE), DONE])
    assert listener.feed(stream) == stream


def test_content_is_passed_on_before_its_event_ends():
    """Hiding usage holds back no content: an event with choices passes piece by piece."""
    listener, whole = tap("openai"), delta("slow")
    assert b"".join(listener.feed(whole[i : i + 1]) for i in range(70)) == whole[:70]


@given(st.data())
def test_the_end_is_seen_in_the_feed_that_shows_it(data):
    """`ending` is True no later than the caller can see the marker, wherever chunks break."""
    stream = b"".join([*CONTENT, DONE])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    listener, passed = tap("openai"), b""
    for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        passed += listener.feed(stream[a:b])
        assert listener.ending == (b"[DONE]" in passed)


@given(st.data())
def test_reading_at_the_marker_loses_nothing_behind_it(data):
    """A tap that is read when the end shows still passes what follows, whatever it is and wherever it breaks."""
    stream = b"".join([*CONTENT, DONE, b": llmgw\n\n", frame(choices=[], usage=USAGE)])
    cuts = sorted(data.draw(st.lists(st.integers(len(stream) - 180, len(stream)), max_size=8)))
    listener, passed = tap("openai"), b""
    for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        ended = listener.ending
        told = listener.feed(stream[a:b])
        assert told == stream[a:b] or not ended
        passed += told
        if listener.ending:
            assert listener.close().whole
    assert passed in (stream, stream.replace(frame(choices=[], usage=USAGE), b""))


def test_a_cut_stream_is_not_whole():
    """A stream that ends in the middle is not whole, and the usage told so far is marked as such."""
    _, reading, _ = run([delta("a", usage=USAGE), b'data: {"cho'])
    assert not reading.whole
    assert not reading.usage.complete
    _, reading, _ = run([*CONTENT[:2], delta("tail")[:-1]])
    assert reading.text == "Hellotail"


def test_text_that_speaks_of_markers_misleads_nobody():
    """Content may hold the words this tap looks for."""
    odd = 'data: [DONE] "usage":{"prompt_tokens":1} "finish_reason":"stop" error'
    _, reading, listener = run([CONTENT[0], delta(odd)])
    assert (reading.whole, reading.usage, reading.error, listener.ending) == (False, None, "", False)


@pytest.mark.parametrize(
    "event",
    [
        frame(error={"message": "overloaded", "code": 502}),
        b'event: error\ndata: {"error":{"message":"overloaded","type":"x"}}\n\n',
        b'data: {"error":"overloaded"}\n\n',
        b"event: error\ndata: overloaded\n\n",
    ],
)
def test_an_error_inside_a_stream_is_noticed(event):
    """An error under a good status is told in the upstream's words."""
    passed, reading, _ = run([CONTENT[0], event])
    assert passed == CONTENT[0] + event
    assert "overloaded" in reading.error
    assert not reading.whole


def test_plain_replies_are_read():
    """A plain reply tells usage and reason; one without usage leaves its text; one that is none tells nothing."""
    body = {"id": "c", "model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "length"}]}
    reading = DIALECT.read(json.dumps({**body, "usage": USAGE}).encode())
    assert (reading.usage.input_tokens, reading.finish_reason, reading.text, reading.whole) == (
        9,
        "length",
        "",
        True,
    )
    assert DIALECT.read(json.dumps(body).encode()).text == "hi"
    assert DIALECT.read(json.dumps({**body, "usage": {"prompt_tokens": 0}}).encode()).usage is None
    assert not DIALECT.read(b"<html>").whole


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_make_a_tap_fail(chunks):
    """Whatever comes is passed on."""
    passed, _, _ = run(chunks)
    assert passed == b"".join(chunks)


@pytest.mark.parametrize("include_usage", [False, True])
def test_long_event_in_small_pieces_costs_no_more_than_its_length(include_usage):
    """A picture of megabytes in one event is not searched again from its start with every piece that comes."""
    event = delta("a" * 5_000_000)
    listener = tap("openai", include_usage)
    begun = time.process_time()
    pieces = (event[start : start + 1_000] for start in range(0, len(event), 1_000))
    assert b"".join(map(listener.feed, pieces)) == event
    assert time.process_time() - begun < 1.5
