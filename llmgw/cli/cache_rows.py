"""Remembered answers as commands show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.cli.output import Column

if TYPE_CHECKING:
    from llmgw.domain.cache import Entry
    from llmgw.domain.chat import ChatAnswer

SHOWN = 60
"""Characters of a prompt in a table."""

COLUMNS = [
    Column("id", "ID"),
    Column("created_at", "AGE"),
    Column("expires_at", "EXPIRES", wide=True),
    Column("key", wide=True),
    Column("model"),
    Column("hits"),
    Column("saved_nanousd"),
    Column("pinned", wide=True),
    Column("beginning", "PROMPT"),
]


def describe(entry: Entry) -> dict[str, Any]:
    """What commands show of an entry."""
    return {
        "id": entry.id,
        "created_at": entry.created_at,
        "expires_at": None if entry.pinned else entry.expires_at,
        "tenant": entry.tenant,
        "key": entry.key_name,
        "tags": entry.tags.split(",") if entry.tags else [],
        "model": entry.model_asked,
        "target": f"{entry.provider}/{entry.model}",
        "tier": entry.tier,
        "kind": entry.kind,
        "hits": entry.hits,
        "last_hit_at": entry.last_hit_at,
        "pinned": entry.pinned,
        "bytes": entry.size,
        "cost_nanousd": entry.cost,
        "saved_nanousd": entry.saved,
        "latency_us": entry.latency_us,
        "input_tokens": entry.usage.input_tokens,
        "output_tokens": entry.usage.output_tokens,
        "fingerprint": entry.fingerprint.hex(),
        "beginning": shorten(entry.prompt),
        "prompt": entry.prompt,
    }


def tell(answer: ChatAnswer) -> str:
    """An answer in words; what is no text by its kind."""
    from llmgw.domain.chat import Refusal, Text, Thinking, ToolCall

    lines = []
    for part in answer.choices[0].parts if answer.choices else ():
        match part:
            case Text() | Refusal():
                lines.append(part.text)
            case Thinking():
                lines.append(f"[thinking] {part.text}")
            case ToolCall():
                lines.append(f"[call] {part.name}({part.arguments})")
            case _:
                lines.append(f"[{type(part).__name__}]")
    return "\n".join(lines)


def shorten(text: str) -> str:
    """A prompt in one line of a table."""
    words = " ".join(text.split())
    return words if len(words) <= SHOWN else words[: SHOWN - 1] + "\N{HORIZONTAL ELLIPSIS}"


def size(count: int) -> str:
    """Bytes for people."""
    for limit, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count} B"
