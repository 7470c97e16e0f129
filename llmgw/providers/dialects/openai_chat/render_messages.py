"""Neutral turns as the messages of an OpenAI-compatible upstream, naming what had to stay behind."""

from __future__ import annotations

from mimetypes import guess_extension
from typing import TYPE_CHECKING, Any

from llmgw.domain.chat import (
    Audio,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llmgw.errors import BadRequest
from llmgw.providers.dialects.openai_chat.content import write_call
from llmgw.providers.dialects.openai_chat.thinking import DIALECT, write_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmgw.providers.base import Provider

Json = dict[str, Any]


class MessageWriter:
    """Writes turns for one provider; ``dropped`` collects what it could not say."""

    def __init__(self, provider: Provider, dropped: set[str]) -> None:
        self._provider = provider
        self._dropped = dropped

    def write(self, turns: Iterable[Message]) -> list[Json]:
        return [message for turn in turns for message in self._turn(turn)]

    def _turn(self, turn: Message) -> list[Json]:
        if turn.role is Role.TOOL:
            return self._results(turn)
        if turn.role is Role.ASSISTANT:
            message = self._assistant(turn.parts)
        else:
            message = {
                "role": turn.role.value,
                "content": self._content(turn.parts, flat=turn.role is Role.SYSTEM),
            }
        if turn.name:
            message["name"] = turn.name
        return [message]

    def _assistant(self, parts: Sequence[Part]) -> Json:
        said = [part for part in parts if isinstance(part, Text)]
        text = "".join(part.text for part in said)
        marks = [part.cache for part in parts if isinstance(part, Text | ToolCall)]
        message: Json = {"role": "assistant", "content": self._marked(text, marks) if text else None}
        message |= write_history(parts, self._provider.reasoning_field)
        if not self._provider.reasoning_field and any(
            isinstance(p, Thinking | RedactedThinking) for p in parts
        ):
            self._dropped.add("thinking")
        calls = [write_call(part) for part in parts if isinstance(part, ToolCall)]
        for part in parts:
            if isinstance(part, Refusal):
                message["refusal"] = part.text
            elif isinstance(part, Opaque):
                calls += self._opaque(part, message)
        if calls:
            message["tool_calls"] = calls
        elif message["content"] is None and "refusal" not in message:
            message["content"] = ""
        return message

    def _opaque(self, part: Opaque, message: Json) -> list[Json]:
        """Merge what this dialect itself once said into ``message``; its calls of other tools are returned."""
        if part.dialect != DIALECT or "type" in part.value:
            self._dropped.add(f"messages.{part.value.get('type', part.dialect)}")
            return []
        rest = {name: value for name, value in part.value.items() if name != "tool_calls"}
        for name, value in rest.items():
            held = message.get(name)
            message[name] = held + value if isinstance(held, list) and isinstance(value, list) else value
        calls: list[Json] = part.value.get("tool_calls", [])
        return calls

    def _results(self, turn: Message) -> list[Json]:
        """A message for each result; pictures follow as a user's message, because tools answer in text alone."""
        messages: list[Json] = []
        shown: list[Json] = []
        for part in turn.parts:
            if not isinstance(part, ToolResult):
                continue
            texts = [each for each in part.parts if isinstance(each, Text)]
            others = [each for each in part.parts if not isinstance(each, Text)]
            content = "\n\n".join(each.text for each in texts)
            if others:
                content = content or "The result is shown in the next message."
                shown.append({"type": "text", "text": f"Shown by the tool call {part.call_id}:"})
                shown += (self._part(each) for each in others)
            marks = [*(each.cache for each in texts), part.cache]
            told = self._marked(content, marks)
            message = {"role": "tool", "tool_call_id": part.call_id, "content": told}
            messages.append(message | ({"name": part.name} if part.name else {}))
            if part.is_error:
                self._dropped.add("is_error")
        return [*messages, {"role": "user", "content": shown}] if shown else messages

    def _content(self, parts: Sequence[Part], *, flat: bool) -> str | list[Json]:
        """Text where there is only text; many templates know no other system message."""
        texts = [part for part in parts if isinstance(part, Text)]
        marked = self._provider.cache_control and any(part.cache for part in texts)
        if len(texts) == len(parts) and (flat or len(parts) < 2) and not marked:
            return self._marked("\n\n".join(part.text for part in texts), [part.cache for part in texts])
        return [wire for part in parts if (wire := self._part(part))]

    def _part(self, part: Part) -> Json:
        wire: Json
        match part:
            case Text(text):
                wire = {"type": "text", "text": text}
            case Image():
                wire = {"type": "image_url", "image_url": _image(part)}
            case Document():
                wire = self._document(part)
            case Audio(data, form):
                return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
            case Refusal(text):
                return {"type": "refusal", "refusal": text}
            case Opaque(dialect, value) if dialect == DIALECT and "type" in value:
                return value
            case Opaque(_, value):
                self._dropped.add(f"messages.{value.get('type', 'content')}")
                return {}
            case _:
                self._dropped.add(f"messages.{type(part).__name__.lower()}")
                return {}
        if part.cache and self._provider.cache_control:
            wire["cache_control"] = part.cache
        elif part.cache:
            self._dropped.add("cache_control")
        return wire

    def _document(self, part: Document) -> Json:
        for name in ("citations", "context"):
            if getattr(part, name):
                self._dropped.add(name)
        if part.text:
            return {"type": "text", "text": f"{part.name}\n\n{part.text}" if part.name else part.text}
        name = part.name or f"document{guess_extension(part.media_type) or '.bin'}"
        if part.data:
            return {
                "type": "file",
                "file": {"filename": name, "file_data": f"data:{part.media_type};base64,{part.data}"},
            }
        if self._provider.name == "openrouter":
            return {"type": "file", "file": {"filename": name, "file_data": part.url}}
        raise BadRequest(
            f"{self._provider.title} takes no documents by URL.",
            hint="Send the document itself, as base64.",
            param="messages",
        )

    def _marked(self, text: str, marks: Sequence[Json | None]) -> str | list[Json]:
        """Text with the last of its cache marks, where the provider honours them."""
        mark = next((each for each in reversed(marks) if each), None)
        if mark and self._provider.cache_control:
            return [{"type": "text", "text": text, "cache_control": mark}]
        if mark:
            self._dropped.add("cache_control")
        return text


def _image(part: Image) -> Json:
    url = f"data:{part.media_type};base64,{part.data}" if part.data else part.url
    return {"url": url, "detail": part.detail} if part.detail else {"url": url}
