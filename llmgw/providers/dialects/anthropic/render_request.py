"""A Messages call from neutral words, for callers who speak another dialect; the translation table states its rules."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.errors import BadRequest
from llmgw.providers.base import Rendered, Upstream
from llmgw.providers.dialects.anthropic.models import Abilities, abilities
from llmgw.providers.dialects.anthropic.schemas import fit_schema
from llmgw.providers.dialects.anthropic.thinking import choose_thinking
from llmgw.providers.dialects.anthropic.turns import render_turns

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatRequest, Tool

Json = dict[str, Any]

# Anthropic's own fields, for callers of another dialect who name them.
OWN = {
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "speed",
}
TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
CHOICES = {"auto": "auto", "required": "any", "named": "tool", "none": "none"}
encode = msgspec.json.Encoder().encode


def render_request(request: ChatRequest, upstream: Upstream, model: str) -> Rendered:
    """A body for an Anthropic target; BadRequest where leaving something out would change the answer's meaning."""
    able = abilities(model)
    dropped: list[str] = []
    _refuse(request, able)
    limit = request.max_tokens or able.max_output
    body: Json = {"model": model, "max_tokens": min(limit, able.max_output) if able.capped else limit}
    system, messages = render_turns(request, able, dropped)
    body |= {"system": system} if system else {}
    body["messages"] = messages
    body |= _tools(request, able, dropped)
    body |= choose_thinking(request, able, body, dropped)
    body |= {name: value for name, value in request.extra.items() if name in OWN}
    body |= _format(request, body, dropped)
    body |= _sampling(request, able, body, dropped)
    body |= _rest(request, dropped)
    dropped += [name for name in request.extra if name not in OWN]
    for name in upstream.provider.unsupported & body.keys():
        del body[name]
        dropped.append(name)
    return Rendered(encode(body), tuple(dict.fromkeys(dropped)))


def _refuse(request: ChatRequest, able: Abilities) -> None:
    if request.n > 1:
        raise BadRequest("n: Anthropic gives one answer to a call", param="n", hint="send the call n times")
    modalities = request.extra.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise BadRequest("modalities: Anthropic answers in text, not in audio", param="modalities")
    wanted = request.response_format
    if wanted is not None and wanted.kind == "json_schema" and not able.structured:
        raise BadRequest(
            "response_format: this Claude model cannot be held to a JSON schema",
            param="response_format",
            hint="use Claude 4.5 or later, or force a tool whose parameters are the schema",
        )


def _tools(request: ChatRequest, able: Abilities, dropped: list[str]) -> Json:
    if not request.tools:
        dropped += ["tool_choice"] if request.tool_choice else []
        dropped += ["parallel_tool_calls"] if request.parallel_tools is not None else []
        return {}
    out: Json = {"tools": [_tool(tool, able, dropped) for tool in request.tools]}
    choice = request.tool_choice
    wire: Json = {"type": CHOICES[choice.mode if choice else "auto"]}
    if choice is not None and choice.mode == "named":
        wire["name"] = choice.name
    if request.parallel_tools is False and wire["type"] != "none":
        wire["disable_parallel_tool_use"] = True
    if choice is not None or len(wire) > 1:
        out["tool_choice"] = wire
    return out


def _tool(tool: Tool, able: Abilities, dropped: list[str]) -> Json:
    if tool.opaque is not None:
        if tool.opaque.dialect != "anthropic":
            kind = tool.opaque.value.get("type", "tool")
            raise BadRequest(f"tools.{kind}: Anthropic has no such tool", param=f"tools.{kind}")
        return tool.opaque.value
    wire: Json = {"name": tool.name}
    wire |= {"description": tool.description} if tool.description else {}
    wire["input_schema"] = {"type": "object", "properties": {}} | tool.schema
    if tool.strict and able.structured:
        wire |= {"strict": True, "input_schema": fit_schema(wire["input_schema"])}
    elif tool.strict:
        dropped.append("tools.strict")
    wire |= {"cache_control": tool.cache} if tool.cache is not None else {}
    return wire


def _format(request: ChatRequest, body: Json, dropped: list[str]) -> Json:
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return {}
    if wanted.kind != "json_schema":
        # Anthropic has no free JSON mode; who asks OpenAI for it must ask for JSON in words as well.
        dropped.append("response_format")
        return {}
    config = {"format": {"type": "json_schema", "schema": fit_schema(wanted.schema)}}
    return {"output_config": body.get("output_config", {}) | config}


def _sampling(request: ChatRequest, able: Abilities, body: Json, dropped: list[str]) -> Json:
    """Temperature, top_p and top_k as far as the model takes them; thinking allows none below their defaults."""
    asked: Json = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    kept: Json = {}
    for name, value in asked.items():
        fits = able.sampling and not (name == "top_p" and able.one_sampler and "temperature" in asked)
        if fits and thinks:
            fits = value >= {"temperature": 1, "top_p": 0.95}.get(name, inf)
        if fits:
            kept[name] = min(value, 1.0) if name == "temperature" else value
        else:
            dropped.append(name)
    return kept


def _rest(request: ChatRequest, dropped: list[str]) -> Json:
    out: Json = {}
    stops = [stop for stop in request.stop if stop.strip()]
    if len(stops) < len(request.stop):
        dropped.append("stop")
    out |= {"stop_sequences": stops} if stops else {}
    out |= {"stream": True} if request.stream else {}
    out |= {"metadata": {"user_id": request.user}} if request.user else {}
    if request.service_tier in TIERS:
        out["service_tier"] = TIERS[request.service_tier]
    elif request.service_tier:
        dropped.append("service_tier")
    for name in ("seed", "presence_penalty", "frequency_penalty", "top_logprobs"):
        dropped += [name] if getattr(request, name) is not None else []
    dropped += ["logprobs"] if request.logprobs else []
    return out
