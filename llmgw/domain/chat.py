"""One conversation in no provider's words: what every dialect parses into and renders from.

Bytes pass a relay untouched; only a call whose caller and target speak different dialects is lifted into these
structs. What they cannot hold is listed in the translation table, so nothing is lost without being named.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from llmgw.domain.usage import Usage

Json = dict[str, Any]


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FinishReason(StrEnum):
    """Why a model stopped, after OpenTelemetry's ``gen_ai.response.finish_reasons``."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    ERROR = "error"


class Text(Struct, frozen=True, tag="text"):
    """Plain text; ``cache`` is an Anthropic ``cache_control`` object, kept for targets that know it."""

    text: str
    cache: Json | None = None


class Image(Struct, frozen=True, tag="image"):
    """A picture by base64 ``data`` with its ``media_type``, or by ``url``."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""
    cache: Json | None = None


class Document(Struct, frozen=True, tag="document"):
    """A file by base64 ``data``, by ``url`` or as plain ``text``."""

    media_type: str = "application/pdf"
    data: str = ""
    url: str = ""
    text: str = ""
    name: str = ""
    context: str = ""
    citations: Json | None = None
    cache: Json | None = None


class Audio(Struct, frozen=True, tag="audio"):
    """Sound by base64 ``data`` in ``format`` (wav, mp3)."""

    data: str
    format: str


class Thinking(Struct, frozen=True, tag="thinking"):
    """Reasoning shown by the model; the ``signature`` must travel back unchanged on the next turn."""

    text: str
    signature: str = ""


class RedactedThinking(Struct, frozen=True, tag="redacted_thinking"):
    data: str


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """A call the model asks for; ``arguments`` is the JSON text exactly as it wrote it."""

    id: str
    name: str
    arguments: str
    cache: Json | None = None


class ToolResult(Struct, frozen=True, tag="tool_result"):
    """What a tool answered to the call ``call_id``."""

    call_id: str
    parts: tuple[Text | Image | Document, ...]
    is_error: bool = False
    name: str = ""
    cache: Json | None = None


class Refusal(Struct, frozen=True, tag="refusal"):
    text: str


class Opaque(Struct, frozen=True, tag="opaque"):
    """A block that only its own dialect can say, kept whole under that dialect's name."""

    dialect: str
    value: Json


Part = (
    Text | Image | Document | Audio | Thinking | RedactedThinking | ToolCall | ToolResult | Refusal | Opaque
)


class Message(Struct, frozen=True):
    """One turn. Tool results are parts of a ``tool`` turn; system turns may stand anywhere."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""


class Tool(Struct, frozen=True):
    """A function the model may call; ``opaque`` holds a server-side tool in its own dialect's words."""

    name: str
    description: str = ""
    schema: Json = field(default_factory=dict)
    strict: bool | None = None
    cache: Json | None = None
    opaque: Opaque | None = None


class ToolChoice(Struct, frozen=True):
    """``mode`` is auto, none, required or named; ``name`` goes with named."""

    mode: str
    name: str = ""


class ResponseFormat(Struct, frozen=True):
    """``kind`` is text, json_object or json_schema; the rest goes with json_schema."""

    kind: str
    name: str = ""
    schema: Json = field(default_factory=dict)
    strict: bool | None = None
    description: str = ""


class Reasoning(Struct, frozen=True):
    """How hard to think: ``enabled`` None means the model's default; ``budget`` is tokens, ``effort`` a word."""

    enabled: bool | None = None
    effort: str = ""
    budget: int | None = None
    display: str = ""


class ChatRequest(Struct, kw_only=True):
    """A call in neutral words. ``extra`` holds fields no struct here knows, by their name in the caller's dialect."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    user: str = ""
    service_tier: str = ""
    extra: Json = field(default_factory=dict)


class Choice(Struct, frozen=True):
    """One of the ``n`` answers; ``logprobs`` stays in OpenAI's shape."""

    index: int
    parts: tuple[Part, ...]
    finish_reason: FinishReason | None
    stop_sequence: str | None = None
    logprobs: Json | None = None


class ChatAnswer(Struct, frozen=True, kw_only=True):
    """A whole answer. ``created`` is Unix seconds, 0 when the upstream does not say."""

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None
    created: int = 0
    extra: Json = field(default_factory=dict)


class Started(Struct, frozen=True, tag="started"):
    """The first event of a stream; ``usage`` is what is already known (Anthropic tells the input here).

    ``extra`` is what is held beyond the neutral words.
    """

    id: str
    model: str
    usage: Usage | None = None
    created: int = 0
    extra: Json = field(default_factory=dict)


class Delta(Struct, frozen=True, tag="delta"):
    """More of one kind of content: ``kind`` is text, thinking, signature, redacted_thinking or refusal."""

    kind: str
    text: str
    choice: int = 0
    logprobs: Json | None = None


class ToolCallStarted(Struct, frozen=True, tag="tool_call_started"):
    """The model begins a call; ``slot`` counts the calls of this choice from 0."""

    slot: int
    id: str
    name: str
    choice: int = 0


class ToolCallDelta(Struct, frozen=True, tag="tool_call_delta"):
    """More of the JSON text of a call's arguments."""

    slot: int
    text: str
    choice: int = 0


class OpaqueBlock(Struct, frozen=True, tag="opaque_block"):
    """A whole block that only its own dialect can say (a server-side tool and its result)."""

    block: Opaque
    choice: int = 0


class Finished(Struct, frozen=True, tag="finished"):
    """One choice is complete."""

    reason: FinishReason
    stop_sequence: str | None = None
    choice: int = 0


class Metered(Struct, frozen=True, tag="metered"):
    """Usage as far as the upstream has told; a later one replaces an earlier one."""

    usage: Usage


class Failed(Struct, frozen=True, tag="failed"):
    """The upstream broke off with an error inside its stream; ``kind`` is its own error type."""

    message: str
    kind: str = ""
    status: int = 502


class Ended(Struct, frozen=True, tag="ended"):
    """The stream is over and whole; ``extra`` is what it held beyond the neutral words."""

    extra: Json = field(default_factory=dict)


Event = Started | Delta | ToolCallStarted | ToolCallDelta | OpaqueBlock | Finished | Metered | Failed | Ended
