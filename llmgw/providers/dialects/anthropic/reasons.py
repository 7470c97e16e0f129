"""Why a model stopped, in Anthropic's words and in ours."""

from __future__ import annotations

from llmgw.domain.chat import FinishReason

READ = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "compaction": FinishReason.PAUSE,
    "refusal": FinishReason.REFUSAL,
}
WRITTEN = {
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.REFUSAL: "refusal",
    FinishReason.PAUSE: "pause_turn",
}


def read_reason(word: object) -> FinishReason | None:
    """Our reason of a ``stop_reason``; a word that is new to us is a stop."""
    return READ.get(word, FinishReason.STOP) if isinstance(word, str) and word else None


def write_reason(reason: FinishReason | None, stop_sequence: str | None, *, called: bool) -> str:
    """A ``stop_reason``. Some servers say stop although tools were called, and agents wait for ``tool_use``."""
    if called and reason in (None, FinishReason.STOP):
        return "tool_use"
    if stop_sequence is not None and reason is FinishReason.STOP:
        return "stop_sequence"
    return WRITTEN.get(reason, "end_turn") if reason else "end_turn"
