"""Questions that the gateway puts to a model on a caller's account: requests of their own in the ledger."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from llmgw.domain.route import Route
from llmgw.errors import GatewayError
from llmgw.gates.dispatch import dispatch
from llmgw.gates.settle import close
from llmgw.gates.state import Call
from llmgw.providers.registry import caller_dialect

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from llmgw.gates.state import Gateway

log = logging.getLogger("llmgw.questions")


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    choices: list[_Choice]


async def question(
    gateway: Gateway, call: Call, surface: str, name: str, task: str, given: Any, patience: float
) -> str:
    """What the model ``name`` says to a task in a word or two; empty where it says nothing within ``patience`` seconds.

    ``given`` travels as JSON in the user's turn, so that no text in it can end its string and give orders.
    """
    parts: list[bytes] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        parts.append(message.get("body", b""))

    own = Call(gateway, surface, caller_dialect("openai_chat"), {"headers": []}, receive, send)
    own.key, own.tags = call.key, call.tags
    try:
        own.route = Route(name, gateway.router.route(name, None).targets[:1], surface)
        ollama = gateway.router.destination(own.route.targets[0]).dialect.name == "ollama"
        own.body = _body(name, task, given, ollama=ollama)
        own.peek = own.dialect.peek(own.body)
        async with asyncio.timeout(patience):
            await dispatch(gateway, own)
        return _words(b"".join(parts))
    except (GatewayError, TimeoutError) as error:
        log.warning("%s: %s does not answer (%s): %s", call.shown_id, name, surface, error or "too slow")
        return ""
    finally:
        close(gateway, own)


def _body(name: str, task: str, given: Any, *, ollama: bool) -> bytes:
    body: dict[str, Any] = {
        "model": name,
        "messages": [
            {"role": "system", "content": task},
            {"role": "user", "content": msgspec.json.encode(given).decode()},
        ],
        "max_tokens": 8,
        "temperature": 0,
    }
    if ollama:
        body["reasoning_effort"] = "none"  # or eight tokens go into thinking
    return msgspec.json.encode(body)


def _words(body: bytes) -> str:
    try:
        words = msgspec.json.decode(body, type=_Answer).choices[0].message.content or ""
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError):
        return ""
    return words.strip().strip("\"'`*.!").lower()


def both_ends(text: str, most: int) -> str:
    """A text, or half of ``most`` characters from its beginning and as many from its end."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
