"""What happens to every field and every kind of content when caller and target speak different dialects.

The table is what the code is tested against and what the documentation shows, so that nothing is lost unnamed.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    """Carried as it is, mapped to the target's own words, dropped and named in the reply, or refused with 400."""

    CARRIED = "carried"
    MAPPED = "mapped"
    DROPPED = "dropped"
    REFUSED = "refused"


class Row(Struct, frozen=True):
    """One field or kind of content; ``named`` is the name under which a drop or a refusal is told."""

    field: str
    verdict: Verdict
    how: str = ""
    named: str = ""


def _carried(field: str, how: str = "") -> Row:
    return Row(field, Verdict.CARRIED, how)


def _mapped(field: str, how: str) -> Row:
    return Row(field, Verdict.MAPPED, how)


def _dropped(field: str, how: str, named: str = "") -> Row:
    return Row(field, Verdict.DROPPED, how, named or field)


def _refused(field: str, how: str, named: str = "") -> Row:
    return Row(field, Verdict.REFUSED, how, named or field)


_GATEWAY = _mapped("force_tier, context, idempotency_key", "read by the gateway, never sent on")
_MODEL = _mapped("model", "the target's model")

OPENAI_TO_ANTHROPIC = (
    _MODEL,
    _GATEWAY,
    _mapped("messages: leading system and developer", "`system`, cache marks kept"),
    _mapped(
        "messages: later system and developer",
        "stays in place for Claude 4.8 and later where it follows a user's turn and precedes the model's or ends"
        " the conversation; else joins `system`",
    ),
    _mapped("messages: system alone", "the last text becomes the user's turn"),
    _refused("messages: nothing but blank text", "Anthropic refuses empty turns", "messages"),
    _mapped("messages: consecutive turns of one role", "one turn"),
    _dropped("messages.name", "Anthropic has no names"),
    _carried("messages.content: text"),
    _mapped("messages.content: blank text", "left out, Anthropic refuses it"),
    _carried("messages.content: cache_control"),
    _mapped("messages.content.image_url", "a base64 or a url source"),
    _dropped("messages.content.image_url.detail", "Anthropic scales pictures itself"),
    _mapped("messages.content.file: PDF", "a document block"),
    _mapped("messages.content.file: text", "a document block of plain text"),
    _refused("messages.content.file: other types", "Anthropic reads PDF and text", "messages.content.file"),
    _refused("messages.content.file: file_id", "the file lies at OpenAI", "messages.content.file"),
    _refused("messages.content.input_audio", "Anthropic takes no audio"),
    _mapped("messages: assistant refusal", "text"),
    _mapped("messages: assistant tool_calls", "tool_use; characters Anthropic refuses in an id become `_`"),
    _mapped("messages: tool_calls with broken arguments", '`{"raw": text}`, as `input` must be an object'),
    _refused("messages: tool_calls of custom tools", "functions only", "messages.tool_calls"),
    _mapped("messages: tool", "tool_result blocks, first in the user's turn"),
    _mapped("messages: assistant thinking_blocks", "thinking blocks with their signatures"),
    _dropped("messages: assistant reasoning_content", "no signature", "messages.reasoning_content"),
    _dropped("messages: assistant annotations", "no such member", "messages.annotations"),
    _mapped("messages: unfinished answer at the end", "continued; white space at its end is cut"),
    _mapped("max_tokens, max_completion_tokens", "`max_tokens`, at most the model's own maximum"),
    _mapped("max_tokens: absent", "the model's own maximum; 8192 where it is unknown"),
    _mapped("temperature", "at most 1"),
    _dropped("temperature: Claude 4.7 and later", "the API refuses it", "temperature"),
    _dropped("temperature: while thinking", "Anthropic takes only 1", "temperature"),
    _carried("top_p"),
    _dropped("top_p: beside temperature, Claude 4 and later", "the API takes one of the two", "top_p"),
    _dropped("top_p: Claude 4.7 and later", "the API refuses it", "top_p"),
    _carried("top_k"),
    _mapped("stop", "`stop_sequences`"),
    _dropped("stop: white space alone", "the API refuses it", "stop"),
    _carried("stream"),
    _mapped("stream_options", "Anthropic always tells usage; the caller gets it if asked for"),
    _refused("n: above 1", "one answer to a call", "n"),
    _dropped("seed", "no such setting"),
    _dropped("presence_penalty", "no such setting"),
    _dropped("frequency_penalty", "no such setting"),
    _dropped("logprobs", "no such setting"),
    _dropped("top_logprobs", "no such setting"),
    _dropped("logit_bias", "no such setting"),
    _mapped(
        "response_format: json_schema", "`output_config.format`; objects are closed, limits become words"
    ),
    _refused("response_format: json_schema, before Claude 4.1", "no structured outputs", "response_format"),
    _dropped("response_format: json_object", "no free JSON mode", "response_format"),
    _carried("response_format: text"),
    _mapped(
        "reasoning_effort: Claude 4.6 and later",
        "adaptive thinking and `output_config.effort`: minimal is low, xhigh is high before Claude 4.7",
    ),
    _mapped(
        "reasoning_effort: Claude 3.7 to 4.5",
        "a thinking budget: minimal 1024, low 2048, medium 8192, high 16384, xhigh and max 32000 tokens,"
        " at most half of max_tokens",
    ),
    _dropped("reasoning_effort: before Claude 3.7", "cannot think", "reasoning_effort"),
    _dropped("reasoning_effort: forced tool, before Claude 4.6", "the API refuses both", "reasoning_effort"),
    _dropped("reasoning_effort: max_tokens up to 1024, before Claude 4.6", "too little", "reasoning_effort"),
    _dropped(
        "reasoning_effort: after an unsigned tool call, before Claude 4.6",
        "the API refuses it",
        "reasoning_effort",
    ),
    _mapped("reasoning_effort: none", "thinking left out, `disabled` from Claude 5 on"),
    _mapped("tools: function", "`input_schema`"),
    _mapped("tools.function.strict", "`strict`; the schema as for json_schema"),
    _dropped("tools.function.strict: before Claude 4.1", "no such setting", "tools.strict"),
    _refused("tools: custom", "functions only", "tools.custom"),
    _mapped("functions, function_call", "as tools"),
    _mapped("tool_choice", "auto, any, tool or none"),
    _dropped("tool_choice: allowed_tools", "no such choice", "tool_choice"),
    _dropped("tool_choice: without tools", "the API refuses it", "tool_choice"),
    _mapped("parallel_tool_calls", "`disable_parallel_tool_use`"),
    _mapped("user", "`metadata.user_id`"),
    _mapped("service_tier: auto, default", "auto, standard_only"),
    _dropped("service_tier: flex, priority", "no such tier", "service_tier"),
    _carried("cache_control, container, context_management, mcp_servers, speed", "Anthropic's own fields"),
    _refused("modalities: audio", "Anthropic answers in text", "modalities"),
    _dropped("metadata", "Anthropic's holds user_id alone"),
    _dropped("store", "no such setting"),
    _dropped("any other field", "named in the reply", "some_new_field"),
)

