"""Content blocks in neutral words and back: the part that requests and answers share."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from llmgw.domain.chat import (
    Document,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llmgw.errors import BadRequest
from llmgw.providers.dialects.anthropic.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]
DIALECT = "anthropic"


class _Source(Struct):
    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: str | list[Raw] = ""


class _Block(Struct):
    type: str
    text: str = ""
    thinking: str | None = ""
    signature: str | None = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")
    tool_use_id: str = ""
    content: Raw = Raw(b"null")
    is_error: bool | None = None
    source: Raw = Raw(b"null")
    title: str | None = None
    context: str | None = None
    citations: Any = None
    cache_control: Json | None = None


class _Found(Struct):
    """A search result that a tool hands to the model."""

    content: list[_Block]
    title: str
    source: str


BLOCK = msgspec.json.Decoder(_Block)
SOURCE = msgspec.json.Decoder(_Source)
FOUND = msgspec.json.Decoder(_Found)
CONTENT = msgspec.json.Decoder(str | list[Raw] | None)
WHOLE = msgspec.json.Decoder(Json)
OBJECT = msgspec.json.Decoder(dict[str, Raw])
FOREIGN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def parse_content(content: str | list[Raw] | None, where: str, lost: set[str]) -> list[Part]:
    """The parts of a message; ``lost`` gathers the names of what no part can hold."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [parse_block(raw, f"{where}.{index}", lost) for index, raw in enumerate(content or ())]


def parse_block(raw: Raw, where: str, lost: set[str]) -> Part:
    """One block; kinds that only Anthropic knows stay whole as Opaque."""
    block = decode(BLOCK, raw, where)
    match block.type:
        case "text":
            if block.citations:
                lost.add("messages.content.citations")
            return Text(block.text, block.cache_control)
        case "thinking":
            return Thinking(block.thinking or "", block.signature or "")
        case "redacted_thinking":
            return RedactedThinking(block.data)
        case "tool_use":
            return ToolCall(block.id, block.name, bytes(block.input).decode(), block.cache_control)
        case "tool_result":
            content = decode(CONTENT, block.content, f"{where}.content")
            parts = _result_parts(content, f"{where}.content", lost)
            return ToolResult(
                block.tool_use_id, tuple(parts), block.is_error is True, cache=block.cache_control
            )
        case "image" | "document" | "search_result":
            found = _attachment(block, raw, where, lost)
            if found is not None:
                return found
    return Opaque(DIALECT, decode(WHOLE, raw, where))


def _attachment(block: _Block, raw: Raw, where: str, lost: set[str]) -> Image | Document | None:
    if block.type == "search_result":
        result = decode(FOUND, raw, where)
        text = "\n".join(part.text for part in result.content)
        return Document("text/plain", text=text, name=f"{result.title} ({result.source})")
    source = decode(SOURCE, block.source, f"{where}.source")
    if block.type == "document":
        return _document(block, source, where, lost)
    if source.type == "base64":
        return Image(source.media_type, source.data, cache=block.cache_control)
    return Image(url=source.url, cache=block.cache_control) if source.type == "url" else None


def _document(block: _Block, source: _Source, where: str, lost: set[str]) -> Document | None:
    kind, data, text = source.media_type, "", ""
    match source.type:
        case "base64":
            kind, data = kind or "application/pdf", source.data
        case "text":
            kind, text = kind or "text/plain", source.data
        case "content":
            parts = parse_content(source.content, f"{where}.source.content", lost)
            if not all(isinstance(part, Text) for part in parts):
                return None
            kind, text = "text/plain", "\n".join(part.text for part in parts if isinstance(part, Text))
        case "url":
            kind = kind or "application/pdf"
        case _:
            return None
    return Document(
        kind,
        data,
        source.url,
        text,
        block.title or "",
        block.context or "",
        block.citations if isinstance(block.citations, dict) else None,
        block.cache_control,
    )


