"""Every recorded chat completion, relayed and translated. `pytest -s` prints the counts."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from msgspec.structs import replace
from support import chat_records as recorded

from llmgw.domain.chat import (
    ChatRequest,
    Delta,
    Document,
    Ended,
    Failed,
    FinishReason,
    Message,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.providers.base import Peek, Upstream
from llmgw.providers.dialects.openai_chat import DIALECT
from llmgw.providers.dialects.openai_chat.finish import read_finish
from llmgw.providers.registry import providers

pytestmark = pytest.mark.skipif(not recorded.DATA.is_dir(), reason=recorded.REASON)

REQUEST = ChatRequest(
    model="m", messages=(Message(Role.USER, (Text("hello"),)),), stream=True, include_usage=True
)
ALWAYS = providers()["groq"]
ASKED = providers()["openai"]


def upstream(provider=ALWAYS):
    return Upstream(name=provider.name, provider=provider, base_url=provider.base_url, tier=provider.tier)


def pieces(data: bytes, rng: random.Random) -> list[bytes]:
    """These bytes cut at random places, some of them into single bytes."""
    if rng.random() < 0.05 and len(data) < 4000:
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(rng.choices(range(1, len(data)), k=min(len(data) // 40, 400))) if len(data) > 1 else []
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


def check_usage(usage, told, name):
    if told is None or not (told.get("prompt_tokens") or told.get("completion_tokens")):
        assert usage is None, name
        return
    got = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens)
    expected = recorded.counts(told)
    assert got == expected, (name, told)


def test_taps_pass_every_byte_and_read_usage():
    """A relayed stream is the recorded one, whatever the chunks, and its usage is what the provider told."""
    rng, seen = random.Random(7), Counter()
    for provider, name, text, _ in recorded.streams():
        data = text.encode()
        tap = DIALECT.tap(Peek(model="m", stream=True), upstream())
        passed, endings = [], []
        for piece in pieces(data, rng):
            passed.append(tap.feed(piece))
            endings.append(tap.ending)
        reading = tap.close()
        assert b"".join(passed) == data, name
        chunks = recorded.chunks_of(text)
        assert any(endings) == ("[DONE]" in text), name
        check_usage(reading.usage, recorded.last_usage(chunks), name)
        said = recorded.said_stream(chunks)
        assert reading.finish_reason == next((each.finish for each in said[::-1] if each.finish), ""), name
        assert reading.whole == ("[DONE]" in text or any(each.finish for each in said)), name
        assert bool(reading.error) == any(chunk.get("error") for chunk in chunks), name
        if reading.usage is None:
            for each in said:
                assert all(arguments in reading.text for _, arguments in each.calls), name
                assert len(said) > 1 or each.text in reading.text or each.thinking, name
        seen[provider] += 1
    print("relayed streams:", sum(seen.values()), dict(seen))
    assert sum(seen.values()) > 400


def test_taps_hide_only_the_usage_event_they_asked_for():
    """Where the gateway asked for usage, the caller gets the stream without that one event and is billed by it."""
    rng, hidden = random.Random(8), 0
    for _, name, text, _ in recorded.streams():
        if "\r" in text:
            continue
        blocks = [block + "\n\n" for block in text.removesuffix("\n\n").split("\n\n")]
        if not text.endswith("\n\n"):
            continue
        expected = ""
        for block in blocks:
            told = recorded.chunks_of(block)
            if told and not told[0].get("choices") and told[0].get("usage") and not told[0].get("error"):
                hidden += 1
                continue
            expected += block
        tap = DIALECT.tap(Peek(model="m", stream=True), upstream(ASKED))
        passed = b"".join(tap.feed(piece) for piece in pieces(text.encode(), rng))
        reading = tap.close()
        assert passed == expected.encode(), name
        check_usage(reading.usage, recorded.last_usage(recorded.chunks_of(text)), name)
    print("usage events hidden:", hidden)
    assert hidden > 150


def test_plain_answers_are_read_and_rendered_back():
    """A plain answer keeps its text, calls, reasons and usage through the neutral words and back."""
    seen = Counter()
    for provider, name, body in recorded.plain():
        wire = json.dumps(body).encode()
        check_usage(DIALECT.read(wire).usage, body.get("usage"), name)
        answer = DIALECT.parse_answer(wire)
        check_usage(answer.usage, body.get("usage"), name)
        expected = recorded.said_plain(body)
        assert [neutral(choice) for choice in answer.choices] == [flat(each) for each in expected], name
        again = json.loads(DIALECT.render_answer(answer, {"tier": "cheap"}))
        assert again["gateway_meta"] == {"tier": "cheap"}
        assert DIALECT.parse_answer(json.dumps(again).encode()).choices == answer.choices, name
        assert again.get("usage") is None or DIALECT.read(json.dumps(again).encode()).usage == answer.usage, (
            name
        )
        for one, other in zip(again["choices"], expected, strict=True):
            assert (one["message"]["content"] or "") == other.text, name
            assert read_finish(one["finish_reason"]) == read_finish(other.finish), name
        seen[provider] += 1
    print("plain answers:", sum(seen.values()), dict(seen))
    assert sum(seen.values()) > 1600


def neutral(choice):
    def text_of(kind):
        return "".join(part.text for part in choice.parts if isinstance(part, kind))

    calls = [(part.name, part.arguments) for part in choice.parts if isinstance(part, ToolCall)]
    return text_of(Text), text_of(Thinking), text_of(Refusal), calls, choice.finish_reason


def flat(said):
    return said.text, said.thinking, said.refusal, said.calls, read_finish(said.finish)


def gather(events):
    """Neutral events added up by choice, as `flat` has them."""
    texts, calls, reasons = {}, {}, {}
    for event in events:
        match event:
            case Delta(kind, text, choice):
                texts[choice, kind] = texts.get((choice, kind), "") + text
            case ToolCallStarted(slot, _, name, choice):
                calls[choice, slot] = (name, "")
            case ToolCallDelta(slot, text, choice):
                calls[choice, slot] = (calls[choice, slot][0], calls[choice, slot][1] + text)
        if hasattr(event, "reason"):
            reasons[event.choice] = event.reason
    numbers = sorted({key[0] for key in (*texts, *calls)} | set(reasons))
    return [
        (
            texts.get((n, "text"), ""),
            texts.get((n, "thinking"), ""),
            texts.get((n, "refusal"), ""),
            [calls[key] for key in sorted(calls) if key[0] == n],
            reasons.get(n),
        )
        for n in numbers
    ]


def filled(text, thinking, refusal, calls, reason):
    """Calls without arguments are rendered with an empty object, which callers can parse."""
    return text, thinking, refusal, [(name, arguments or "{}") for name, arguments in calls], reason


def test_streams_are_parsed_and_rendered_back():
    """A stream keeps its text, calls, reasons and usage through neutral events and back, whatever the chunks."""
    rng, seen, failed = random.Random(9), Counter(), 0
    for provider, name, text, _ in recorded.streams():
        parser, renderer = DIALECT.stream_parser(), DIALECT.stream_renderer(REQUEST)
        events = [event for piece in pieces(text.encode(), rng) for event in parser.feed(piece)]
        events += parser.close()
        chunks = recorded.chunks_of(text)
        broken = any(chunk.get("error") for chunk in chunks)
        said = recorded.said_stream(chunks)
        cut = not broken and "[DONE]" not in text and not any(each.finish for each in said)
        assert isinstance(events[-1], Failed if broken or cut else Ended), name
        failed += broken or cut
        for each in said:
            if "[DONE]" in text and not each.finish:  # one provider forgot it
                each.finish = "tool_calls" if each.calls else "stop"
        expected = [flat(each) for each in said]
        empty = ("", "", "", [], None)
        got = gather(events)
        assert [each for each in got if each != empty] == [each for each in expected if each != empty], name
        check_usage(parser.reading().usage, recorded.last_usage(chunks), name)
        again = b"".join(map(renderer.feed, events))
        second = DIALECT.stream_parser()
        replayed = [*second.feed(again), *second.close()]
        assert gather(replayed) == [filled(*each) for each in gather(events)], name
        if not broken and not cut:
            assert again.endswith(b"data: [DONE]\n\n"), name
            assert second.reading().usage == parser.reading().usage, name
        seen[provider] += 1
    print("translated streams:", sum(seen.values()), "broken off:", failed, dict(seen))
    assert sum(seen.values()) > 400


def test_requests_are_parsed_peeked_and_rendered():
    """Every recorded request is understood, and rendered for OpenAI it still asks the same of the same model."""
    seen, dropped = Counter(), Counter()
    for provider, record in recorded.records():
        wire = record.get("request_json")
        if not isinstance(wire, dict) or not wire.get("messages") or not wire.get("model"):
            continue
        body = json.dumps(wire).encode()
        peek = DIALECT.peek(body)
        assert peek.model == wire["model"]
        assert peek.stream == bool(wire.get("stream"))
        assert peek.tools == bool(wire.get("tools") or wire.get("functions"))
        assert 0 < peek.prompt_bytes <= len(body) + 1
        request = DIALECT.parse_request(body)
        rendered = DIALECT.render_request(request, upstream(providers()["openrouter"]), wire["model"])
        again = json.loads(rendered.body)
        if not shown_by_tools(request):
            assert asked(DIALECT.parse_request(rendered.body)) == asked(request), record["id"]
        assert len(again.get("tools", [])) == len(wire.get("tools") or wire.get("functions") or [])
        dropped.update(rendered.dropped)
        seen[provider] += 1
    print("requests:", sum(seen.values()), "left out:", dict(dropped))
    assert sum(seen.values()) > 2000


def shown_by_tools(request):
    """Whether a tool answered with more than text, which then travels in a message of its own."""
    results = [part for turn in request.messages if turn.role is Role.TOOL for part in turn.parts]
    return any(not isinstance(each, Text) for result in results for each in result.parts)


def asked(request):
    """The turns with what rendering may fill in (a document's name) or join (texts) made equal."""
    turns = []
    for turn in request.messages:
        texts = "".join(part.text for part in turn.parts if isinstance(part, Text))
        others = [
            replace(part, name="") if isinstance(part, Document) else part
            for part in turn.parts
            if not isinstance(part, Text)
        ]
        turns.append((turn.role, turn.name, texts, others))
    return turns


def test_errors_are_read():
    """The message of every recorded error reply is found."""
    seen = 0
    for _, record in recorded.records():
        if record["status"] < 400:
            continue
        body = record["response_body"]
        message, _ = DIALECT.read_error(record["status"], json.dumps(body).encode())
        told = body.get("detail") or body["error"]["message"]
        assert message.startswith(told), record["id"]
        seen += 1
    print("errors:", seen)
    assert seen > 30


def test_relayed_requests_keep_their_bytes():
    """A request for the model that the caller named leaves as it came."""
    seen = 0
    for _, record in recorded.records():
        wire = record.get("request_json")
        if not isinstance(wire, dict) or not wire.get("messages") or not wire.get("model"):
            continue
        body = json.dumps(wire).encode()
        peek = DIALECT.peek(body)
        assert DIALECT.relay_body(body, peek, upstream(providers()["openrouter"]), peek.model) is body or (
            peek.stream and not peek.include_usage
        )
        renamed = json.loads(DIALECT.relay_body(body, peek, upstream(providers()["openrouter"]), "other"))
        renamed.pop("stream_options", None)
        assert renamed == {**{k: v for k, v in wire.items() if k != "stream_options"}, "model": "other"}
        seen += 1
    assert seen > 2000


def test_finish_reasons_are_known():
    """No recorded answer ends for a reason that is read as none."""
    for _, _, body in recorded.plain():
        for choice in body["choices"]:
            reason = read_finish(choice.get("finish_reason"))
            assert isinstance(reason, FinishReason) or not choice.get("finish_reason")
