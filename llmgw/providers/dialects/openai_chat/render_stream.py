"""Neutral events as the caller's stream of chunks, in the order that the OpenAI SDKs demand.

The role comes first, once per choice; a finish reason has a chunk of its own; usage has one without choices, only
when it was asked for; ``[DONE]`` ends what is whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmgw.domain.chat import (
    ChatRequest,
    Delta,
    Ended,
    Event,
    Failed,
    Finished,
    Metered,
    OpaqueBlock,
    RedactedThinking,
    Started,
    Thinking,
    ToolCallDelta,
    ToolCallStarted,
)
from llmgw.providers.dialects.openai_chat.finish import write_finish
from llmgw.providers.dialects.openai_chat.thinking import DIALECT, write_block
from llmgw.providers.dialects.openai_chat.usage import render_usage

if TYPE_CHECKING:
    from llmgw.domain.usage import Usage

Json = dict[str, Any]

_encode = msgspec.json.Encoder().encode
TOLD_EACH = ("service_tier", "system_fingerprint", "provider")
"""Members beyond the neutral words that each chunk repeats."""
_KINDS = {"text": "content", "refusal": "refusal", "thinking": "reasoning_content"}


class OpenAIStreamRenderer:
    """One stream to one caller; ``created`` is Unix seconds for an upstream that does not say."""

    def __init__(self, request: ChatRequest, created: int) -> None:
        self._usage_asked = request.include_usage
        self._usage: Usage | None = None
        self._head: Json = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": created,
            "model": request.model,
        }
        self._opened: set[int] = set()
        self._bare: set[tuple[int, int]] = set()  # calls that have had no arguments yet
        self._blocks: dict[int, int] = {}
        self._thought: dict[int, str] = {}

    def feed(self, event: Event) -> bytes:
        """Bytes for the caller; may be empty."""
        match event:
            case Delta():
                return self._delta(event)
            case ToolCallDelta(slot, text, choice):
                self._bare.discard((choice, slot))
                return self._say(choice, {"tool_calls": [{"index": slot, "function": {"arguments": text}}]})
            case ToolCallStarted(slot, call_id, name, choice):
                self._bare.add((choice, slot))
                call = {
                    "index": slot,
                    "id": call_id,
                    "type": "function",
                    "function": {"name": name, "arguments": ""},
                }
                return self._say(choice, {"tool_calls": [call]})
            case Started():
                self._start(event)
                return b""
            case Finished(reason, _, choice):
                return self._close(choice) + self._chunk(choice, {}, finish=write_finish(reason))
            case OpaqueBlock(block, choice):
                ours = block.dialect == DIALECT and "type" not in block.value
                return self._say(choice, block.value) if ours else b""
            case Metered(usage):
                self._usage = usage
                return b""
            case Failed(message, kind, status):
                error = {"message": message, "type": kind or "server_error", "param": None, "code": status}
                return _frame({"error": error})
            case Ended():
                return self._end()

    def _start(self, event: Started) -> None:
        self._head["id"] = event.id or self._head["id"]
        self._head["model"] = event.model or self._head["model"]
        self._head["created"] = event.created or self._head["created"]
        self._head |= {name: event.extra[name] for name in TOLD_EACH if name in event.extra}
        self._usage = event.usage

    def _delta(self, event: Delta) -> bytes:
        """More content. A signature closes a block of thinking, which then travels whole beside its text."""
        choice = event.choice
        if event.kind == "signature":
            return self._block(choice, Thinking(self._thought.pop(choice, ""), event.text))
        if event.kind == "redacted_thinking":
            return self._block(choice, RedactedThinking(event.text))
        if event.kind == "thinking":
            self._thought[choice] = self._thought.get(choice, "") + event.text
        return self._say(choice, {_KINDS[event.kind]: event.text}, event.logprobs)

    def _block(self, choice: int, block: Thinking | RedactedThinking) -> bytes:
        """A whole block; SDKs add the deltas of a list up by their index."""
        index = self._blocks.get(choice, 0)
        self._blocks[choice] = index + 1
        return self._say(choice, {"thinking_blocks": [{"index": index, **write_block(block)}]})

    def _say(self, choice: int, delta: Json, logprobs: Json | None = None) -> bytes:
        return self._open(choice) + self._chunk(choice, delta, logprobs=logprobs)

    def _open(self, choice: int) -> bytes:
        if choice in self._opened:
            return b""
        self._opened.add(choice)
        return self._chunk(choice, {"role": "assistant", "content": ""})

    def _close(self, choice: int) -> bytes:
        """What is missing before a choice ends: its role, and arguments that callers can parse."""
        bare = sorted(slot for number, slot in self._bare if number == choice)
        calls = [{"index": slot, "function": {"arguments": "{}"}} for slot in bare]
        return self._say(choice, {"tool_calls": calls}) if calls else self._open(choice)

    def _chunk(
        self, choice: int, delta: Json, *, finish: str | None = None, logprobs: Json | None = None
    ) -> bytes:
        told = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return _frame({**self._head, "choices": [told], **({"usage": None} if self._usage_asked else {})})

    def _end(self) -> bytes:
        usage = b""
        if self._usage_asked and self._usage is not None:
            usage = _frame({**self._head, "choices": [], "usage": render_usage(self._usage)})
        return usage + b"data: [DONE]\n\n"


def _frame(wire: Json) -> bytes:
    return b"data: " + _encode(wire) + b"\n\n"
