"""The calls themselves as operations of the document; they are served on the hot path, before all others.

What they take is what the dialects read of them. Unknown fields are passed on to a target of the same dialect.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, defstruct
from msgspec.structs import fields

from llmgw.api.operations import Access, Operation
from llmgw.domain.route import Tier
from llmgw.providers.dialects.anthropic.parse_request import _Request as AnthropicRead
from llmgw.providers.dialects.openai_chat.parse_request import _Call as OpenAIRead


class GatewayFields(Struct, kw_only=True):
    """The gateway's own fields, which are never sent on."""

    force_tier: Tier | None = None
    context: dict[str, Any] | None = None
    idempotency_key: str | None = None


class CountedTokens(Struct):
    input_tokens: int


class Message(Struct, kw_only=True):
    """As Anthropic's Messages API answers; with `stream` its events instead."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: dict[str, Any]


class ChatCompletion(Struct, kw_only=True):
    """As OpenAI's chat completions answer; with `stream` chunks of it instead."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


def _call(name: str, read: type[Struct], doc: str, *needed: str) -> type[Struct]:
    """What a dialect reads of a call, and the gateway's own fields; those ``needed`` cannot be left out."""
    declared = [
        (field.name, field.type)
        if field.required or field.name in needed
        else (field.name, field.type, field.default)
        for field in (*fields(read), *fields(GatewayFields))
    ]
    return defstruct(name, declared, kw_only=True, namespace={"__doc__": doc})


OPENAI_CALL = _call("ChatCall", OpenAIRead, "OpenAI's chat completions call")
ANTHROPIC_CALL = _call("MessagesCall", AnthropicRead, "Anthropic's Messages call", "max_tokens")
COUNT_CALL = _call(
    "CountCall", AnthropicRead, "What `count_tokens` takes: a call, which needs no `max_tokens`"
)

PLACES = (
    (
        "/v1/chat/completions",
        "ChatCompletions",
        "Answer a chat in OpenAI's words",
        OPENAI_CALL,
        ChatCompletion,
    ),
    ("/chat/completions", "ChatCompletionsToo", "As /v1/chat/completions", OPENAI_CALL, ChatCompletion),
    ("/v1/messages", "Messages", "Answer a chat in Anthropic's words", ANTHROPIC_CALL, Message),
    ("/messages", "MessagesToo", "As /v1/messages", ANTHROPIC_CALL, Message),
    (
        "/v1/messages/count_tokens",
        "CountTokens",
        "Count the tokens of a call without making it",
        COUNT_CALL,
        CountedTokens,
    ),
)

OPERATIONS = tuple(
    Operation("POST", path, summary, Access.KEY, takes=call, answers=(reply,), name=name)
    for path, name, summary, call, reply in PLACES
)
