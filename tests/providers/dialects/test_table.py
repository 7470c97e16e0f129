"""The translation table: for every row one call, and the code does with it what the row says."""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from llmgw.domain.route import Tier
from llmgw.errors import BadRequest
from llmgw.providers import registry
from llmgw.providers.base import Upstream
from llmgw.providers.dialects.table import TABLE, Verdict, markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVIDERS = {"anthropic": "anthropic", "openai_chat": "openai", "ollama": "ollama"}
MODELS = {"anthropic": "claude-sonnet-4-5", "openai_chat": "gpt-4o", "ollama": "llama3.2"}
PDF = "JVBERi0xLjQK"
PNG = "iVBORw0KGgo="
CACHE = {"type": "ephemeral"}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


class Sample(NamedTuple):
    """Fields of a call that show a row, the target's model, and where in the target's body to find what came of it.

    ``found`` maps paths to values; a value of None means that nothing is there.
    """

    fields: dict[str, Any]
    found: Mapping[str, Any] = MappingProxyType({})
    model: str = ""


def said(*content: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    """A call whose last turn holds this content, behind a greeting where the model speaks last."""
    turn = {"role": role, "content": list(content) if content else None, **more}
    before = [{"role": "user", "content": "hi"}] if role != "user" else []
    return {"messages": [*before, turn]}


def call(arguments: str = '{"a": 1.0}', ident: str = "c:1") -> dict[str, Any]:
    return {"id": ident, "type": "function", "function": {"name": "f", "arguments": arguments}}


TALK = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "tool_calls": [call()]}]
RESULT = {"role": "tool", "tool_call_id": "c:1", "content": "r"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
STRICT = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}
CUSTOM = {"type": "custom", "custom": {"name": "grammar"}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
FORCED = {"tools": [FUNCTION], "tool_choice": "required"}
OLD, OPUS = "claude-3-5-haiku-latest", "claude-opus-4-8"
TEXT = {"type": "text", "text": "words"}
MARKED = TEXT | {"cache_control": CACHE}
GATEWAY = {"force_tier": "local", "context": {"a": 1}, "idempotency_key": "k"}
GONE = dict.fromkeys(GATEWAY)


def picture(url: str, **more: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(**more: str) -> dict[str, Any]:
    return {"type": "file", "file": more}


OPENAI_TO_ANTHROPIC = {
    "model": Sample({}, {"model": "claude-sonnet-4-5"}),
    "force_tier, context, idempotency_key": Sample(GATEWAY, GONE),
    "messages: leading system and developer": Sample(
        {
            "messages": [
                {"role": "system", "content": [MARKED]},
                {"role": "developer", "content": "b"},
                {"role": "user", "content": "hi"},
            ]
        },
        {"system.0.cache_control": CACHE, "system.1.text": "b", "messages.0.role": "user"},
    ),
    "messages: later system and developer": Sample(
        {"messages": [{"role": "user", "content": "hi"}, {"role": "developer", "content": "b"}]},
        {"messages.1.role": "system", "messages.1.content": "b", "system": None},
        OPUS,
    ),
    "messages: system alone": Sample(
        {"messages": [{"role": "system", "content": "say hi"}]},
        {"messages.0.role": "user", "messages.0.content": "say hi", "system": None},
    ),
    "messages: nothing but blank text": Sample(said({"type": "text", "text": " "})),
    "messages: consecutive turns of one role": Sample(
        {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
        {"messages.0.content.1.text": "b", "messages.1": None},
    ),
    "messages.name": Sample(said(TEXT, name="bob")),
    "messages.content: text": Sample(said(TEXT), {"messages.0.content": "words"}),
    "messages.content: blank text": Sample(
        said(TEXT, {"type": "text", "text": "\n"}), {"messages.0.content": "words"}
    ),
    "messages.content: cache_control": Sample(said(MARKED), {"messages.0.content.0.cache_control": CACHE}),
    "messages.content.image_url": Sample(
        said(picture(f"data:image/png;base64,{PNG}"), picture("https://x/y.png", detail="auto")),
        {"messages.0.content.0.source.data": PNG, "messages.0.content.1.source.url": "https://x/y.png"},
    ),
    "messages.content.image_url.detail": Sample(said(picture("https://x/y.png", detail="low"))),
    "messages.content.file: PDF": Sample(
        said(file(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf")),
        {"messages.0.content.0.source.data": PDF, "messages.0.content.0.title": "a.pdf"},
    ),
    "messages.content.file: text": Sample(
        said(file(file_data="data:text/csv;base64,YSxi")), {"messages.0.content.0.source.data": "a,b"}
    ),
    "messages.content.file: other types": Sample(said(file(file_data="data:application/msword;base64,AA=="))),
    "messages.content.file: file_id": Sample(said(file(file_id="file-1"))),
    "messages.content.input_audio": Sample(
        said({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}})
    ),
    "messages: assistant refusal": Sample(said(role="assistant", refusal="no"), {"messages.1.content": "no"}),
    "messages: assistant tool_calls": Sample(
        {"messages": [*TALK, RESULT]},
        {"messages.1.content.0.id": "c_1", "messages.1.content.0.input": {"a": 1.0}},
    ),
    "messages: tool_calls with broken arguments": Sample(
        said(role="assistant", tool_calls=[call("{oops")]), {"messages.1.content.0.input": {"raw": "{oops"}}
    ),
    "messages: tool_calls of custom tools": Sample(
        said(
            role="assistant",
            tool_calls=[{"id": "x", "type": "custom", "custom": {"name": "g", "input": "i"}}],
        )
    ),
    "messages: tool": Sample(
        {"messages": [*TALK, RESULT, {"role": "user", "content": "go"}]},
        {
            "messages.2.role": "user",
            "messages.2.content.0": {"type": "tool_result", "tool_use_id": "c_1", "content": "r"},
            "messages.2.content.1.text": "go",
        },
    ),
    "messages: assistant thinking_blocks": Sample(
        said(
            TEXT,
            role="assistant",
            thinking_blocks=[{"type": "thinking", "thinking": "hm", "signature": "sig"}],
        ),
        {"messages.1.content.0": {"type": "thinking", "thinking": "hm", "signature": "sig"}},
    ),
    "messages: assistant reasoning_content": Sample(said(TEXT, role="assistant", reasoning_content="hm")),
    "messages: assistant annotations": Sample(
        said(TEXT, role="assistant", annotations=[{"type": "url_citation"}])
    ),
    "messages: unfinished answer at the end": Sample(
        said({"type": "text", "text": "It is: "}, role="assistant"), {"messages.1.content": "It is:"}
    ),
    "max_tokens, max_completion_tokens": Sample(
        {"max_completion_tokens": 99_999}, {"max_tokens": 64_000, "max_completion_tokens": None}
    ),
    "max_tokens: absent": Sample({}, {"max_tokens": 64_000}),
    "temperature": Sample({"temperature": 1.5}, {"temperature": 1.0}),
    "temperature: Claude 4.7 and later": Sample({"temperature": 0.5}, model=OPUS),
    "temperature: while thinking": Sample({"temperature": 0.5, "reasoning_effort": "low"}),
    "top_p": Sample({"top_p": 0.5}, {"top_p": 0.5}),
    "top_p: beside temperature, Claude 4 and later": Sample({"top_p": 0.5, "temperature": 0.5}),
    "top_p: Claude 4.7 and later": Sample({"top_p": 0.5}, model=OPUS),
    "top_k": Sample({"top_k": 5}, {"top_k": 5}),
    "stop": Sample({"stop": "END"}, {"stop_sequences": ["END"], "stop": None}),
    "stop: white space alone": Sample({"stop": ["\n"]}),
    "stream": Sample({"stream": True}, {"stream": True}),
    "stream_options": Sample(
        {"stream": True, "stream_options": {"include_usage": True}}, {"stream_options": None}
    ),
    "n: above 1": Sample({"n": 2}),
    "seed": Sample({"seed": 1}),
    "presence_penalty": Sample({"presence_penalty": 0.5}),
    "frequency_penalty": Sample({"frequency_penalty": 0.5}),
    "logprobs": Sample({"logprobs": True}),
    "top_logprobs": Sample({"top_logprobs": 2}),
    "logit_bias": Sample({"logit_bias": {"1": 2}}),
    "response_format: json_schema": Sample(
        {"response_format": JSON_SCHEMA}, {"output_config.format": {"type": "json_schema", "schema": SCHEMA}}
    ),
    "response_format: json_schema, before Claude 4.1": Sample({"response_format": JSON_SCHEMA}, model=OLD),
    "response_format: json_object": Sample({"response_format": {"type": "json_object"}}),
    "response_format: text": Sample({"response_format": {"type": "text"}}, {"output_config": None}),
    "reasoning_effort: Claude 4.6 and later": Sample(
        {"reasoning_effort": "minimal"}, {"thinking.type": "adaptive", "output_config.effort": "low"}, OPUS
    ),
    "reasoning_effort: Claude 3.7 to 4.5": Sample(
        {"reasoning_effort": "medium"}, {"thinking": {"type": "enabled", "budget_tokens": 8_192}}
    ),
    "reasoning_effort: before Claude 3.7": Sample({"reasoning_effort": "low"}, model=OLD),
    "reasoning_effort: forced tool, before Claude 4.6": Sample(FORCED | {"reasoning_effort": "low"}),
    "reasoning_effort: max_tokens up to 1024, before Claude 4.6": Sample(
        {"reasoning_effort": "low", "max_tokens": 1_024}
    ),
    "reasoning_effort: after an unsigned tool call, before Claude 4.6": Sample(
        {"reasoning_effort": "low", "messages": [*TALK, RESULT]}
    ),
    "reasoning_effort: none": Sample(
        {"reasoning_effort": "none"}, {"thinking.type": "disabled"}, "claude-opus-5"
    ),
    "tools: function": Sample({"tools": [FUNCTION]}, {"tools.0.name": "f", "tools.0.input_schema": SCHEMA}),
    "tools.function.strict": Sample({"tools": [STRICT]}, {"tools.0.strict": True}),
    "tools.function.strict: before Claude 4.1": Sample({"tools": [STRICT]}, model=OLD),
    "tools: custom": Sample({"tools": [CUSTOM]}),
    "functions, function_call": Sample(
        {"functions": [{"name": "f", "parameters": SCHEMA}], "function_call": {"name": "f"}},
        {"tools.0.input_schema": SCHEMA, "tool_choice": {"type": "tool", "name": "f"}},
    ),
    "tool_choice": Sample(FORCED, {"tool_choice": {"type": "any"}}),
    "tool_choice: allowed_tools": Sample(
        {
            "tools": [FUNCTION],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
        }
    ),
    "tool_choice: without tools": Sample({"tool_choice": "auto"}),
    "parallel_tool_calls": Sample(
        {"tools": [FUNCTION], "parallel_tool_calls": False},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "user": Sample({"user": "u"}, {"metadata": {"user_id": "u"}}),
    "service_tier: auto, default": Sample({"service_tier": "default"}, {"service_tier": "standard_only"}),
    "service_tier: flex, priority": Sample({"service_tier": "flex"}),
    "cache_control, container, context_management, mcp_servers, speed": Sample(
        {"cache_control": CACHE, "speed": "fast"}, {"cache_control": CACHE, "speed": "fast"}
    ),
    "modalities: audio": Sample({"modalities": ["text", "audio"]}),
    "metadata": Sample({"metadata": {"a": "b"}}),
    "store": Sample({"store": True}),
    "any other field": Sample({"some_new_field": 1}),
}

USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1.0}}
TALKED = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [USE]}]
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
OWN = {"name": "f", "description": "d", "input_schema": SCHEMA}
REASONING = "gpt-5.4"


def answered(content: Any, **more: Any) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": content, **more}
    return {"messages": [*TALKED, {"role": "user", "content": [result]}]}


def attached(kind: str, **source: str) -> dict[str, Any]:
    return said({"type": kind, "source": source})


SHARED_FROM_ANTHROPIC = {
    "force_tier, context, idempotency_key": Sample(GATEWAY, GONE),
    "system": Sample(
        {"system": [TEXT, TEXT]}, {"messages.0.role": "system", "messages.1.content": "hi", "system": None}
    ),
    "system: x-anthropic-billing-header": Sample(
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=1;"}, TEXT]}
    ),
    "messages: system": Sample(
        {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "b"}]},
        {"messages.1": {"role": "system", "content": "b"}},
    ),
    "messages.content: text": Sample(said(TEXT), {"messages.0.content": "words"}),
    "messages.content: cache_control": Sample(said(MARKED)),
    "messages.content.citations": Sample(
        said(TEXT | {"citations": [{"type": "page_location"}]}, role="assistant")
    ),
    "messages.content: redacted_thinking": Sample(
        said({"type": "redacted_thinking", "data": "xx"}, TEXT, role="assistant")
    ),
    "messages.content: tool_result.is_error": Sample(answered("no", is_error=True)),
    "messages.content: server_tool_use": Sample(
        said(
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, TEXT, role="assistant"
        )
    ),
    "messages.content: image by file_id": Sample(attached("image", type="file", file_id="f")),
    "messages.content: document, text": Sample(
        said({"type": "document", "source": {"type": "text", "data": "words"}, "title": "T"})
    ),
    "messages.output_config": Sample(said(TEXT, output_config={"effort": "low"})),
    "tools.cache_control": Sample({"tools": [OWN | {"cache_control": CACHE}]}),
    "tools.defer_loading": Sample({"tools": [OWN | {"defer_loading": True}]}),
    "tools: server tools": Sample({"tools": [SEARCH]}),
    "output_config.task_budget": Sample({"output_config": {"task_budget": {"total": 9}}}),
    "context_management": Sample({"context_management": {"edits": []}}),
    "container": Sample({"container": "c"}),
    "mcp_servers": Sample({"mcp_servers": []}),
    "stream": Sample({"stream": True}, {"stream": True}),
    "any other field": Sample({"some_new_field": 1}),
}

