"""A caller's Messages call in neutral words. What no struct holds is named in ``extra``, dotted where it is nested."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from llmgw.domain.chat import (
    ChatRequest,
    Message,
    Opaque,
    Part,
    Reasoning,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
)
from llmgw.errors import BadRequest
from llmgw.providers.dialects.anthropic.content import DIALECT, parse_content
from llmgw.providers.dialects.anthropic.decoding import decode
from llmgw.providers.dialects.anthropic.peek import GATEWAY_FIELDS

Json = dict[str, Any]


class _Turn(Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[Raw]
    output_config: Any = None


class _Request(Struct):
    model: str
    messages: list[_Turn]
    max_tokens: int | None = None  # `peek` demands it of a call; a count has none
    system: str | list[Raw] | None = None
    tools: list[Json] | None = None
    tool_choice: Json | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    thinking: Json | None = None
    output_config: Json | None = None
    output_format: Json | None = None
    metadata: Json | None = None
    service_tier: str | None = None


REQUEST = msgspec.json.Decoder(_Request)
FIELDS = msgspec.json.Decoder(dict[str, Raw])
KNOWN = {field.name for field in msgspec.structs.fields(_Request)} | set(GATEWAY_FIELDS)
BILLING = "x-anthropic-billing-header"
ANYTHING = msgspec.json.Decoder()
CHOICES = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}
TOOL_FIELDS = {"type", "name", "description", "input_schema", "strict", "cache_control"}


def parse_request(body: bytes) -> ChatRequest:
    """The whole call; BadRequest naming the field where it cannot be understood."""
    wire = decode(REQUEST, body)
    lost: set[str] = set()
    choice = wire.tool_choice or {}
    config = wire.output_config or {}
    return ChatRequest(
        model=wire.model,
        messages=_messages(wire, lost),
        tools=tuple(_tool(tool, index, lost) for index, tool in enumerate(wire.tools or ())),
        tool_choice=_tool_choice(wire.tool_choice),
        parallel_tools=False if choice.get("disable_parallel_tool_use") is True else None,
        max_tokens=wire.max_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        top_k=wire.top_k,
        stop=tuple(wire.stop_sequences or ()),
        stream=wire.stream is True,
        include_usage=True,
        response_format=_format(config.get("format") or wire.output_format),
        reasoning=_reasoning(wire.thinking, config.get("effort")),
        user=str((wire.metadata or {}).get("user_id") or ""),
        service_tier=wire.service_tier or "",
        extra=_extra(wire, body, lost),
    )


def _messages(wire: _Request, lost: set[str]) -> tuple[Message, ...]:
    messages = []
    if system := [part for part in parse_content(wire.system, "system", lost) if not _billing(part, lost)]:
        messages.append(Message(Role.SYSTEM, tuple(system)))
    for index, turn in enumerate(wire.messages):
        parts = parse_content(turn.content, f"messages.{index}.content", lost)
        if turn.output_config is not None:
            lost.add("messages.output_config")
        # Whoever keeps tool results in turns of their own wants them right behind the calls they answer.
        results = tuple(part for part in parts if isinstance(part, ToolResult))
        if results:
            messages.append(Message(Role.TOOL, results))
        rest = tuple(part for part in parts if not isinstance(part, ToolResult))
        if rest or not results:
            messages.append(Message(Role(turn.role), rest))
    return tuple(messages)


def _billing(part: Part, lost: set[str]) -> bool:
    """Claude Code's note to Anthropic, new with every call: before any other prompt it would defeat prompt caches."""
    noted = isinstance(part, Text) and part.text.startswith(BILLING)
    lost.update({f"system.{BILLING}"} if noted else ())
    return noted


def _tool(tool: Json, index: int, lost: set[str]) -> Tool:
    name, kind = tool.get("name", ""), tool.get("type")
    if kind not in (None, "custom"):
        return Tool(str(name), opaque=Opaque(DIALECT, tool))
    schema = tool.get("input_schema")
    if not isinstance(name, str) or not name:
        raise BadRequest(f"tools.{index}.name: Field required", param=f"tools.{index}.name")
    if not isinstance(schema, dict):
        raise BadRequest(f"tools.{index}.input_schema: Field required", param=f"tools.{index}.input_schema")
    lost.update(f"tools.{field}" for field in tool.keys() - TOOL_FIELDS if tool[field] is not None)
    return Tool(
        name, str(tool.get("description") or ""), schema, tool.get("strict"), tool.get("cache_control")
    )


def _tool_choice(choice: Json | None) -> ToolChoice | None:
    if choice is None:
        return None
    kind = choice.get("type")
    if not isinstance(kind, str) or kind not in CHOICES:
        raise BadRequest(
            f"tool_choice.type: {kind!r} is none of {', '.join(CHOICES)}", param="tool_choice.type"
        )
    return ToolChoice(CHOICES[kind], str(choice.get("name") or ""))


def _format(wire: Any) -> ResponseFormat | None:
    if not isinstance(wire, dict) or wire.get("type") != "json_schema":
        return None
    schema = wire.get("schema")
    if not isinstance(schema, dict):
        raise BadRequest("output_config.format.schema: Field required", param="output_config.format.schema")
    return ResponseFormat("json_schema", str(wire.get("name") or ""), schema, strict=True)


def _reasoning(thinking: Json | None, effort: Any) -> Reasoning | None:
    """Thinking and effort. ``between_tools`` turns thinking off but for short notes, so it reads as off."""
    word = effort if isinstance(effort, str) else ""
    if thinking is None:
        return Reasoning(effort=word) if word else None
    budget = thinking.get("budget_tokens")
    return Reasoning(
        enabled=thinking.get("type") in ("enabled", "adaptive"),
        effort=word,
        budget=budget if isinstance(budget, int) else None,
        display=str(thinking.get("display") or ""),
    )


def _extra(wire: _Request, body: bytes, lost: set[str]) -> Json:
    for name, known in (("output_config", {"format", "effort"}), ("metadata", {"user_id"})):
        lost.update(f"{name}.{field}" for field in (getattr(wire, name) or {}).keys() - known)
    unknown = {
        name: decode(ANYTHING, value, name)
        for name, value in decode(FIELDS, body).items()
        if name not in KNOWN and bytes(value) != b"null"
    }
    return unknown | dict.fromkeys(sorted(lost), True)