ANTHROPIC_TO_OPENAI = (
    _MODEL,
    _GATEWAY,
    _mapped("system", "a system message"),
    _dropped(
        "system: x-anthropic-billing-header", "a note to Anthropic alone", "system.x-anthropic-billing-header"
    ),
    _mapped("messages: system", "a system message in the same place"),
    _carried("messages.content: text"),
    _dropped("messages.content: cache_control", "kept where the provider honours it", "cache_control"),
    _dropped("messages.content.citations", "no such member"),
    _mapped("messages.content: image", "image_url, base64 as a data: URL"),
    _dropped("messages.content: image by file_id", "the file lies at Anthropic", "messages.image"),
    _mapped("messages.content: document, base64", "a file part"),
    _mapped("messages.content: document, text", "text under its title"),
    _refused("messages.content: document by url", "the API fetches none", "messages"),
    _dropped("messages.content.document.context", "no such member", "context"),
    _mapped("messages.content: search_result", "text under its title"),
    _mapped("messages.content: tool_use", "tool_calls; `input` keeps its bytes"),
    _mapped("messages.content: tool_result", "a tool message; pictures follow in a user's message"),
    _mapped("messages.content: tool_result, tool_reference", "the tool's name as text"),
    _dropped("messages.content: tool_result.is_error", "the content tells it", "is_error"),
    _dropped("messages.content: thinking", "kept where the provider takes reasoning back", "thinking"),
    _dropped("messages.content: redacted_thinking", "only Anthropic can read it", "thinking"),
    _dropped("messages.content: server_tool_use", "ran at Anthropic", "messages.server_tool_use"),
    _dropped("messages.output_config", "effort of one turn; no such member"),
    _mapped("max_tokens", "under the name that the model takes"),
    _mapped("max_tokens: more than the model writes", "the most that it does, where the provider tells"),
    _carried("temperature"),
    _dropped("temperature: models that reason", "the API refuses it", "temperature"),
    _carried("top_p"),
    _dropped("top_k", "kept where the provider takes it"),
    _mapped("stop_sequences", "`stop`"),
    _mapped("stream", "with `stream_options.include_usage`"),
    _mapped("tools", "functions"),
    _carried("tools.strict"),
    _dropped("tools.cache_control", "prompts are cached unasked", "cache_control"),
    _dropped("tools.defer_loading", "every tool is loaded"),
    _dropped("tools: server tools", "run at Anthropic", "tools.web_search_20250305"),
    _refused("tool_choice: a server tool", "runs at Anthropic", "tool_choice"),
    _mapped("tool_choice", "auto, required, none or a function"),
    _mapped("tool_choice.disable_parallel_tool_use", "`parallel_tool_calls: false`"),
    _mapped(
        "thinking: models that reason", "`reasoning_effort` by budget: 1024 minimal, 2048 low, 8192 medium"
    ),
    _dropped("thinking: other models", "they cannot", "reasoning_effort"),
    _mapped("output_config.effort: models that reason", "`reasoning_effort`, max as xhigh"),
    _dropped(
        "thinking, output_config.effort: tools, GPT-5.2 and later",
        "chat completions refuse them together; `reasoning_effort` is none",
        "reasoning_effort",
    ),
    _mapped("output_config.format", "`response_format` json_schema, strict"),
    _dropped("output_config.task_budget", "no such setting"),
    _mapped("metadata.user_id", "`user`"),
    _mapped("metadata.user_id: above 64 characters", "`user`: its SHA-256"),
    _mapped("service_tier", "auto, default"),
    _dropped("context_management", "no such setting"),
    _dropped("container", "no such setting"),
    _dropped("mcp_servers", "no such setting"),
    _dropped("any other field", "named in the reply", "some_new_field"),
)