ANTHROPIC_TO_OPENAI = SHARED_FROM_ANTHROPIC | {
    "model": Sample({}, {"model": "gpt-4o"}),
    "messages.content: image": Sample(
        attached("image", type="base64", media_type="image/png", data=PNG),
        {"messages.0.content.0.image_url.url": f"data:image/png;base64,{PNG}"},
    ),
    "messages.content: document, base64": Sample(
        attached("document", type="base64", media_type="application/pdf", data=PDF),
        {"messages.0.content.0.file.file_data": f"data:application/pdf;base64,{PDF}"},
    ),
    "messages.content: document, text": SHARED_FROM_ANTHROPIC["messages.content: document, text"]._replace(
        found={"messages.0.content.0.text": "T\n\nwords"}
    ),
    "messages.content: document by url": Sample(attached("document", type="url", url="https://x/y.pdf")),
    "messages.content.document.context": Sample(
        said({"type": "document", "source": {"type": "text", "data": "words"}, "context": "c"})
    ),
    "messages.content: search_result": Sample(
        answered([{"type": "search_result", "source": "s", "title": "T", "content": [TEXT]}]),
        {"messages.2.role": "tool", "messages.3.content.1.text": "T (s)\n\nwords"},
    ),
    "messages.content: tool_use": Sample(
        answered("r"), {"messages.1.tool_calls.0": call('{"a": 1.0}', "t1"), "messages.1.content": None}
    ),
    "messages.content: tool_result": Sample(
        answered([TEXT, {"type": "image", "source": {"type": "url", "url": "https://x/y"}}]),
        {
            "messages.2": {"role": "tool", "tool_call_id": "t1", "content": "words"},
            "messages.3.content.1.image_url.url": "https://x/y",
        },
    ),
    "messages.content: tool_result, tool_reference": Sample(
        answered([{"type": "tool_reference", "tool_name": "g"}]), {"messages.2.content": "g"}
    ),
    "messages.content: thinking": Sample(
        said({"type": "thinking", "thinking": "hm", "signature": "s"}, TEXT, role="assistant")
    ),
    "max_tokens": Sample({"max_tokens": 7}, {"max_completion_tokens": 7, "max_tokens": None}),
    "max_tokens: more than the model writes": Sample(
        {"max_tokens": 64_000}, {"max_completion_tokens": 16_384}
    ),
    "temperature": Sample({"temperature": 0.5}, {"temperature": 0.5}),
    "temperature: models that reason": Sample({"temperature": 0.5}, model=REASONING),
    "top_p": Sample({"top_p": 0.5}, {"top_p": 0.5}),
    "top_k": Sample({"top_k": 5}),
    "stop_sequences": Sample({"stop_sequences": ["END"]}, {"stop": ["END"], "stop_sequences": None}),
    "stream": Sample({"stream": True}, {"stream": True, "stream_options.include_usage": True}),
    "tools": Sample(
        {"tools": [OWN]}, {"tools.0.function": {"name": "f", "description": "d", "parameters": SCHEMA}}
    ),
    "tools.strict": Sample({"tools": [OWN | {"strict": True}]}, {"tools.0.function.strict": True}),
    "tool_choice: a server tool": Sample(
        {"tools": [SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}}
    ),
    "tool_choice": Sample({"tools": [OWN], "tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
    "tool_choice.disable_parallel_tool_use": Sample(
        {"tools": [OWN], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"parallel_tool_calls": False},
    ),
    "thinking: models that reason": Sample(
        {"thinking": {"type": "enabled", "budget_tokens": 8_192}}, {"reasoning_effort": "medium"}, REASONING
    ),
    "thinking: other models": Sample({"thinking": {"type": "enabled", "budget_tokens": 8_192}}),
    "output_config.effort: models that reason": Sample(
        {"output_config": {"effort": "max"}}, {"reasoning_effort": "xhigh"}, REASONING
    ),
    "thinking, output_config.effort: tools, GPT-5.2 and later": Sample(
        {"tools": [OWN], "thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        {"reasoning_effort": "none"},
        REASONING,
    ),
    "output_config.format": Sample(
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"response_format.json_schema.schema": SCHEMA, "response_format.json_schema.strict": True},
    ),
    "metadata.user_id": Sample({"metadata": {"user_id": "u"}}, {"user": "u", "metadata": None}),
    "metadata.user_id: above 64 characters": Sample(
        {"metadata": {"user_id": "u" * 65}}, {"user": hashlib.sha256(b"u" * 65).hexdigest()}
    ),
    "service_tier": Sample({"service_tier": "standard_only"}, {"service_tier": "default"}),
}

OLLAMA_SAMPLING = {
    "temperature": Sample({"temperature": 0.5}, {"options.temperature": 0.5, "temperature": None}),
    "top_p": Sample({"top_p": 0.5}, {"options.top_p": 0.5}),
    "top_k": Sample({"top_k": 5}, {"options.top_k": 5}),
}

OPENAI_TO_OLLAMA = OLLAMA_SAMPLING | {
    "model": Sample({}, {"model": "llama3.2"}),
    "force_tier, context, idempotency_key": Sample(GATEWAY, GONE),
    "messages: system and developer": Sample(
        {"messages": [{"role": "user", "content": "hi"}, {"role": "developer", "content": "b"}]},
        {"messages.1": {"role": "system", "content": "b"}},
    ),
    "messages.name": Sample(said(TEXT, name="bob")),
    "messages.content: text": Sample(said(TEXT, TEXT), {"messages.0.content": "words\nwords"}),
    "messages.content: cache_control": Sample(said(MARKED)),
    "messages.content.image_url: data: URL": Sample(
        said(picture(f"data:image/png;base64,{PNG}")), {"messages.0.images": [PNG]}
    ),
    "messages.content.image_url: other URLs": Sample(said(picture("https://x/y"))),
    "messages.content.file": Sample(said(file(file_data=f"data:application/pdf;base64,{PDF}"))),
    "messages.content.input_audio": OPENAI_TO_ANTHROPIC["messages.content.input_audio"],
    "messages: assistant tool_calls": Sample(
        said(role="assistant", tool_calls=[call("{oops")]),
        {"messages.1.tool_calls.0.function": {"name": "f", "arguments": {"raw": "{oops"}}},
    ),
    "messages: tool": Sample(
        {"messages": [*TALK, RESULT]},
        {"messages.2": {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "c:1"}},
    ),
    "messages: assistant reasoning_content": Sample(
        said(TEXT, role="assistant", reasoning_content="hm"), {"messages.1.thinking": "hm"}
    ),
    "max_tokens, max_completion_tokens": Sample({"max_completion_tokens": 7}, {"options.num_predict": 7}),
    "seed": Sample({"seed": 1}, {"options.seed": 1}),
    "presence_penalty": Sample({"presence_penalty": 0.5}, {"options.presence_penalty": 0.5}),
    "frequency_penalty": Sample({"frequency_penalty": 0.5}, {"options.frequency_penalty": 0.5}),
    "stop": Sample({"stop": "END"}, {"options.stop": ["END"]}),
    "stream": Sample({"stream": True}, {"stream": True}),
    "n: above 1": Sample({"n": 2}),
    "logprobs": Sample({"logprobs": True}, {"logprobs": True}),
    "top_logprobs": Sample({"top_logprobs": 2}, {"top_logprobs": 2}),
    "logit_bias": Sample({"logit_bias": {"1": 2}}),
    "response_format": Sample({"response_format": JSON_SCHEMA}, {"format": SCHEMA}),
    "reasoning_effort: none": Sample({"reasoning_effort": "none"}, {"think": False}),
    "reasoning_effort: gpt-oss": Sample({"reasoning_effort": "minimal"}, {"think": "low"}, "gpt-oss:20b"),
    "reasoning_effort: other models": Sample({"reasoning_effort": "low"}),
    "tools: function": Sample({"tools": [FUNCTION]}, {"tools.0.function.parameters": SCHEMA}),
    "tools.function.strict": Sample({"tools": [STRICT]}),
    "tools: custom": Sample({"tools": [CUSTOM]}),
    "tool_choice: auto, none": Sample({"tools": [FUNCTION], "tool_choice": "none"}, {"tools": None}),
    "tool_choice: required, named": Sample(FORCED),
    "parallel_tool_calls: false": Sample({"tools": [FUNCTION], "parallel_tool_calls": False}),
    "user": Sample({"user": "u"}),
    "service_tier": Sample({"service_tier": "flex"}),
    "keep_alive, think, options, min_p, repeat_penalty": Sample(
        {"keep_alive": "5m", "think": True, "options": {"min_p": 0.1}},
        {"keep_alive": "5m", "think": True, "options.min_p": 0.1},
    ),
    "any other field": Sample({"some_new_field": 1}),
}

ANTHROPIC_TO_OLLAMA = (SHARED_FROM_ANTHROPIC | OLLAMA_SAMPLING) | {
    "model": Sample({}, {"model": "llama3.2"}),
    "messages.content: image, base64": Sample(
        attached("image", type="base64", media_type="image/png", data=PNG), {"messages.0.images": [PNG]}
    ),
    "messages.content: image by url": Sample(attached("image", type="url", url="https://x/y")),
    "messages.content: document, base64": Sample(
        attached("document", type="base64", media_type="application/pdf", data=PDF)
    ),
    "messages.content: document, text": SHARED_FROM_ANTHROPIC["messages.content: document, text"]._replace(
        found={"messages.0.content": "T\nwords"}
    ),
    "messages.content: tool_use": Sample(
        answered("r"), {"messages.1.tool_calls.0.function": {"name": "f", "arguments": {"a": 1.0}}}
    ),
    "messages.content: tool_result": Sample(
        answered("r"),
        {"messages.2": {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "t1"}},
    ),
    "messages.content: thinking": Sample(
        said({"type": "thinking", "thinking": "hm", "signature": "s"}, TEXT, role="assistant"),
        {"messages.1.thinking": "hm"},
    ),
    "max_tokens": Sample({"max_tokens": 7}, {"options.num_predict": 7}),
    "stop_sequences": Sample({"stop_sequences": ["END"]}, {"options.stop": ["END"]}),
    "tools": Sample({"tools": [OWN]}, {"tools.0.function.parameters": SCHEMA}),
    "tools.strict": Sample({"tools": [OWN | {"strict": True}]}),
    "tool_choice: auto, none": Sample({"tools": [OWN], "tool_choice": {"type": "none"}}, {"tools": None}),
    "tool_choice: any, tool": Sample({"tools": [OWN], "tool_choice": {"type": "any"}}),
    "tool_choice.disable_parallel_tool_use": ANTHROPIC_TO_OPENAI[
        "tool_choice.disable_parallel_tool_use"
    ]._replace(found={}),
    "thinking: disabled": Sample({"thinking": {"type": "disabled"}}, {"think": False}),
    "thinking: enabled, adaptive": Sample({"thinking": {"type": "adaptive"}}, {"think": None}),
    "output_config.effort: gpt-oss": Sample(
        {"output_config": {"effort": "max"}}, {"think": "high"}, "gpt-oss:20b"
    ),
    "output_config.effort: other models": Sample({"output_config": {"effort": "max"}}),
    "output_config.format": Sample(
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, {"format": SCHEMA}
    ),
    "metadata.user_id": Sample({"metadata": {"user_id": "u"}}),
    "service_tier": Sample({"service_tier": "auto"}),
}

SAMPLES = {
    ("openai_chat", "anthropic"): OPENAI_TO_ANTHROPIC,
    ("anthropic", "openai_chat"): ANTHROPIC_TO_OPENAI,
    ("openai_chat", "ollama"): OPENAI_TO_OLLAMA,
    ("anthropic", "ollama"): ANTHROPIC_TO_OLLAMA,
}
ROWS = [(pair, row) for pair, rows in TABLE.items() for row in rows]


def reach(value: Any, path: str) -> Any:
    """What lies at a dotted path, None where nothing does."""
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def translate(pair: tuple[str, str], sample: Sample) -> tuple[dict[str, Any], tuple[str, ...]]:
    caller, target = pair
    provider = registry.provider(PROVIDERS[target])
    upstream = Upstream(name=target, provider=provider, base_url="http://x", tier=Tier.CHEAP)
    usual = {"model": "asked", "messages": [{"role": "user", "content": "hi"}]}
    usual |= {"max_tokens": 2_000} if caller == "anthropic" else {}
    request = registry.caller_dialect(caller).parse_request(json.dumps(usual | sample.fields).encode())
    rendered = registry.target_dialect(target).render_request(
        request, upstream, sample.model or MODELS[target]
    )
    return json.loads(rendered.body), rendered.dropped


@pytest.mark.parametrize(("pair", "row"), ROWS, ids=[f"{a}-{b}-{row.field}" for (a, b), row in ROWS])
def test_the_code_does_what_the_row_says(pair, row):
    """A call that holds the row's field is translated, told of or refused exactly as the table states."""
    sample = SAMPLES[pair][row.field]
    if row.verdict is Verdict.REFUSED:
        with pytest.raises(BadRequest) as refused:
            translate(pair, sample)
        assert row.named in f"{refused.value.param} {refused.value.message}"
        return
    body, dropped = translate(pair, sample)
    if row.verdict is Verdict.DROPPED:
        assert row.named in dropped
    else:
        assert not dropped
        assert sample.found, "a row that arrives must show where"
    assert {path: reach(body, path) for path in sample.found} == sample.found


def test_the_page_holds_every_row():
    """The reference page lists each row of each pair once."""
    page = markdown()
    assert page.count("\n| ") == len(ROWS) + len(TABLE)
    assert all(f"| {row.field} | {row.verdict} |" in page for _, row in ROWS)
