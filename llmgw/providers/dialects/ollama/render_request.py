"""An ``/api/chat`` call from neutral words.

Dropped by name: what has no effect here (``user``, ``parallel_tool_calls``, a forced ``tool_choice``). Refused: what
would change the answer's meaning (``n`` above 1, audio, PDF, pictures by URL, server-side tools).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.errors import BadRequest, ConfigInvalid
from llmgw.providers.base import Rendered, Upstream
from llmgw.providers.dialects.ollama.turns import render_turns
from llmgw.rules.estimating import estimate_request, estimate_tokens

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatRequest, Tool
    from llmgw.domain.usage import Usage
    from llmgw.providers.dialects.ollama.window import Windows

Json = dict[str, Any]
OPTIONS = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
EXTRA_OPTIONS = {
    "min_p",
    "typical_p",
    "repeat_last_n",
    "repeat_penalty",
    "num_keep",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
}
"""Ollama's own sampling options, for callers who name them; what would reload the model is the operator's."""
LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
FAR_BELOW = 0.6
NOTICEABLE = 512
encode = msgspec.json.Encoder().encode


def render_request(request: ChatRequest, upstream: Upstream, model: str, windows: Windows) -> Rendered:
    """A body whose window fits the prompt; the ``warning`` and ``check`` of the result tell where it does not."""
    if request.n > 1:
        raise BadRequest("n: Ollama gives one answer to a call", param="n", hint="send the call n times")
    dropped: list[str] = []
    extra = dict(request.extra)
    messages = render_turns(request.messages, dropped)
    body: Json = {"model": model, "messages": messages, "stream": request.stream}
    body |= _tools(request, dropped)
    body |= _format(request)
    body |= _think(request, upstream, model, extra, dropped)
    body |= {"logprobs": True} if request.logprobs else {}
    body |= {"top_logprobs": request.top_logprobs} if request.top_logprobs is not None else {}
    keep_alive = extra.pop("keep_alive", upstream.options.get("keep_alive"))
    body |= {"keep_alive": keep_alive} if keep_alive is not None else {}
    options = _options(request, extra)
    floor = max(_size(upstream, "num_ctx") or 0, _asked_window(options, extra))
    cap = _size(upstream, "num_ctx_max")
    prompt = estimate_request(request)
    window = windows.choose(upstream.name, model, prompt, request.max_tokens, floor, cap)
    body["options"] = options | {"num_ctx": window.size}
    dropped += [name for name in ("user", "service_tier") if getattr(request, name)]
    dropped += extra
    warning = ""
    if not window.fits:
        warning = (
            f"the prompt of about {prompt:,} tokens may not fit: num_ctx_max of `{upstream.name}` is {cap:,}, "
            "so Ollama drops the oldest turns"
        )
    return Rendered(
        encode(body), tuple(dict.fromkeys(dropped)), warning, _check(messages, prompt, window.size)
    )


def _tools(request: ChatRequest, dropped: list[str]) -> Json:
    choice = request.tool_choice
    if not request.tools or (choice is not None and choice.mode == "none"):
        return {}
    tools = request.tools
    if choice is not None and choice.mode != "auto":
        # Ollama cannot be made to call; to offer nothing but the named tool comes nearest.
        dropped.append("tool_choice")
        tools = tuple(tool for tool in tools if choice.mode != "named" or tool.name == choice.name)
    if request.parallel_tools is False:
        dropped.append("parallel_tool_calls")
    return {"tools": [_tool(tool, dropped) for tool in tools]}


def _tool(tool: Tool, dropped: list[str]) -> Json:
    if tool.opaque is not None:
        kind = tool.opaque.value.get("type", "tool")
        raise BadRequest(f"tools.{kind}: Ollama has no such tool", param="tools")
    dropped += ["tools.strict"] if tool.strict else []
    dropped += ["cache_control"] if tool.cache is not None else []
    schema = {"type": "object", "properties": {}} | tool.schema
    function = {"name": tool.name, "description": tool.description, "parameters": schema}
    return {"type": "function", "function": function}


def _format(request: ChatRequest) -> Json:
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return {}
    return {"format": wanted.schema if wanted.kind == "json_schema" else "json"}


def _think(request: ChatRequest, upstream: Upstream, model: str, extra: Json, dropped: list[str]) -> Json:
    """``think`` only where it is safe: models that can think do so unasked, all others answer 400 to a yes.

    Levels are gpt-oss's alone. The caller's own ``think`` wins, then the operator's.
    """
    own = extra.pop("think", upstream.options.get("think"))
    if own is not None:
        return {"think": own}
    wanted = request.reasoning
    if wanted is None:
        return {}
    if wanted.enabled is False or wanted.effort == "none":
        return {"think": False}
    if "gpt-oss" in model and wanted.effort in LEVELS:
        return {"think": LEVELS[wanted.effort]}
    if wanted.effort:
        dropped.append("reasoning_effort")
    return {}


def _options(request: ChatRequest, extra: Json) -> Json:
    options = {name: value for name in OPTIONS if (value := getattr(request, name)) is not None}
    options |= {"num_predict": request.max_tokens} if request.max_tokens is not None else {}
    options |= {"stop": list(request.stop)} if request.stop else {}
    options |= {name: extra.pop(name) for name in EXTRA_OPTIONS & extra.keys()}
    own = extra.pop("options", None)
    if isinstance(own, Mapping):
        options |= own
    return options


def _asked_window(options: Json, extra: Json) -> int:
    """The ``num_ctx`` that the caller names, in the body or under ``options``."""
    asked = [extra.pop("num_ctx", None), options.pop("num_ctx", None)]
    return max((size for size in asked if isinstance(size, int)), default=0)


def _size(upstream: Upstream, name: str) -> int | None:
    value = upstream.options.get(name)
    if value is not None and (not isinstance(value, int) or value < 1):
        raise ConfigInvalid(f"`{name}` of `{upstream.name}` is not a number of tokens: {value!r}")
    return value


def _check(messages: list[Json], prompt: int, window: int) -> Callable[[Usage], str]:
    def check(usage: Usage) -> str:
        """What to say when the tokens that Ollama counted show that it cut the prompt."""
        seen = usage.input_tokens
        if not seen:
            return ""
        if seen >= window:
            return f"the prompt filled Ollama's context of {window:,} tokens: what did not fit was dropped"
        if seen + usage.output_tokens > window:
            return (
                f"prompt and answer outgrew Ollama's context of {window:,} tokens: the beginning was dropped"
            )
        if seen > prompt * FAR_BELOW:
            return ""
        text = sum(estimate_tokens(message["content"]) for message in messages)
        if seen > text * FAR_BELOW or text - seen < NOTICEABLE:
            return ""
        return f"Ollama read {seen:,} tokens of a prompt of about {prompt:,}: it dropped the oldest turns"

    return check
