"""Ollama's stream, one JSON object a line, as neutral events."""

from __future__ import annotations

import msgspec

from llmgw.domain.chat import (
    Delta,
    Ended,
    Event,
    Failed,
    Finished,
    Metered,
    Started,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.providers.base import Reading
from llmgw.providers.dialects.ollama.answers import (
    LINE,
    Line,
    answer_id,
    created,
    finish_reason,
    logprobs,
    message_of,
    read_usage,
    tool_calls,
)
from llmgw.providers.sse import Lines


class Parser:
    """One stream; ``over`` turns True with the last line, whether that is an end or an error."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._reading = Reading(whole=False)
        self._text: list[str] = []
        self._started = False
        self._calls = 0
        self.over = False

    def feed(self, chunk: bytes) -> list[Event]:
        return [event for line in self._lines.feed(chunk) for event in self._line(line)]

    def close(self) -> list[Event]:
        events = [event for line in self._lines.close() for event in self._line(line)]
        return events if self.over else [*events, self._fail("Ollama's stream broke off")]

    def text(self) -> str:
        """What the answer says so far."""
        return "".join(self._text)

    def reading(self) -> Reading:
        self._reading.text = "".join(self._text)
        return self._reading

    def _line(self, data: bytes) -> list[Event]:
        if self.over:
            return []
        try:
            line = LINE.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
            return [self._fail(f"Ollama's stream holds a line that is none: {problem}")]
        if line.error is not None:
            return [self._fail(message_of(line.error))]
        return [*self._begin(line), *self._say(line), *self._finish(line)]

    def _begin(self, line: Line) -> list[Event]:
        if self._started:
            return []
        self._started = True
        self._reading.model, self._reading.upstream_id = line.model, answer_id(line)
        return [Started(answer_id(line), line.model, created=created(line))]

    def _say(self, line: Line) -> list[Event]:
        events: list[Event] = []
        for kind, text in (("thinking", line.message.thinking), ("text", line.message.content)):
            if text:
                self._text.append(text)
                events.append(Delta(kind, text, logprobs=logprobs(line) if kind == "text" else None))
        for call in tool_calls(line, self._calls):
            self._text += [call.name, call.arguments]
            events += [
                ToolCallStarted(self._calls, call.id, call.name),
                ToolCallDelta(self._calls, call.arguments),
            ]
            self._calls += 1
        return events

    def _finish(self, line: Line) -> list[Event]:
        if not line.done:
            return []
        self.over = True
        reason = finish_reason(line, called=self._calls > 0)
        usage = read_usage(line)
        self._reading.usage, self._reading.finish_reason, self._reading.whole = usage, reason.value, True
        metered: list[Event] = [Metered(usage)] if usage is not None else []
        return [Finished(reason), *metered, Ended()]

    def _fail(self, message: str) -> Failed:
        self.over = True
        self._reading.error = message
        return Failed(message)


class Listener:
    """A tap on a relayed stream: it changes no byte."""

    def __init__(self) -> None:
        self._parser = Parser()
        self.ending = False

    def feed(self, chunk: bytes) -> bytes:
        self._parser.feed(chunk)
        self.ending = self._parser.over
        return chunk

    def close(self) -> Reading:
        self._parser.close()
        return self._parser.reading()
