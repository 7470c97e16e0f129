"""A conversation as Anthropic wants it: leading instructions apart, turns alternating, tool results first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.domain.chat import ChatRequest, Image, Message, Opaque, Role, Thinking
from llmgw.errors import BadRequest
from llmgw.providers.dialects.anthropic.content import DIALECT, render_part

if TYPE_CHECKING:
    from llmgw.providers.dialects.anthropic.models import Abilities

Json = dict[str, Any]
Turn = tuple[str, list[Json]]


def render_turns(
    request: ChatRequest, able: Abilities, dropped: list[str]
) -> tuple[str | list[Json], list[Json]]:
    """``system`` and ``messages``. A call of instructions alone sends the last of them as the user's turn."""
    system: list[Json] = []
    turns: list[Turn] = []
    for message in request.messages:
        blocks = _blocks(message, dropped)
        if message.role is Role.SYSTEM and not turns:
            system += blocks
        else:
            _append(turns, _role(message), blocks)
    placed: list[Turn] = []
    for index, (role, blocks) in enumerate(turns):
        if role == "system" and not _may_stay(turns, index, able):
            system += blocks
        else:
            _append(placed, role, blocks)
    if not placed and system:
        placed.append(("user", [system.pop()]))
    if not placed:
        raise BadRequest("messages: nothing is said, and Anthropic refuses empty turns", param="messages")
    _trim_prefill(placed)
    return _plain(system), [{"role": role, "content": _plain(_ordered(blocks))} for role, blocks in placed]


def _blocks(message: Message, dropped: list[str]) -> list[Json]:
    dropped += ["messages.name"] if message.name else []
    blocks = []
    for part in message.parts:
        if isinstance(part, Thinking) and not part.signature:
            dropped.append("messages.reasoning_content")
        elif isinstance(part, Opaque) and part.dialect != DIALECT and message.role is Role.ASSISTANT:
            dropped += _aside(part.value)
        elif (block := render_part(part)) is not None:
            blocks.append(block)
        if isinstance(part, Image) and part.detail not in ("", "auto"):
            dropped.append("messages.content.image_url.detail")
    return blocks


def _aside(value: Json) -> list[str]:
    """Names of what another API's model said beside its answer. A call cannot be left out: its result would dangle."""
    if "tool_calls" in value:
        raise BadRequest(
            "messages.tool_calls: Anthropic knows calls of functions only", param="messages.tool_calls"
        )
    if "type" in value:
        return [f"messages.content.{value['type']}"]
    return [f"messages.{name}" for name in value]


def _role(message: Message) -> str:
    return "user" if message.role is Role.TOOL else message.role.value


def _append(turns: list[Turn], role: str, blocks: list[Json]) -> None:
    """Add a turn, or lengthen the last one of the same role; an empty one says nothing."""
    if not blocks:
        return
    if turns and turns[-1][0] == role:
        turns[-1][1].extend(blocks)
    else:
        turns.append((role, list(blocks)))


def _may_stay(turns: list[Turn], index: int, able: Abilities) -> bool:
    """Inside the conversation instructions stand behind the user's turn and before the model's, or nowhere."""
    before = index > 0 and turns[index - 1][0] == "user"
    after = index + 1 == len(turns) or turns[index + 1][0] == "assistant"
    return able.system_turns and before and after


def _ordered(blocks: list[Json]) -> list[Json]:
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _plain(blocks: list[Json]) -> str | list[Json]:
    """Text alone as a string, which every server of this dialect understands."""
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} else blocks


def _trim_prefill(turns: list[Turn]) -> None:
    """Anthropic refuses an unfinished answer that ends in white space."""
    if turns and turns[-1][0] == "assistant" and turns[-1][1][-1]["type"] == "text":
        last = turns[-1][1][-1]
        turns[-1][1][-1] = last | {"text": last["text"].rstrip()}
