"""A caller's chat completion call in neutral words; a member no struct knows goes to ``extra``."""

from __future__ import annotations

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import fields, replace

from llmgw.domain.chat import (
    ChatRequest,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmgw.errors import BadRequest
from llmgw.providers.dialects.openai_chat.content import Json, read_assistant, read_content, write_arguments
from llmgw.providers.dialects.openai_chat.peek import check_utf8, explain
from llmgw.providers.dialects.openai_chat.relay import GATEWAY_FIELDS
from llmgw.providers.dialects.openai_chat.thinking import DIALECT


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Call(Struct):
    model: str
    messages: list[Json]
    tools: list[Json] | None = None
    functions: list[Json] | None = None
    tool_choice: str | Json | None = None
    function_call: str | Json | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: Json | None = None
    reasoning_effort: str | None = None
    reasoning: Json | None = None
    thinking: Json | None = None
    enable_thinking: bool | None = None
    user: str | None = None
    service_tier: str | None = None


_decode = Decoder(_Call).decode
_members = Decoder(dict[str, Raw]).decode
_value = Decoder().decode
_KNOWN = frozenset(field.name for field in fields(_Call)) | frozenset(GATEWAY_FIELDS)
_CHOICES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_SYSTEM = ("system", "developer")


def parse_request(body: bytes) -> ChatRequest:
    """The whole call; BadRequest naming the field where it cannot be understood."""
    check_utf8(body)
    try:
        call = _decode(body)
        extra = {
            name: _value(value)
            for name, value in _members(body).items()
            if name not in _KNOWN and bytes(value) != b"null"
        }
    except (DecodeError, RecursionError) as error:
        raise explain(error) from None
    choice, choice_extra = _tool_choice(call)
    form, form_extra = _response_format(call.response_format)
    stop = (call.stop,) if isinstance(call.stop, str) else tuple(call.stop or ())
    limit = call.max_tokens if call.max_completion_tokens is None else call.max_completion_tokens
    return ChatRequest(
        model=call.model,
        messages=_messages(call.messages),
        tools=tuple(_tool(tool, index) for index, tool in enumerate(call.tools or call.functions or ())),
        tool_choice=choice,
        parallel_tools=call.parallel_tool_calls,
        max_tokens=limit if limit is not None and limit > 0 else None,
        temperature=call.temperature,
        top_p=call.top_p,
        top_k=call.top_k,
        stop=stop,
        stream=bool(call.stream),
        include_usage=call.stream_options is not None and bool(call.stream_options.include_usage),
        n=1 if call.n is None else call.n,
        seed=call.seed,
        presence_penalty=call.presence_penalty,
        frequency_penalty=call.frequency_penalty,
        logprobs=bool(call.logprobs),
        top_logprobs=call.top_logprobs,
        response_format=form,
        reasoning=_reasoning(call),
        user=call.user or "",
        service_tier=call.service_tier or "",
        extra=extra | choice_extra | form_extra,
    )


def _messages(wire: list[Json]) -> tuple[Message, ...]:
    """Turns in order. Results that follow each other are one turn; legacy functions are joined to calls by name."""
    turns: list[Message] = []
    called: dict[str, str] = {}
    for index, message in enumerate(wire):
        where = f"messages[{index}]"
        turn = _message(message, where, called)
        called |= {part.name: part.id for part in turn.parts if isinstance(part, ToolCall)}
        if turn.role is Role.TOOL and turns and turns[-1].role is Role.TOOL:
            turns[-1] = replace(turns[-1], parts=turns[-1].parts + turn.parts)
        else:
            turns.append(turn)
    if not turns:
        raise BadRequest("'messages' must be a non-empty list of messages.", param="messages")
    return tuple(turns)


def _message(message: Json, where: str, called: dict[str, str]) -> Message:
    role, name = message.get("role"), _word(message.get("name"))
    parts: list[Part]
    if role in ("tool", "function"):
        call_id = _word(message.get("tool_call_id")) or called.get(name, name)
        results = tuple(map(_result_part, read_content(message.get("content"), f"{where}.content")))
        return Message(
            Role.TOOL, (ToolResult(call_id, results, name=name, cache=message.get("cache_control")),)
        )
    if role == "assistant":
        parts = read_assistant(message, where, f"call_{where[9:-1]}")
    elif role == "user" or role in _SYSTEM:
        parts = list(read_content(message.get("content"), f"{where}.content"))
    else:
        raise BadRequest(
            f"'{where}.role' must be system, developer, user, assistant or tool, not {role!r:.40}.",
            param=f"{where}.role",
        )
    cache = message.get("cache_control")
    if cache and parts and isinstance(parts[-1], Text | Image | Document | ToolCall):
        parts[-1] = replace(parts[-1], cache=cache)
    return Message(Role.SYSTEM if role in _SYSTEM else Role(role), tuple(parts), name)


def _result_part(part: Part) -> Text | Image | Document:
    """Whatever else a tool answered is still something that the model can read."""
    if isinstance(part, Text | Image | Document):
        return part
    return Text(write_arguments(part.value) if isinstance(part, Opaque) else write_arguments(part))


def _tool(tool: Json, index: int) -> Tool:
    """A function in any of its spellings; every other kind of tool stays in this dialect's words."""
    kind = tool.get("type", "function")
    if kind != "function":
        return Tool(_word(tool.get("name")) or _word(kind), opaque=Opaque(DIALECT, tool))
    function = tool.get("function", tool)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise BadRequest(f"'tools[{index}].function.name' is missing.", param=f"tools[{index}].function.name")
    schema, strict = function.get("parameters"), function.get("strict")
    return Tool(
        name,
        _word(function.get("description")),
        schema if isinstance(schema, dict) else {},
        strict if isinstance(strict, bool) else None,
        tool.get("cache_control") or function.get("cache_control"),
    )


def _tool_choice(call: _Call) -> tuple[ToolChoice | None, Json]:
    choice = call.function_call if call.tool_choice is None else call.tool_choice
    match choice:
        case None:
            return None, {}
        case str() if choice in _CHOICES:
            return ToolChoice(_CHOICES[choice]), {}
        case {"function": {"name": str(name)}} | {"type": "function" | "tool", "name": str(name)}:
            return ToolChoice("named", name), {}
        case {"type": str(kind)} if kind in _CHOICES:
            return ToolChoice(_CHOICES[kind]), {}
        case {"type": str()}:
            return None, {"tool_choice": choice}
        case {"name": str(name)}:
            return ToolChoice("named", name), {}
    raise BadRequest("'tool_choice' must be auto, none, required or name a tool.", param="tool_choice")


def _response_format(form: Json | None) -> tuple[ResponseFormat | None, Json]:
    match form:
        case None:
            return None, {}
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            told = form["json_schema"]
            strict = told.get("strict") if isinstance(told.get("strict"), bool) else None
            name, description = _word(told.get("name")), _word(told.get("description"))
            return ResponseFormat("json_schema", name, schema, strict, description), {}
        case {"type": "json_object", "schema": dict(schema)}:  # llama.cpp, Together
            return ResponseFormat("json_schema", schema=schema), {}
        case {"type": "text" | "json_object"}:
            return ResponseFormat(form["type"]), {}
    return None, {"response_format": form}


def _reasoning(call: _Call) -> Reasoning | None:
    """How hard to think, from whichever of the four spellings was used."""
    told, thinking = call.reasoning or {}, call.thinking or {}
    effort = call.reasoning_effort or _word(told.get("effort"))
    budget = told.get("max_tokens", thinking.get("budget_tokens"))
    enabled = told.get("enabled", call.enable_thinking)
    if "type" in thinking:
        enabled = thinking["type"] != "disabled"
    if effort:
        enabled = effort != "none"
    if not isinstance(enabled, bool):
        enabled = True if isinstance(budget, int) else None
    if enabled is None and not told:
        return None
    return Reasoning(
        enabled=enabled,
        effort="" if effort == "none" else effort,
        budget=budget if isinstance(budget, int) else None,
        display="omitted" if told.get("exclude") is True else "",
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
