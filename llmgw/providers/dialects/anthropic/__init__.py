"""The Anthropic Messages dialect, for callers and for targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.providers.dialects.anthropic import answers, errors
from llmgw.providers.dialects.anthropic.parse_request import parse_request
from llmgw.providers.dialects.anthropic.parser import AnthropicStreamParser
from llmgw.providers.dialects.anthropic.peek import limit_output, peek, peek_count, relay_body
from llmgw.providers.dialects.anthropic.render_request import render_request
from llmgw.providers.dialects.anthropic.renderer import AnthropicStreamRenderer
from llmgw.providers.dialects.anthropic.tap import AnthropicTap
from llmgw.providers.dialects.glance import glance, parts

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


class Anthropic:
    """See CallerDialect and TargetDialect."""

    name = "anthropic"
    stream_type = "text/event-stream; charset=utf-8"

    def peek(self, body: bytes) -> Peek:
        return peek(body)

    def parse_request(self, body: bytes) -> ChatRequest:
        return parse_request(body)

    def glance(self, body: bytes, peek: Peek) -> Glance:
        return glance(body, peek.messages)

    def parts(self, peek: Peek) -> list[tuple[Raw, Part]]:
        return parts(peek.messages)

    def render_answer(self, answer: ChatAnswer, meta: dict[str, Any] | None) -> bytes:
        return answers.render_answer(answer, meta)

    def stream_renderer(self, request: ChatRequest) -> AnthropicStreamRenderer:
        return AnthropicStreamRenderer(request.model)

    def render_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.render_error(error, request_id)

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.render_stream_error(error, request_id)

    def attach_meta(self, body: bytes, meta: dict[str, Any]) -> bytes:
        return answers.attach_meta(body, meta)

    def stream_meta(self, meta: dict[str, Any]) -> bytes:
        return b": gateway_meta " + answers.encode(meta) + b"\n\n"

    def relay_body(self, body: bytes, peek: Peek, upstream: Upstream, model: str) -> bytes:
        return relay_body(body, peek, upstream, model)

    def limit_output(self, body: bytes, upstream: Upstream, model: str, most: int) -> bytes:  # noqa: ARG002
        return limit_output(body, most)

    def render_request(self, request: ChatRequest, upstream: Upstream, model: str) -> Rendered:
        return render_request(request, upstream, model)

    def parse_answer(self, body: bytes) -> ChatAnswer:
        return answers.parse_answer(body)

    def stream_parser(self) -> AnthropicStreamParser:
        return AnthropicStreamParser()

    def read(self, body: bytes) -> Reading:
        return answers.read(body)

    def tap(self, peek: Peek, upstream: Upstream) -> AnthropicTap:  # noqa: ARG002 (Anthropic always tells usage)
        return AnthropicTap()

    def read_error(self, status: int, body: bytes) -> tuple[str, str]:
        return errors.read_error(status, body)


__all__ = ["DIALECT", "Anthropic", "peek_count"]

DIALECT = Anthropic()
_caller: CallerDialect = DIALECT
_target: TargetDialect = DIALECT
