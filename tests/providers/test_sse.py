"""Framing of streams, against a slow reading of the WHATWG text and every way to cut a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.errors import UpstreamFailed
from llmgw.providers.sse import Blocks, Event, Events, Lines

LINES = st.sampled_from(
    [
        "data: a",
        "data:b",
        'data: {"x": 1}',
        "data",
        "data:",
        "event: error",
        "event:",
        ": note",
        "id: 7",
        "x: y",
        "",
        "é",
    ]
)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=14).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


@st.composite
def cut(draw, source):
    """A stream and the same bytes in pieces."""
    data = draw(source)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return data, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def dispatched(data: bytes) -> list[Event]:
    """Line by line, as the standard words it; the end of the stream counts as a blank line."""
    events, name, lines = [], "", []
    text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for line in [*text.split("\n"), ""]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if lines:
                events.append(Event(name or "message", "\n".join(lines).encode()))
            name, lines = "", []
        elif field == "event":
            name = value
        elif field == "data":
            lines.append(value)
    return events


@given(cut(STREAMS))
def test_any_split_of_any_stream_gives_the_standard_s_events(case):
    """Events do not depend on where chunks break, and are those that the standard asks for."""
    data, pieces = case
    reader = Events()
    assert [*(event for piece in pieces for event in reader.feed(piece)), *reader.close()] == dispatched(data)


@given(cut(STREAMS))
def test_blocks_join_to_the_stream(case):
    """Nothing is lost or changed by cutting a stream into blocks."""
    data, pieces = case
    blocks = Blocks()
    whole = [block for piece in pieces for block in blocks.feed(piece)]
    assert b"".join(whole) + blocks.close() == data


@given(cut(st.binary(max_size=60)))
def test_any_bytes_at_all_are_survived(case):
    """Bytes that are no stream at all raise nothing and lose nothing."""
    data, pieces = case
    blocks, events = Blocks(), Events()
    whole = [block for piece in pieces for block in blocks.feed(piece)]
    assert b"".join(whole) + blocks.close() == data
    for piece in pieces:
        events.feed(piece)
    events.close()


def test_a_mark_of_byte_order_is_skipped():
    """A stream may begin with a byte order mark, even in pieces."""
    reader = Events()
    assert [*reader.feed(b"\xef"), *reader.feed(b"\xbb\xbfdata: x\n\n")] == [Event("message", b"x")]


def test_data_over_lines_is_one_event():
    """Several data lines are joined by newlines, and an event's name is kept."""
    assert Events().feed(b"event: ping\r\ndata: a\r\ndata: b\r\n\r\n") == [Event("ping", b"a\nb")]


def test_an_endless_event_is_refused():
    """An event beyond the limit raises an error that says so instead of eating memory."""
    reader = Events(limit=100)
    for _ in range(9):
        assert reader.feed(b"data: xxxxx") == []
    with pytest.raises(UpstreamFailed, match="more than 100 bytes"):
        reader.feed(b"data: xxxxx")


@given(
    cut(
        st.lists(st.sampled_from(['{"a":1}', "", "{}", "é"]), max_size=8).map(lambda x: "\n".join(x).encode())
    )
)
def test_any_split_of_json_lines_gives_the_same_lines(case):
    """Lines do not depend on where chunks break; empty ones are left out."""
    data, pieces = case
    reader = Lines()
    lines = [line for piece in pieces for line in reader.feed(piece)] + reader.close()
    assert lines == [line for line in data.split(b"\n") if line]


def test_an_endless_line_is_refused():
    """A line beyond the limit raises an error that says so; line ends of both kinds are cut off."""
    reader = Lines(limit=10)
    assert reader.feed(b'{"a":1}\r\n{}\n') == [b'{"a":1}', b"{}"]
    with pytest.raises(UpstreamFailed, match="more than 10 bytes"):
        reader.feed(b"x" * 11)
