"""Content of messages: strings and typed parts in neutral words, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.domain.chat import (
    Audio,
    Document,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from llmgw.errors import BadRequest
from llmgw.providers.dialects.openai_chat.thinking import DIALECT, FIELDS, read_thinking

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

_MESSAGE_FIELDS = FIELDS | {
    "cache_control",
    "content",
    "function_call",
    "name",
    "refusal",
    "role",
    "tool_calls",
}


def read_content(content: object, where: str) -> Iterator[Part]:
    """The parts of a ``content`` member; BadRequest naming ``where`` when it is neither text nor parts."""
    if isinstance(content, str):
        yield Text(content)
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if isinstance(part, str):
                yield Text(part)
            elif isinstance(part, dict):
                yield _read_part(part)
            else:
                at = f"{where}[{index}]"
                raise BadRequest(f"'{at}' must be a content part.", param=at)
    elif content is not None:
        raise BadRequest(f"'{where}' must be a string or a list of parts.", param=where)


def read_assistant(message: Json, where: str, fallback: str) -> list[Part]:
    """Everything a model said in one message; ``fallback`` begins the id of calls that have none."""
    parts = read_thinking(message)
    parts += (part for part in read_content(message.get("content"), f"{where}.content") if part != Text(""))
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        parts.append(Refusal(refusal))
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        parts.append(read_call(call, f"{where}.tool_calls[{index}]", f"{fallback}_{index}"))
    function = message.get("function_call")
    if not calls and isinstance(function, dict) and function.get("name"):
        parts.append(read_call({"function": function}, f"{where}.function_call", fallback))
    rest = {name: value for name, value in message.items() if value and name not in _MESSAGE_FIELDS}
    return [*parts, Opaque(DIALECT, rest)] if rest else parts


def read_call(call: Any, where: str, fallback: str) -> Part:
    """A call of a function; one of another kind of tool is kept as it is."""
    match call:
        case {"function": {"name": str(name)}}:
            arguments = call["function"].get("arguments")
            return ToolCall(str(call.get("id") or fallback), name, write_arguments(arguments))
        case {"type": str()}:
            return Opaque(DIALECT, {"tool_calls": [call]})
    raise BadRequest(f"'{where}' must name a function.", param=f"{where}.function.name")


def write_arguments(arguments: object) -> str:
    """Arguments as JSON text, which some servers send as an object."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else msgspec.json.encode(arguments).decode()


def write_call(call: ToolCall) -> Json:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }


def split_data_url(url: str) -> tuple[str, str]:
    """Media type and base64 of a ``data:`` URL; two empty strings for any other."""
    if not url.startswith("data:"):
        return "", ""
    head, _, data = url.partition(",")
    if not head.endswith(";base64"):
        return "", ""
    return head[5:-7].partition(";")[0] or "application/octet-stream", data


def _read_part(part: Json) -> Part:
    cache = part.get("cache_control")
    match part:
        case {"type": "text" | "input_text" | "output_text", "text": str(text)}:
            return Text(text, cache=cache)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _image(url, part["image_url"].get("detail"), cache)
        case {"type": "image_url", "image_url": str(url)}:
            return _image(url, part.get("detail"), cache)
        case {"type": "file", "file": {"file_data": str(data)}}:
            return _document(data, part["file"].get("filename"), cache)
        case {"type": "document_url", "document_url": str(url)}:
            return _document(url, part.get("document_name"), cache)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(form)}}:
            return Audio(split_data_url(data)[1] or data, form)
        case {"type": "refusal", "refusal": str(text)}:
            return Refusal(text)
        case {"type": "thinking"}:
            return Thinking(_thought(part.get("thinking")), str(part.get("signature") or ""))
        case {"type": "redacted_thinking", "data": str(data)}:
            return RedactedThinking(data)
    return Opaque(DIALECT, part)


def _image(url: str, detail: object, cache: Json | None) -> Image:
    media_type, data = split_data_url(url)
    said = detail if isinstance(detail, str) else ""
    if data:
        return Image(media_type, data, detail=said, cache=cache)
    return Image(url=url, detail=said, cache=cache)


def _document(data: str, name: object, cache: Json | None) -> Document:
    media_type, payload = split_data_url(data)
    said = name if isinstance(name, str) else ""
    if payload:
        return Document(media_type, payload, name=said, cache=cache)
    if data.startswith(("http://", "https://")):
        return Document(url=data, name=said, cache=cache)
    return Document(data=data, name=said, cache=cache)


def _thought(thought: object) -> str:
    """Mistral writes its thinking as a list of text parts."""
    if isinstance(thought, list):
        return "".join(_thought(each.get("text")) for each in thought if isinstance(each, dict))
    return thought if isinstance(thought, str) else ""
