"""A call in neutral words as a body for an OpenAI-compatible upstream."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.errors import BadRequest
from llmgw.providers.base import Provider, Rendered, Upstream
from llmgw.providers.dialects.openai_chat.relay import other_limit, reasons, refused_fields
from llmgw.providers.dialects.openai_chat.render_messages import MessageWriter
from llmgw.providers.dialects.openai_chat.thinking import DIALECT

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatRequest, ResponseFormat, Tool, ToolChoice

Json = dict[str, Any]

_EXTRA = frozenset(
    [
        "audio",
        "logit_bias",
        "metadata",
        "modalities",
        "moderation",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "response_format",
        "safety_identifier",
        "store",
        "tool_choice",
        "verbosity",
        "web_search_options",
    ]
)
_FIXED = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
)
_TIERS = {
    "auto": "auto",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "standard_only": "default",
}
_EFFORTS = ((1_024, "minimal"), (2_048, "low"), (8_192, "medium"))

_encode = msgspec.json.Encoder().encode


def render_request(request: ChatRequest, upstream: Upstream, model: str) -> Rendered:
    """The body and what it leaves out; BadRequest where leaving out would change what is asked."""
    provider = upstream.provider
    dropped: set[str] = set()
    body: Json = {"model": model, "messages": MessageWriter(provider, dropped).write(request.messages)}
    body |= _tools(request, dropped) | _sampling(request) | _output(request, provider, model)
    body |= _reasoning(request, provider, model, dropped)
    for name, value in request.extra.items():
        if name in provider.accepts or (
            name in _EXTRA and (name != "metadata" or request.extra.get("store"))
        ):
            body.setdefault(name, value)
        else:
            dropped.add(name)
    refused = refused_fields(provider, model)
    if "top_k" not in provider.accepts:
        refused |= {"top_k"}
    if reasons(provider, model):
        refused |= {name for name in _FIXED if body.get(name) != 1}
    for name in refused & body.keys():
        value = body.pop(name)
        if other := other_limit(name):
            body[other] = value
        else:
            dropped.add(name)
    return Rendered(_encode(body), tuple(sorted(dropped)))


def _tools(request: ChatRequest, dropped: set[str]) -> Json:
    tools, lost = [], set()
    for tool in request.tools:
        if tool.opaque is None:
            tools.append(_function(tool))
            if tool.cache:
                dropped.add("cache_control")
        elif tool.opaque.dialect == DIALECT:
            tools.append(tool.opaque.value)
        else:
            lost.add(tool.name)
            dropped.add(f"tools.{tool.opaque.value.get('type', tool.name)}")
    choice = request.tool_choice
    if choice is not None and choice.name in lost:
        raise BadRequest(
            f"The tool {choice.name!r} runs at its own provider, and this target is another.",
            hint="Name a target of that provider, or leave the tool out.",
            param="tool_choice",
        )
    if not tools:
        return {}
    body: Json = {"tools": tools}
    if choice is not None:
        body["tool_choice"] = _tool_choice(choice)
    if request.parallel_tools is not None:
        body["parallel_tool_calls"] = request.parallel_tools
    return body


def _function(tool: Tool) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.schema or {"type": "object", "properties": {}}
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | Json:
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "named" else choice.mode


def _sampling(request: ChatRequest) -> Json:
    told = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "n": request.n if request.n > 1 else None,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "logprobs": request.logprobs or None,
        "top_logprobs": request.top_logprobs,
        "user": _user(request.user),
        "service_tier": _TIERS.get(request.service_tier),
    }
    return {name: value for name, value in told.items() if value is not None}


def _user(name: str) -> str | None:
    """OpenAI takes 64 characters, and Claude Code names its user in 150: the digest of a name is as stable."""
    return (name if len(name) <= 64 else hashlib.sha256(name.encode()).hexdigest()) or None


def _output(request: ChatRequest, provider: Provider, model: str) -> Json:
    body: Json = {}
    if request.max_tokens is not None:
        most = (limit for pattern, limit in provider.output_limits if fnmatchcase(model, pattern))
        body[provider.max_tokens_field] = min(request.max_tokens, next(most, request.max_tokens))
    if request.stop:
        body["stop"] = list(request.stop)
    if request.stream:
        body["stream"] = True
        if provider.stream_usage == "ask":
            body["stream_options"] = {"include_usage": True}
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format)
    return body


def _response_format(form: ResponseFormat) -> Json:
    if form.kind != "json_schema":
        return {"type": form.kind}
    told: Json = {"name": form.name or "answer", "schema": form.schema}
    if form.strict is not None:
        told["strict"] = form.strict
    if form.description:
        told["description"] = form.description
    return {"type": "json_schema", "json_schema": told}


def _reasoning(request: ChatRequest, provider: Provider, model: str, dropped: set[str]) -> Json:
    """How hard to think, for models that take it; those that do not would answer with an error."""
    wanted = request.reasoning
    if request.tools and any(fnmatchcase(model, each) for each in provider.thoughtless_with_tools):
        if wanted is not None and wanted.enabled is not False:
            dropped.add("reasoning_effort")
        return {"reasoning_effort": "none"}
    if wanted is None:
        return {}
    if provider.reasoning_field == "reasoning_details":
        told = {"enabled": wanted.enabled, "effort": wanted.effort or None, "max_tokens": wanted.budget}
        if wanted.effort:
            del told["max_tokens"]  # OpenRouter takes one of the two
        return {"reasoning": {name: value for name, value in told.items() if value is not None}}
    effort = wanted.effort or _effort_of(wanted.budget)
    if (
        effort
        and wanted.enabled is not False
        and any(fnmatchcase(model, each) for each in provider.reasoning_models)
    ):
        return {"reasoning_effort": {"max": "xhigh"}.get(effort, effort)}
    dropped.add("reasoning_effort")
    return {}


def _effort_of(budget: int | None) -> str:
    if budget is None:
        return ""
    return next((word for most, word in _EFFORTS if budget <= most), "high")
