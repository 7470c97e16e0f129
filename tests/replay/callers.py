"""The official SDKs as callers, and what they put together from the gateway's replies."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anthropic
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState
from replay.reading import Answer, Tokens, arguments, neutral

if TYPE_CHECKING:
    from anthropic.types import Message
    from openai.types.chat import ChatCompletion
    from replay.bench import Bench

ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
FIRST = ("model", "messages", "max_tokens", "stream")


@dataclass
class Heard:
    """An answer, or the name of the exception that the SDK raised instead."""

    answer: Answer = field(default_factory=Answer)
    error: str = ""
    message: str = ""


def error_name(caller: str, status: int | None) -> str:
    """The exception that this caller's SDK raises for a status; None is an error inside a stream."""
    if status is None:
        return "APIError" if caller == "openai_chat" else "APIStatusError"
    if caller == "anthropic" and status in {413, 529}:
        return {413: "RequestTooLargeError", 529: "OverloadedError"}[status]
    return ERRORS.get(status, "InternalServerError" if status >= 500 else "APIStatusError")


def ask_openai(bench: Bench, body: dict[str, Any], *, stream: bool) -> Heard:
    """Ask as a program that uses the openai SDK does."""
    rest = {name: value for name, value in body.items() if name not in FIRST}
    call: dict[str, Any] = {
        "model": body["model"],
        "messages": body["messages"],
        "max_tokens": body.get("max_tokens"),
    }
    try:
        if not stream:
            return Heard(_of_completion(bench.openai.chat.completions.create(**call, extra_body=rest)))
        rest["stream_options"] = {"include_usage": True}
        state = ChatCompletionStreamState()
        for chunk in bench.openai.chat.completions.create(**call, stream=True, extra_body=rest):
            state.handle_chunk(chunk)
        return Heard(_of_completion(state.current_completion_snapshot))
    except openai.APIError as error:
        return Heard(error=type(error).__name__, message=error.message)


def ask_anthropic(bench: Bench, body: dict[str, Any], *, stream: bool) -> Heard:
    """Ask as a program that uses the anthropic SDK does."""
    rest = {name: value for name, value in body.items() if name not in FIRST}
    call: dict[str, Any] = {name: body[name] for name in ("model", "messages", "max_tokens")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some recorded models have been retired since
        try:
            if not stream:
                return Heard(_of_message(bench.anthropic.messages.create(**call, extra_body=rest)))
            with bench.anthropic.messages.stream(**call, extra_body=rest) as events:
                return Heard(_of_message(events.get_final_message()))
        except anthropic.APIError as error:
            return Heard(error=type(error).__name__, message=error.message)


def _of_completion(said: ChatCompletion) -> Answer:
    choice = said.choices[0]
    answer = Answer(text=(choice.message.content or "") + (choice.message.refusal or ""))
    answer.thinking = (choice.message.model_extra or {}).get("reasoning_content") or ""
    for call in choice.message.tool_calls or ():
        answer.calls.append((call.function.name, arguments(call.function.arguments)))
    answer.finish = neutral(choice.finish_reason)
    if (usage := said.usage) is not None:
        details = usage.prompt_tokens_details
        answer.tokens = Tokens(
            usage.prompt_tokens,
            usage.completion_tokens,
            details.cached_tokens or 0,
            getattr(details, "cache_write_tokens", 0),
            usage.completion_tokens_details.reasoning_tokens or 0,
        )
    return answer


def _of_message(said: Message) -> Answer:
    answer = Answer(finish=neutral(said.stop_reason))
    for block in said.content:
        if block.type == "text":
            answer.text += block.text
        elif block.type == "thinking":
            answer.thinking += block.thinking
        elif block.type == "tool_use":
            answer.calls.append((block.name, block.input))
    usage = said.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    details = usage.output_tokens_details
    answer.tokens = Tokens(
        usage.input_tokens + read + written,
        usage.output_tokens,
        read,
        written,
        (details.thinking_tokens or 0) if details else 0,
    )
    return answer
