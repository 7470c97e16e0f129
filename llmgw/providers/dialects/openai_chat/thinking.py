"""Reasoning on messages: the four shapes in which OpenAI-compatible APIs carry it, and the one that signatures survive.

``reasoning_content`` (DeepSeek, vLLM, Z.ai), ``reasoning`` (Groq, OpenRouter), ``reasoning_details`` (OpenRouter)
and ``thinking_blocks`` (LiteLLM), which alone holds Anthropic's blocks whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.domain.chat import Opaque, Part, RedactedThinking, Thinking

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Json = dict[str, Any]

DIALECT = "openai_chat"
FIELDS = frozenset({"reasoning", "reasoning_content", "reasoning_details", "thinking_blocks"})


def read_thinking(message: Json) -> list[Part]:
    """The reasoning in a message or delta: from the richest shape present, so that nothing is read twice."""
    for name, read in (("thinking_blocks", _block), ("reasoning_details", _detail)):
        told = message.get(name)
        parts = [part for each in told if (part := read(each)) is not None] if isinstance(told, list) else []
        if any(isinstance(part, Thinking) and part.text for part in parts):
            return parts
        if parts:  # encrypted reasoning or a signature, with the text beside it
            return [*_plain(message), *parts]
    return _plain(message)


def read_thinking_delta(delta: Json, *, told: bool) -> list[Part]:
    """The same of a stream's delta, where a block may repeat text that came before it (``told``) or beside it."""
    parts, plain = read_thinking(delta), _plain(delta)
    if "thinking_blocks" not in delta or not (told or plain):
        return parts
    closing = [Thinking("", part.signature) if isinstance(part, Thinking) else part for part in parts]
    return [*plain, *closing]


def write_blocks(parts: Iterable[Part]) -> Json:
    """What a caller gets: text under ``reasoning_content``, and whole blocks where one is signed or redacted."""
    blocks = [part for part in parts if isinstance(part, Thinking | RedactedThinking)]
    text = "".join(block.text for block in blocks if isinstance(block, Thinking))
    members: Json = {"reasoning_content": text} if text else {}
    if any(isinstance(block, RedactedThinking) or block.signature for block in blocks):
        members["thinking_blocks"] = [write_block(block) for block in blocks]
    return members


def write_block(block: Thinking | RedactedThinking) -> Json:
    if isinstance(block, RedactedThinking):
        return {"type": "redacted_thinking", "data": block.data}
    return {"type": "thinking", "thinking": block.text, "signature": block.signature}


def write_history(parts: Sequence[Part], field: str) -> Json:
    """Earlier reasoning for an upstream that takes it back under ``field``."""
    blocks = [part for part in parts if isinstance(part, Thinking | RedactedThinking)]
    if not field or not blocks:
        return {}
    if field == "reasoning_details":
        return {field: [_write_detail(block, index) for index, block in enumerate(blocks)]}
    text = "".join(block.text for block in blocks if isinstance(block, Thinking))
    return {field: text} if text else {}


def _plain(message: Json) -> list[Part]:
    for name in ("reasoning_content", "reasoning"):
        text = message.get(name)
        if isinstance(text, str) and text:
            return [Thinking(text)]
    return []


def _block(block: Any) -> Part | None:
    match block:
        case {"type": "thinking"}:
            return Thinking(_text(block.get("thinking")), _text(block.get("signature")))
        case {"type": "redacted_thinking", "data": str(data)}:
            return RedactedThinking(data)
    return None


def _detail(detail: Any) -> Part | None:
    match detail:
        case {"type": "reasoning.text"}:
            text, signature = _text(detail.get("text")), _text(detail.get("signature"))
            return Thinking(text, signature) if text or signature else None
        case {"type": "reasoning.summary", "summary": str(summary)}:
            return Thinking(summary)
        case {"type": "reasoning.encrypted", "data": str(data)}:
            if _text(detail.get("format")).startswith("anthropic"):
                return RedactedThinking(data)
            return Opaque(DIALECT, {"reasoning_details": [detail]})
    return None


def _write_detail(block: Thinking | RedactedThinking, index: int) -> Json:
    common = {"format": "anthropic-claude-v1", "index": index}
    if isinstance(block, RedactedThinking):
        return {"type": "reasoning.encrypted", "data": block.data, **common}
    if not block.signature:
        return {"type": "reasoning.text", "text": block.text, "index": index}
    return {"type": "reasoning.text", "text": block.text, "signature": block.signature, **common}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