_OLLAMA_SAMPLING = (
    _mapped("temperature", "`options.temperature`"),
    _mapped("top_p", "`options.top_p`"),
    _mapped("top_k", "`options.top_k`"),
)

OPENAI_TO_OLLAMA = (
    _MODEL,
    _GATEWAY,
    _carried("messages: system and developer", "in place"),
    _dropped("messages.name", "Ollama has no names"),
    _carried("messages.content: text", "the texts of a turn are joined"),
    _dropped("messages.content: cache_control", "prompts are cached unasked", "cache_control"),
    _mapped("messages.content.image_url: data: URL", "`images`"),
    _refused("messages.content.image_url: other URLs", "Ollama fetches none", "messages.content.image_url"),
    _refused("messages.content.file", "Ollama reads no files"),
    _refused("messages.content.input_audio", "Ollama takes no audio"),
    _mapped("messages: assistant tool_calls", "arguments as an object; text that is none under `raw`"),
    _mapped("messages: tool", "a tool message with the tool's name"),
    _mapped("messages: assistant reasoning_content", "`thinking`"),
    _mapped("max_tokens, max_completion_tokens", "`options.num_predict`"),
    *_OLLAMA_SAMPLING,
    _mapped("seed", "`options.seed`"),
    _mapped("presence_penalty", "`options.presence_penalty`"),
    _mapped("frequency_penalty", "`options.frequency_penalty`"),
    _mapped("stop", "`options.stop`"),
    _carried("stream"),
    _refused("n: above 1", "one answer to a call", "n"),
    _carried("logprobs"),
    _carried("top_logprobs"),
    _dropped("logit_bias", "no such setting"),
    _mapped("response_format", "`format`: the schema, or json"),
    _mapped("reasoning_effort: none", "`think: false`"),
    _mapped("reasoning_effort: gpt-oss", "`think`: low, medium or high"),
    _dropped("reasoning_effort: other models", "they have no levels", "reasoning_effort"),
    _carried("tools: function"),
    _dropped("tools.function.strict", "no such setting", "tools.strict"),
    _refused("tools: custom", "functions only", "tools"),
    _mapped("tool_choice: auto, none", "the tools, or no tools"),
    _dropped(
        "tool_choice: required, named", "Ollama cannot force; only the named tool is offered", "tool_choice"
    ),
    _dropped("parallel_tool_calls: false", "no such setting", "parallel_tool_calls"),
    _dropped("user", "no such setting"),
    _dropped("service_tier", "no such setting"),
    _carried("keep_alive, think, options, min_p, repeat_penalty", "Ollama's own fields"),
    _dropped("any other field", "named in the reply", "some_new_field"),
)

