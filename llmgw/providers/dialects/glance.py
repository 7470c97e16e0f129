"""What a router reads of a conversation: the question, what it opened with, and each message's part in it.

Messages of both caller dialects are lists of a role and a content, text or blocks; only the instructions lie elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from llmgw.providers.base import Glance, Part

REMINDER = "<system-reminder>"
"""How Claude Code marks what it adds to the user's words."""
BILLING = "x-anthropic-billing-header"
"""A block of Claude Code's instructions that differs from call to call."""

_INSTRUCTING = frozenset({"system", "developer"})


class _Message(Struct):
    role: str = ""
    content: Any = None


class _Instructions(Struct):
    system: Any = None


_messages = Decoder(list[Raw]).decode
_message = Decoder(_Message).decode
_instructions = Decoder(_Instructions).decode


def glance(body: bytes, messages: Raw | list[Raw]) -> Glance:
    """Read a conversation as far as a router needs it; what cannot be understood is passed over, others refuse it."""
    raws = _split(messages)
    last = first = ""
    turns = 0
    opening = []
    for raw in raws:
        message = _read(raw)
        if message.role in _INSTRUCTING:
            opening.append(_text(message.content))
        elif message.role == "user" and (said := _text(message.content)):
            first = first or said
            break
    for raw in reversed(raws):
        message = _read(raw)
        if message.role != "user":
            turns += message.role not in _INSTRUCTING
        elif said := _text(message.content):
            turns += bool(last)
            last = last or said
        if last and turns:
            break
    with suppress(DecodeError, RecursionError):
        opening.append(_text(_instructions(body).system))
    instructions = "\n".join(filter(None, opening))
    return Glance(last=last, first=first, instructions=instructions, history=turns > 0)


def parts(messages: Raw | list[Raw]) -> list[tuple[Raw, Part]]:
    """Each message in its own bytes, with the part it plays."""
    found = []
    for raw in _split(messages):
        message = _read(raw)
        brings = message.role in {"tool", "function"} or _brings(message.content)
        found.append(
            (
                raw,
                Part(
                    instructs=message.role in _INSTRUCTING,
                    speaks=message.role == "user" and bool(_text(message.content) or not brings),
                    brings=brings,
                ),
            )
        )
    return found


def _split(messages: Raw | list[Raw]) -> list[Raw]:
    return messages if isinstance(messages, list) else _messages(messages)


def _read(raw: Raw) -> _Message:
    try:
        return _message(raw)
    except (DecodeError, RecursionError):
        return _Message()


def _text(content: Any) -> str:
    """The words of a content; what a program added to them is left out."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    words = (block.get("text") for block in content if isinstance(block, dict))
    return "\n".join(
        each
        for each in words
        if isinstance(each, str) and each and not each.lstrip().startswith((REMINDER, BILLING))
    )


def _brings(content: Any) -> bool:
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") == "tool_result" for block in content
    )
