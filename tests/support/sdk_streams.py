"""What the official SDKs put together from a stream's bytes or a reply's: the judge of our order of events."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

if TYPE_CHECKING:
    from anthropic.types import Message
    from openai.types.chat import ChatCompletion

CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


class _Wire(httpx2.BaseTransport):
    """Answers every call with the reply that was last set."""

    reply = httpx2.Response(500)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.reply

    def carries(self, content: bytes, kind: str) -> None:
        self.reply = httpx2.Response(200, content=content, headers={"content-type": kind})


WIRE = _Wire()


@cache
def _claude() -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=WIRE))


@cache
def _gpt() -> openai.OpenAI:
    return openai.OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=WIRE))


def anthropic_stream(content: bytes) -> Message:
    """The message that the anthropic SDK accumulates."""
    WIRE.carries(content, "text/event-stream")
    with _claude().messages.stream(max_tokens=9, **CALL) as stream:
        return stream.get_final_message()


def anthropic_message(content: bytes) -> Message:
    """The message that the anthropic SDK reads from a plain reply."""
    WIRE.carries(content, "application/json")
    return _claude().messages.create(max_tokens=9, **CALL)


def openai_stream(content: bytes) -> ChatCompletion:
    """The completion that the openai SDK accumulates, usage included."""
    WIRE.carries(content, "text/event-stream")
    state = ChatCompletionStreamState()
    for chunk in _gpt().chat.completions.create(stream=True, **CALL):
        for choice in chunk.choices:
            # OpenRouter's annotations lack the index without which the SDK raises, on the recording itself too.
            (choice.delta.model_extra or {}).pop("annotations", None)
        state.handle_chunk(chunk)
    return state.current_completion_snapshot


def openai_completion(content: bytes) -> ChatCompletion:
    """The completion that the openai SDK reads from a plain reply."""
    WIRE.carries(content, "application/json")
    return _gpt().chat.completions.create(**CALL)
