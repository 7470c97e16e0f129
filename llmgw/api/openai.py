"""``POST /v1/chat/completions`` (D-01, D-02): OpenAI's chat surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.gates.pipeline import run
from llmgw.gates.state import Call, Gateway
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from llmgw.api.asgi import Handler, Scope
    from llmgw.gates.state import Receive, Send


def hot_paths(gateway: Gateway) -> dict[tuple[str, str], Handler]:
    """The handlers of this surface by method and path."""
    dialect = caller_dialect("openai_chat")

    async def chat_completions(scope: Scope, receive: Receive, send: Send) -> None:
        await run(gateway, Call(gateway, "chat", dialect, scope, receive, send))

    return {
        ("POST", "/v1/chat/completions"): chat_completions,
        ("POST", "/chat/completions"): chat_completions,
    }
