"""Turns in Ollama's words: one text each, pictures beside it, tool calls with arguments as an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from llmgw.domain.chat import (
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]
OBJECT = msgspec.json.Decoder(dict[str, Raw])


def render_turns(messages: Iterable[Message], dropped: list[str]) -> list[Json]:
    """Ollama's ``messages``; names of what it cannot hold go to ``dropped``, BadRequest where that would mislead."""
    names: dict[str, str] = {}
    turns: list[Json] = []
    for message in messages:
        if message.name:
            dropped.append("messages.name")
        turns += _turns(message, names, dropped)
    return turns


def _turns(message: Message, names: dict[str, str], dropped: list[str]) -> Iterator[Json]:
    """One turn, or one for each tool result; ``names`` learns which tool a call's id belongs to."""
    said: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield _result(part, names, dropped)
        else:
            said.append(part)
    if said or not message.parts:
        role = Role.USER if message.role is Role.TOOL else message.role
        yield {"role": role.value, **_content(said, names, dropped)}


def _content(parts: list[Part], names: dict[str, str], dropped: list[str]) -> Json:
    texts: list[str] = []
    thoughts: list[str] = []
    images: list[str] = []
    calls: list[Json] = []
    for part in parts:
        match part:
            case Text() | Refusal():
                texts.append(part.text)
            case Thinking():
                thoughts.append(part.text)
            case Image():
                images.append(_picture(part))
            case Document():
                texts.append(_document(part))
            case ToolCall():
                names[part.id] = part.name
                calls.append({"id": part.id, "function": _function(part)})
            case RedactedThinking():
                dropped.append("redacted_thinking")
            case Opaque():
                kind = part.value.get("type", "content")
                raise BadRequest(f"messages.content.{kind}: Ollama has no such content", param="messages")
            case _:
                raise BadRequest("messages.content.input_audio: Ollama takes no audio", param="messages")
        if getattr(part, "cache", None) is not None:
            dropped.append("cache_control")
    turn: Json = {"content": "\n".join(texts)}
    turn |= {"thinking": "\n".join(thoughts)} if thoughts else {}
    turn |= {"images": images} if images else {}
    turn |= {"tool_calls": calls} if calls else {}
    return turn


def _result(part: ToolResult, names: dict[str, str], dropped: list[str]) -> Json:
    if part.is_error:
        dropped.append("tool_result.is_error")
    if part.cache is not None:
        dropped.append("cache_control")
    turn = {"role": "tool", **_content(list(part.parts), names, dropped)}
    name = part.name or names.get(part.call_id, "")
    turn |= {"tool_name": name} if name else {}
    return turn | {"tool_call_id": part.call_id}


def _function(call: ToolCall) -> Json:
    """Arguments keep their bytes when they are a JSON object; any other text stands under ``raw``."""
    data = (call.arguments.strip() or "{}").encode(errors="replace")
    try:
        OBJECT.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        data = msgspec.json.encode({"raw": call.arguments})
    return {"name": call.name, "arguments": Raw(data)}


def _picture(image: Image) -> str:
    if image.data:
        return image.data
    head, _, data = image.url.partition(";base64,")
    if head.startswith("data:") and data:
        return data
    raise BadRequest(
        "messages.content.image_url: Ollama fetches no pictures",
        param="messages",
        hint="send the picture as base64, in a data: URL",
    )


def _document(part: Document) -> str:
    if not part.text:
        raise BadRequest(
            f"messages.content.file: Ollama reads no {part.media_type} files",
            param="messages",
            hint="send the document's text",
        )
    return "\n".join(filter(None, (part.name, part.context, part.text)))
