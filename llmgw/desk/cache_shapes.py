"""What operators see of remembered answers: figures, entries, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from llmgw.desk.meanings import Semantic
from llmgw.domain.chat import Refusal, Text, Thinking, ToolCall

if TYPE_CHECKING:
    from llmgw.domain.cache import Entry
    from llmgw.domain.chat import ChatAnswer

SHOWN = 60
"""Characters of a prompt's beginning."""


class Sources(Struct, kw_only=True):
    """Requests by how the caches answered them."""

    exact: int = 0
    semantic: int = 0
    joined: int = 0
    miss: int = 0
    bypass: int = 0


class Traffic(Struct, kw_only=True):
    """Where answers came from, and what that saved; ``hit_rate`` is of those requests that the caches were asked for."""

    requests: Sources
    hit_rate: float | None = None
    saved_nanousd: int = 0
    saved_us: int = 0


class TenantTraffic(Traffic, kw_only=True):
    """The same of one tenant."""

    tenant: str


class Holdings(Struct, frozen=True, kw_only=True):
    """What the file holds now; ``file_bytes`` is all of it, ``cap_bytes`` what it may take."""

    entries: int
    pinned: int
    expired: int
    bytes: int
    file_bytes: int
    cap_bytes: int
    oldest_at: int | None


class CacheStats(Traffic, kw_only=True):
    """What the caches did since then; ``evicted``, ``expired`` and ``damaged`` count what went."""

    since_at: int
    held: Holdings
    evicted: int
    expired: int
    damaged: int
    semantic: Semantic
    tenants: tuple[TenantTraffic, ...]


class EntryView(Struct, frozen=True, kw_only=True):
    """A remembered answer without its words; a pinned one does not expire."""

    id: int
    created_at: int
    expires_at: int | None
    tenant: str
    key: str
    tags: tuple[str, ...]
    model: str
    target: str
    tier: str
    kind: str
    hits: int
    last_hit_at: int | None
    pinned: bool
    bytes: int
    cost_nanousd: int | None
    saved_nanousd: int
    latency_us: int
    input_tokens: int
    output_tokens: int
    fingerprint: str
    beginning: str
    prompt: str


class AnswerView(EntryView, frozen=True, kw_only=True):
    """A remembered answer with what it says."""

    answer: str


class Entries(Struct, frozen=True):
    """``total`` is how many match."""

    entries: tuple[EntryView, ...]
    total: int


class Pinned(Struct, frozen=True):
    """The entries as they are now."""

    entries: tuple[EntryView, ...]


class Cleared(Struct, frozen=True, kw_only=True):
    """What went, or would go; ``bytes`` are stored ones."""

    removed: int
    would_remove: int
    bytes: int
    dry_run: bool


class Verified(Struct, frozen=True, kw_only=True):
    """What was checked; ``damaged`` are ids of entries that were dropped."""

    ok: bool
    checked: int
    damaged: tuple[int, ...]


def view(entry: Entry) -> EntryView:
    """An entry as operators see it."""
    return EntryView(**fields(entry))


def tell(answer: ChatAnswer) -> str:
    """An answer in words; what is no text by its kind."""
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


def fields(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "created_at": entry.created_at,
        "expires_at": None if entry.pinned else entry.expires_at,
        "tenant": entry.tenant,
        "key": entry.key_name,
        "tags": tuple(entry.tags.split(",")) if entry.tags else (),
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
