"""Fakes that act: they call a tool when a program offers it, once, and answer in words when they have its result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from support.fake_anthropic import FakeAnthropic
from support.fake_openai import FakeOpenAI

if TYPE_CHECKING:
    from support.fake_server import Behaviour, Reply, Request


class _Acting:
    """``act`` is the tool to call with its arguments, None for words alone."""

    act: tuple[str, dict[str, Any]] | None = None

    def chat(self, request: Request, how: Behaviour) -> Reply:
        call = request.json
        offered = {tool.get("function", tool).get("name") for tool in call.get("tools") or ()}
        answered = any(_is_result(message) for message in call["messages"])
        if self.act and self.act[0] in offered and not answered:
            how = replace(how, tool_calls=(self.act,), text="")
        return super().chat(request, how)  # type: ignore[misc, no-any-return]


def _is_result(message: dict[str, Any]) -> bool:
    content = message["content"]
    parts = content if isinstance(content, list) else ()
    return message["role"] == "tool" or any(part.get("type") == "tool_result" for part in parts)


class ActingOpenAI(_Acting, FakeOpenAI):
    """An OpenAI that uses tools."""


class ActingAnthropic(_Acting, FakeAnthropic):
    """An Anthropic that uses tools."""
