"""How hard to think, in the words of the model's generation: a token budget up to Claude 4.5, an effort later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.domain.chat import ChatRequest, Part, Reasoning, RedactedThinking, Role, Thinking, ToolCall

if TYPE_CHECKING:
    from llmgw.providers.dialects.anthropic.models import Abilities

Json = dict[str, Any]

FIELD = "reasoning_effort"
BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_000, "max": 32_000}
SMALLEST = 1_024


def choose_thinking(request: ChatRequest, able: Abilities, body: Json, dropped: list[str]) -> Json:
    """The ``thinking`` and ``output_config`` of a body that already holds max_tokens and tool_choice."""
    wanted = request.reasoning
    if wanted is None:
        return {}
    on = wanted.enabled if wanted.enabled is not None else wanted.effort not in ("", "none")
    if not on:
        return _off(able, dropped)
    if able.thinking == "adaptive":
        return _adaptive(wanted, able, dropped)
    chosen = _budget(request, wanted, body) if able.thinking == "budget" else {}
    if not chosen:
        dropped.append(FIELD)
    return chosen


def _off(able: Abilities, dropped: list[str]) -> Json:
    if able.off == "disabled":
        return {"thinking": {"type": "disabled"}}
    if able.off == "never":
        dropped.append(FIELD)
        return {"output_config": {"effort": "low"}}
    return {}


def _adaptive(wanted: Reasoning, able: Abilities, dropped: list[str]) -> Json:
    word = wanted.effort or _effort_of(wanted.budget)
    word = {"minimal": "low", "xhigh": "xhigh" if "xhigh" in able.efforts else "high"}.get(word, word)
    thinking: Json = {"type": "adaptive"}
    thinking |= {"display": wanted.display} if wanted.display else {}
    if word and word not in able.efforts:
        dropped.append(FIELD)
        word = ""
    return {"thinking": thinking} | ({"output_config": {"effort": word}} if word else {})


def _effort_of(budget: int | None) -> str:
    if budget is None:
        return ""
    return "low" if budget <= 2_048 else "medium" if budget <= 8_192 else "high"


def _budget(request: ChatRequest, wanted: Reasoning, body: Json) -> Json:
    """The budget asked for, below max_tokens; one made from an effort leaves half of max_tokens to the answer.

    Nothing where that is too little to think, or where Anthropic refuses thinking: with a tool that is forced, and
    behind a tool's result whose call shows no signed thinking.
    """
    limit = body["max_tokens"]
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    if limit <= SMALLEST or forced or _calls_unsigned(request):
        return {}
    if wanted.budget is not None:
        tokens = min(wanted.budget, limit - 1)
    else:
        tokens = min(BUDGETS.get(wanted.effort, BUDGETS["medium"]), limit // 2)
    thinking: Json = {"type": "enabled", "budget_tokens": max(SMALLEST, tokens)}
    thinking |= {"display": wanted.display} if wanted.display else {}
    return {"thinking": thinking}


def _calls_unsigned(request: ChatRequest) -> bool:
    """Whether the turn under way began with a call but without signed thinking."""
    for message in reversed(request.messages):
        if message.role is Role.USER:
            break
        if message.role is Role.ASSISTANT:
            called = any(isinstance(part, ToolCall) for part in message.parts)
            return called and not any(map(_signed, message.parts))
    return False


def _signed(part: Part) -> bool:
    return isinstance(part, RedactedThinking) or (isinstance(part, Thinking) and bool(part.signature))
