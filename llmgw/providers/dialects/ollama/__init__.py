"""Ollama's native ``/api/chat``: unlike its OpenAI route it heeds ``num_ctx`` and ``think``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.providers.dialects.ollama import answers
from llmgw.providers.dialects.ollama.render_request import render_request
from llmgw.providers.dialects.ollama.streams import Listener, Parser
from llmgw.providers.dialects.ollama.window import Windows

if TYPE_CHECKING:
    from llmgw.domain.chat import ChatAnswer, ChatRequest
    from llmgw.providers.base import Peek, Reading, Rendered, Upstream


class OllamaDialect:
    """The target side; it remembers how large a context each model lately needed."""

    name = "ollama"

    def __init__(self) -> None:
        self._windows = Windows()

    def render_request(self, request: ChatRequest, upstream: Upstream, model: str) -> Rendered:
        return render_request(request, upstream, model, self._windows)

    def parse_answer(self, body: bytes) -> ChatAnswer:
        return answers.parse_answer(body)

    def stream_parser(self) -> Parser:
        return Parser()

    def read(self, body: bytes) -> Reading:
        return answers.read(body)

    def tap(self, _peek: Peek, _upstream: Upstream) -> Listener:
        return Listener()

    def read_error(self, _status: int, body: bytes) -> tuple[str, str]:
        return answers.read_error(body)


DIALECT = OllamaDialect()