ANTHROPIC_TO_OLLAMA = (
    _MODEL,
    _GATEWAY,
    _mapped("system", "a system message"),
    _dropped(
        "system: x-anthropic-billing-header", "a note to Anthropic alone", "system.x-anthropic-billing-header"
    ),
    _mapped("messages: system", "a system message in the same place"),
    _carried("messages.content: text", "the texts of a turn are joined"),
    _dropped("messages.content: cache_control", "prompts are cached unasked", "cache_control"),
    _dropped("messages.content.citations", "no such member"),
    _mapped("messages.content: image, base64", "`images`"),
    _refused("messages.content: image by url", "Ollama fetches none", "messages"),
    _refused("messages.content: image by file_id", "the file lies at Anthropic", "messages"),
    _refused("messages.content: document, base64", "Ollama reads no PDF", "messages"),
    _mapped("messages.content: document, text", "text under its title"),
    _mapped("messages.content: tool_use", "`tool_calls`; `input` keeps its bytes"),
    _mapped("messages.content: tool_result", "a tool message with the tool's name, pictures beside it"),
    _dropped("messages.content: tool_result.is_error", "the content tells it", "tool_result.is_error"),
    _mapped("messages.content: thinking", "`thinking`, without its signature"),
    _dropped("messages.content: redacted_thinking", "only Anthropic can read it", "redacted_thinking"),
    _refused("messages.content: server_tool_use", "ran at Anthropic", "messages"),
    _dropped("messages.output_config", "effort of one turn; no such member"),
    _mapped("max_tokens", "`options.num_predict`"),
    *_OLLAMA_SAMPLING,
    _mapped("stop_sequences", "`options.stop`"),
    _carried("stream"),
    _mapped("tools", "functions"),
    _dropped("tools.strict", "no such setting"),
    _dropped("tools.cache_control", "prompts are cached unasked", "cache_control"),
    _dropped("tools.defer_loading", "every tool is loaded"),
    _refused("tools: server tools", "run at Anthropic", "tools"),
    _mapped("tool_choice: auto, none", "the tools, or no tools"),
    _dropped("tool_choice: any, tool", "Ollama cannot force; only the named tool is offered", "tool_choice"),
    _dropped("tool_choice.disable_parallel_tool_use", "no such setting", "parallel_tool_calls"),
    _mapped("thinking: disabled", "`think: false`"),
    _mapped("thinking: enabled, adaptive", "left to the model, which thinks unasked where it can"),
    _mapped("output_config.effort: gpt-oss", "`think`: low, medium or high"),
    _dropped("output_config.effort: other models", "they have no levels", "reasoning_effort"),
    _mapped("output_config.format", "`format`: the schema"),
    _dropped("metadata.user_id", "no such setting", "user"),
    _dropped("service_tier", "no such setting"),
    _dropped("context_management", "no such setting"),
    _dropped("any other field", "named in the reply", "some_new_field"),
)

TABLE = {
    ("openai_chat", "anthropic"): OPENAI_TO_ANTHROPIC,
    ("anthropic", "openai_chat"): ANTHROPIC_TO_OPENAI,
    ("openai_chat", "ollama"): OPENAI_TO_OLLAMA,
    ("anthropic", "ollama"): ANTHROPIC_TO_OLLAMA,
}
TITLES = {
    "openai_chat": "OpenAI chat completions",
    "anthropic": "Anthropic Messages",
    "ollama": "Ollama /api/chat",
}


def markdown() -> str:
    """The reference page: one table of rows for each pair of dialects."""
    parts = [
        "# Translation",
        (
            "When caller and target speak the same dialect, bytes pass untouched. Otherwise every field is carried as it"
            " is, mapped to the target's own words, dropped and named in the reply, or refused with status 400."
        ),
    ]
    for (caller, target), rows in TABLE.items():
        parts.append(f"## {TITLES[caller]} to {TITLES[target]}")
        lines = ["| field | what happens | how | named |", "|---|---|---|---|"]
        for row in rows:
            named = f"`{row.named}`" if row.named else ""
            lines.append(f"| {row.field} | {row.verdict} | {row.how} | {named} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
