"""The words of the caches: a remembered answer, what selects answers, and what a caller asks of the caches."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from llmgw.domain.chat import ChatAnswer
from llmgw.domain.clock import Nanoseconds
from llmgw.domain.money import NanoUSD
from llmgw.domain.usage import Usage

PROMPT_LENGTH = 2000
"""How many characters of the last user turn an entry keeps for people and for the semantic cache."""


class Entry(Struct, frozen=True, kw_only=True):
    """A remembered answer without its words.

    ``fingerprint`` is 32 bytes over everything that can change the answer, ``context`` 32 bytes over all of that
    but the wording of the last user turn. ``tags`` is canonical: sorted, comma separated. ``kind`` says how long it
    lives: ``usual``, ``deterministic`` or ``dated``. ``cost`` is what the original call cost (None: unknown),
    ``saved`` what its hits have saved so far, ``latency_us`` how long the original call took. ``size`` is stored
    bytes. ``id`` is 0 before it is stored.
    """

    id: int = 0
    fingerprint: bytes
    context: bytes
    tenant: str
    key_id: int
    key_name: str
    tags: str
    model_asked: str
    provider: str
    model: str
    tier: str
    kind: str
    prompt: str
    created_at: Nanoseconds
    expires_at: Nanoseconds
    size: int = 0
    hits: int = 0
    last_hit_at: Nanoseconds | None = None
    pinned: bool = False
    cost: NanoUSD | None = None
    saved: NanoUSD = 0
    latency_us: int = 0
    usage: Usage = Usage()


class Wire(Struct, frozen=True):
    """The very bytes that the first caller got: a caller of the same dialect and form gets them again."""

    dialect: str
    stream: bool
    include_usage: bool
    body: bytes


class Stored(Struct, frozen=True):
    """An entry with its answer in neutral words, and the bytes of it where they passed through untranslated."""

    entry: Entry
    answer: ChatAnswer
    wire: Wire | None = None


class Order(StrEnum):
    """What comes first in a list of answers."""

    NEWEST = "newest"
    OLDEST = "oldest"
    USED = "used"
    HITS = "hits"
    SAVED = "saved"
    SIZE = "size"


class Selector(Struct, frozen=True, kw_only=True):
    """Which entries are meant: all conditions that are given hold. Without any, every entry is.

    ``model`` is a glob pattern over the model asked for, the model that answered and ``provider/model``;
    ``older_than`` and ``newer_than`` are spans in nanoseconds; ``text`` stands somewhere in the prompt, in any case of
    its letters; ``unused`` means never hit. ``files`` are paths, at least one of which the prompt names, or the entry
    by its tag ``file:PATH``, which may be a longer path to the same.
    """

    tenant: str | None = None
    key: str | None = None
    tag: str | None = None
    model: str | None = None
    older_than: Nanoseconds | None = None
    newer_than: Nanoseconds | None = None
    text: str | None = None
    ids: tuple[int, ...] | None = None
    kind: str | None = None
    unused: bool = False
    files: tuple[str, ...] | None = None


class Holding(Struct, frozen=True, kw_only=True):
    """What the cache holds of one tenant and what it has saved; ``bytes`` are stored bytes, spans microseconds."""

    tenant: str
    entries: int
    pinned: int
    expired: int
    bytes: int
    hits: int
    saved: NanoUSD
    saved_us: int


class Check(Struct, frozen=True):
    """How many entries were checked, and the ids of the damaged ones, which are dropped."""

    checked: int
    damaged: tuple[int, ...]


class Replay(Struct, frozen=True, kw_only=True):
    """An answer kept under an idempotency key, byte for byte as it was sent; ``body_hash`` is of the request."""

    scope: bytes
    body_hash: bytes
    status: int
    content_type: str
    body: bytes
    created_at: Nanoseconds
    expires_at: Nanoseconds


class CacheControl(Struct, frozen=True):
    """What a caller asks of the caches: may they answer, must they, may they remember, how old may it be.

    ``max_age`` is nanoseconds; None: as old as the caches let it become.
    """

    read: bool = True
    write: bool = True
    only: bool = False
    max_age: Nanoseconds | None = None


class Sighting(Struct, frozen=True, kw_only=True):
    """One judgement of the semantic cache: a prompt, the remembered one most like it, and what became of it.

    ``entry`` is the remembered answer's, ``other`` the wording that it answers; ``outcome`` is hit, would_hit, or
    why it was none. ``right`` tells whether a fresh answer agreed; None where none was compared.
    """

    at: Nanoseconds
    tenant: str
    prompt: str
    entry: int
    other: str
    cosine: float
    score: float
    outcome: str
    right: bool | None = None