def _result_parts(content: str | list[Raw] | None, where: str, lost: set[str]) -> Iterable[Any]:
    for part in parse_content(content, where, lost):
        kind = part.value.get("type") if isinstance(part, Opaque) else type(part).__name__
        if isinstance(part, (Text, Image, Document)):
            yield part
        elif isinstance(part, Opaque) and kind == "tool_reference":
            # The tools a search found; whoever cannot load them late has them all and needs the names alone.
            yield Text(str(part.value.get("tool_name")))
        else:
            lost.add(f"messages.content.tool_result.{kind}")


def render_part(part: Part, where: str = "messages.content") -> Json | None:
    """The block that says a part, None where there is nothing to say; BadRequest where Anthropic cannot say it."""
    match part:
        case Text() | Refusal() | Thinking() | RedactedThinking():
            return _render_words(part)
        case ToolCall(ident, name, arguments, cache):
            call = {"type": "tool_use", "id": tool_id(ident), "name": name, "input": tool_input(arguments)}
            return _cached(call, cache)
        case ToolResult():
            return _render_result(part, where)
        case Image():
            return _cached({"type": "image", "source": _image_source(part)}, part.cache)
        case Document():
            return _render_document(part, where)
        case Opaque("anthropic", value):
            return value
        case Opaque():
            kind = part.value.get("type", "content")
            raise BadRequest(f"{where}.{kind}: Anthropic has no such content", param=f"{where}.{kind}")
    raise BadRequest(f"{where}.input_audio: Anthropic takes no audio", param=f"{where}.input_audio")


def _render_words(part: Text | Refusal | Thinking | RedactedThinking) -> Json | None:
    """Anthropic refuses text of white space alone and thinking without its signature, so neither is sent."""
    match part:
        case Thinking(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature} if signature else None
        case RedactedThinking(data):
            return {"type": "redacted_thinking", "data": data}
    cache = part.cache if isinstance(part, Text) else None
    return _cached({"type": "text", "text": part.text}, cache) if part.text.strip() else None


def tool_id(ident: str) -> str:
    """A call's id in the only characters that Anthropic takes."""
    return FOREIGN_ID.sub("_", ident) or "call"


def tool_input(arguments: str) -> Raw:
    """Arguments as they were written if they are a JSON object, else that text under ``raw``."""
    if not arguments.strip():
        return Raw(b"{}")
    data = arguments.encode(errors="replace")
    try:
        OBJECT.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Raw(msgspec.json.encode({"raw": arguments}))
    return Raw(data)


def _cached(block: Json, cache: Json | None) -> Json:
    if cache is not None:
        block["cache_control"] = cache
    return block


def _image_source(image: Image) -> Json:
    if image.url:
        return {"type": "url", "url": image.url}
    return {"type": "base64", "media_type": image.media_type or "image/png", "data": image.data}


def _render_document(part: Document, where: str) -> Json:
    source: Json
    if part.url:
        source = {"type": "url", "url": part.url}
    elif not part.data:
        source = {"type": "text", "media_type": "text/plain", "data": part.text}
    elif part.media_type.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _plain(part.data, where)}
    elif part.media_type == "application/pdf":
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    else:
        raise BadRequest(
            f"{where}.file: Anthropic reads PDF and plain text, not {part.media_type}", param=f"{where}.file"
        )
    block: Json = {"type": "document", "source": source}
    block |= {"title": part.name} if part.name else {}
    block |= {"context": part.context} if part.context else {}
    block |= {"citations": part.citations} if part.citations else {}
    return _cached(block, part.cache)


def _plain(data: str, where: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise BadRequest(f"{where}.file: not base64 of UTF-8 text", param=f"{where}.file") from None


def _render_result(part: ToolResult, where: str) -> Json:
    content = [block for inner in part.parts if (block := render_part(inner, where)) is not None]
    plain = len(content) == 1 and content[0].keys() == {"type", "text"}
    result: Json = {"type": "tool_result", "tool_use_id": tool_id(part.call_id)}
    if content:
        result["content"] = content[0]["text"] if plain else content
    if part.is_error:
        result["is_error"] = True
    return _cached(result, part.cache)
