"""From the bytes that a target sent, or the events of its stream, to its whole answer in neutral words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from llmgw.domain.chat import (
    ChatAnswer,
    Choice,
    Delta,
    Ended,
    Failed,
    Finished,
    Metered,
    OpaqueBlock,
    RedactedThinking,
    Refusal,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmgw.domain.chat import Event, Part
    from llmgw.gates.state import Destination


def read_answer(destination: Destination, chunks: list[bytes], *, stream: bool) -> ChatAnswer | None:
    """The answer in recorded bytes; None when it is not whole."""
    dialect = destination.dialect
    try:
        if not stream:
            return dialect.parse_answer(b"".join(chunks))
        parser = dialect.stream_parser()
        events = [event for chunk in chunks for event in parser.feed(chunk)]
        return assemble([*events, *parser.close()])
    except GatewayError:
        return None


def assemble(events: Iterable[Event]) -> ChatAnswer | None:
    """The answer that a stream told, if it came to its end."""
    started, usage, ended = Started("", ""), None, None
    parts: dict[int, list[Part]] = {}
    finished: dict[int, Finished] = {}
    for event in events:
        match event:
            case Started():
                started, usage = event, event.usage
            case Metered():
                usage = event.usage
            case Finished():
                finished[event.choice] = event
            case Failed():
                return None
            case Ended():
                ended = event
            case _:
                _add(parts.setdefault(event.choice, []), event)
    if ended is None:
        return None
    return ChatAnswer(
        id=started.id,
        model=started.model,
        choices=tuple(
            Choice(index, tuple(parts.get(index, ())), end.reason, end.stop_sequence)
            for index, end in sorted(finished.items())
        ),
        usage=usage,
        created=started.created,
        extra=ended.extra,
    )


def _add(parts: list[Part], event: Delta | ToolCallStarted | ToolCallDelta | OpaqueBlock) -> None:
    """One more piece of a choice."""
    match event:
        case Delta():
            _say(parts, event.kind, event.text)
        case ToolCallStarted():
            parts.append(ToolCall(event.id, event.name, ""))
        case ToolCallDelta():
            calls = [(index, part) for index, part in enumerate(parts) if isinstance(part, ToolCall)]
            if event.slot < len(calls):
                index, call = calls[event.slot]
                parts[index] = replace(call, arguments=call.arguments + event.text)
        case OpaqueBlock():
            parts.append(event.block)


def _say(parts: list[Part], kind: str, text: str) -> None:
    """More text of a kind; pieces of one kind that follow each other are one part."""
    last = parts[-1] if parts else None
    match kind, last:
        case "text", Text():
            parts[-1] = Text(last.text + text)
        case "thinking", Thinking(signature=""):
            parts[-1] = Thinking(last.text + text)
        case "signature", Thinking():
            parts[-1] = Thinking(last.text, last.signature + text)
        case "refusal", Refusal():
            parts[-1] = Refusal(last.text + text)
        case "redacted_thinking", _:
            parts.append(RedactedThinking(text))
        case "signature", _:
            parts.append(Thinking("", text))
        case "thinking", _:
            parts.append(Thinking(text))
        case "refusal", _:
            parts.append(Refusal(text))
        case _:
            parts.append(Text(text))
