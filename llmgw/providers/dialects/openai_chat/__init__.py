"""The OpenAI Chat Completions dialect, for callers and for the many upstreams that speak it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.domain.clock import SYSTEM_CLOCK, Clock
from llmgw.providers.dialects.glance import glance, parts
from llmgw.providers.dialects.openai_chat import answers, errors, reading, relay
from llmgw.providers.dialects.openai_chat.parse_request import parse_request
from llmgw.providers.dialects.openai_chat.parse_stream import OpenAIStreamParser
from llmgw.providers.dialects.openai_chat.peek import peek
from llmgw.providers.dialects.openai_chat.render_request import render_request
from llmgw.providers.dialects.openai_chat.render_stream import OpenAIStreamRenderer
from llmgw.providers.dialects.openai_chat.tap import StreamTap

if TYPE_CHECKING:
    from msgspec import Raw

    from llmgw.domain.chat import ChatAnswer, ChatRequest
    from llmgw.errors import GatewayError
    from llmgw.providers.base import (
        CallerDialect,
        Glance,
        Part,
        Peek,
        Reading,
        Rendered,
        TargetDialect,
        Upstream,
    )


class OpenAIChat:
    """See CallerDialect and TargetDialect; ``clock`` dates answers of upstreams that do not."""

    name = "openai_chat"
    stream_type = "text/event-stream; charset=utf-8"

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock

    def peek(self, body: bytes) -> Peek:
        return peek(body)

    def parse_request(self, body: bytes) -> ChatRequest:
        return parse_request(body)

    def glance(self, body: bytes, peek: Peek) -> Glance:
        return glance(body, peek.messages)

    def parts(self, peek: Peek) -> list[tuple[Raw, Part]]:
        return parts(peek.messages)

    def render_answer(self, answer: ChatAnswer, meta: dict[str, Any] | None) -> bytes:
        return answers.render_answer(answer, meta, self._now())

    def stream_renderer(self, request: ChatRequest) -> OpenAIStreamRenderer:
        return OpenAIStreamRenderer(request, self._now())

    def render_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.render_error(error, request_id)

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.render_stream_error(error, request_id)

    def attach_meta(self, body: bytes, meta: dict[str, Any]) -> bytes:
        return relay.attach_meta(body, meta)

    def stream_meta(self, meta: dict[str, Any]) -> bytes:
        return relay.stream_meta(meta)

    def relay_body(self, body: bytes, peek: Peek, upstream: Upstream, model: str) -> bytes:
        return relay.relay_body(body, peek, upstream, model)

    def limit_output(self, body: bytes, upstream: Upstream, model: str, most: int) -> bytes:
        return relay.limit_output(body, upstream, model, most)

    def render_request(self, request: ChatRequest, upstream: Upstream, model: str) -> Rendered:
        return render_request(request, upstream, model)

    def parse_answer(self, body: bytes) -> ChatAnswer:
        return answers.parse_answer(body)

    def stream_parser(self) -> OpenAIStreamParser:
        return OpenAIStreamParser()

    def read(self, body: bytes) -> Reading:
        return reading.read(body)

    def tap(self, peek: Peek, upstream: Upstream) -> StreamTap:
        return StreamTap(hide_usage=relay.asks_usage(peek, upstream))

    def read_error(self, status: int, body: bytes) -> tuple[str, str]:
        return errors.read_error(status, body)

    def _now(self) -> int:
        return self._clock.now() // 1_000_000_000


DIALECT = OpenAIChat()
_caller: CallerDialect = DIALECT
_target: TargetDialect = DIALECT
