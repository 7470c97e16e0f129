"""What the cache gates share: the store, the thread that writes, answers at hand in memory, and calls under way."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from llmgw.domain.cache import PROMPT_LENGTH
from llmgw.domain.clock import Nanoseconds
from llmgw.domain.money import NanoUSD
from llmgw.domain.route import Target
from llmgw.errors import GatewayError
from llmgw.rules import caching
from llmgw.rules.fingerprint import Asked, Unclear, fingerprint, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmgw.domain.cache import Replay, Stored
    from llmgw.gates.idempotency import Twin
    from llmgw.gates.joining import Flight
    from llmgw.gates.semantics import Semantics
    from llmgw.gates.state import Call, Gateway
    from llmgw.providers.base import CallerDialect, Peek
    from llmgw.rules.caching import Rules
    from llmgw.storage.answers import AnswerStore
    from llmgw.storage.keeper import Keeper
    from llmgw.storage.stamp import Stamp

log = logging.getLogger("llmgw.cache")

REMEMBERED = 8 << 20
"""Bytes of what is known of bodies that is kept; past that the memory starts again."""

OVERHEAD = 640
"""Bytes that a reply at hand takes besides its own, and so does what is known of a body; measured, and a little more."""

CALLERS = ("openai_chat", "anthropic")
FORMS = tuple(bytes([number]) for number in range(3 * len(CALLERS)))
"""Dialects and forms of replies: plain, streamed, and streamed with its usage."""

FREED = 32
"""Replies that are let go of with each new one, of those that were all cleared at once."""

SMALL_BODY = 4096
MOST_PEEKS = 1024
"""Bodies, and how long ones, of which is kept what the gates need to know; past that the memory starts again."""
UNHEARD = (None, None)

LARGE_BODY = 96 << 10
"""Bytes of a request from which on reading it would hold the event loop up."""

LARGEST_BODY = 4 << 20
"""Bytes of a request beyond which reading it costs more than a hit may save."""

APART = (b"anthropic-beta", b"anthropic-version", b"openai-beta")
"""Headers that travel on to a target and may change what it answers."""

Memo = tuple[object, ...]
T = TypeVar("T")


class Known(Struct, frozen=True, gc=False):
    """What is known of a request: how the caches call it, why they pass it by (empty: they do not), its kind.

    ``form`` is the dialect and form that its answer is to have, ``file`` the path of the file it is about, where its
    ``context`` names one.
    """

    asked: Asked
    passes_by: str
    kind: str
    form: bytes = b""
    file: str = ""

    @property
    def size(self) -> int:
        """Bytes of memory that this takes, about."""
        return OVERHEAD + 2 * len(self.asked.prompt)


UNREADABLE = Known(Asked(b"", b"", "", False), "unclear", "")


class Origin(Struct, frozen=True):
    """Where answers came from, as each reply and each row repeats it."""

    target: Target
    tried: dict[str, Any]
    headers: tuple[tuple[bytes, bytes], ...]


class Held(Struct, frozen=True, gc=False):
    """A reply at hand in one dialect and form, with places for an id and a time; good ``until`` then.

    There may be very many of them: the collector need not look at any.
    """

    entry: int
    origin: Origin
    reply: bytes
    created_at: Nanoseconds
    until: Nanoseconds
    cost: NanoUSD
    premium_cost: NanoUSD | None

    @property
    def size(self) -> int:
        """Bytes of memory that this takes, about."""
        return OVERHEAD + len(self.reply)


class Memory:
    """Replies at hand by fingerprint and form, the least recently used of which go when there are more bytes than allowed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._held: OrderedDict[bytes, Held] = OrderedDict()
        self._gone: list[OrderedDict[bytes, Held]] = []

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return self._size

    def get(self, name: bytes) -> Held | None:
        held = self._held.get(name)
        if held is not None:
            self._held.move_to_end(name)
        return held

    def put(self, name: bytes, held: Held) -> None:
        if self._gone:
            self._free()
        self.drop(name)
        size = held.size
        if size <= self._most:
            self._held[name] = held
            self._size += size
        while self._size > self._most:
            self._size -= self._held.popitem(last=False)[1].size

    def drop(self, name: bytes) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            self._size -= held.size

    def clear(self) -> None:
        """They are let go of bit by bit: very many at once would hold up the event loop."""
        self._gone.append(self._held)
        self._held, self._size = OrderedDict(), 0

    def _free(self) -> None:
        gone = self._gone[-1]
        for _ in range(min(FREED, len(gone))):
            gone.popitem()
        if not gone:
            self._gone.pop()


class Caches:
    """Everything the cache gates may ask for."""

    def __init__(
        self,
        open_store: Callable[[], AnswerStore],
        keeper: Keeper,
        stamp: Stamp,
        *,
        rules: Rules,
        exact: bool,
        join: bool,
        remembers: bool,
        idempotency_ttl: Nanoseconds,
        memory_bytes: int,
    ) -> None:
        """``open_store`` opens a store for reading on the event loop; ``idempotency_ttl`` is 0 where keys count for nothing.

        ``exact`` says whether equal requests are answered from memory, ``remembers`` whether answers are kept at all.
        """
        self.keeper = keeper
        self.rules = rules
        self.exact = exact
        self.join = join
        self.remembers = remembers
        self.idempotency_ttl = idempotency_ttl
        self.memory = Memory(memory_bytes)
        self.flights: dict[bytes, Flight] = {}
        """By fingerprint: calls under way that others may join."""
        self.landed: dict[bytes, Flight] = {}
        """By fingerprint: calls whose answer is being written down."""
        self.twins: dict[bytes, Twin] = {}
        """By scope: calls under way that carry an idempotency key."""
        self.replays: dict[bytes, Replay] = {}
        """By scope: answers under an idempotency key that are being written down."""
        self.semantic: Semantics | None = None
        """None where wordings count."""
        self._known: dict[Memo, Known] = {}
        self._known_size = 0
        self._peeks: dict[bytes, tuple[CallerDialect | None, Peek | None]] = {}
        self._open = open_store
        self._store: AnswerStore | None = None
        self._marks = stamp
        self._stamp = stamp.read()
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the caches do not work, in words; empty when they do."""
        return self._trouble or self.keeper.trouble

    @property
    def stamp(self) -> int:
        """The mark of the file, which moves whenever answers are forgotten."""
        return self._marks.read()

    async def follow(self) -> None:
        """Open the file where that is still to be done, or it is another one now; to be called every second or so."""
        with suppress(OSError):
            self._marks.renew()
        if self._store is not None and self._store.misplaced:
            self._let_go()
        if self._store is None:
            try:
                self._store = await asyncio.to_thread(self._open)
            except GatewayError as error:
                self._fail(error)
            else:
                self._trouble = ""

    def read(self, look: Callable[[AnswerStore], T | None]) -> T | None:
        """What the file has; None where it cannot be read."""
        store = self._store
        if store is None:
            return None
        try:
            found = look(store)
        except GatewayError as error:
            self._fail(error)
            return None
        self._trouble = ""
        return found

    def _fail(self, error: GatewayError) -> None:
        if not self._trouble:
            log.warning("the cache cannot be read: %s", error.message)
        self._trouble = error.message
        if self._store is not None and not self._store.misplaced:
            self.keeper.suspect(error)

    def peek(self, call: Call) -> Peek | None:
        """What was learnt of the very same body when it was answered from memory."""
        body = call.body
        if len(body) > SMALL_BODY:
            return None
        dialect, peek = self._peeks.get(body, UNHEARD)
        return peek if dialect is call.dialect else None

    def repeats(self, call: Call) -> None:
        """A body comes again and again: what the gates need to know of it is kept."""
        if len(call.body) <= SMALL_BODY and call.body not in self._peeks:
            if len(self._peeks) >= MOST_PEEKS:
                self._peeks.clear()
            self._peeks[call.body] = call.dialect, call.peek

    async def known(self, gateway: Gateway, call: Call) -> Known:
        """What is known of a call's request: what came before is looked up, a large body is read in a thread."""
        headers, body = call.headers, call.body
        if len(body) > LARGE_BODY:
            return await asyncio.to_thread(_know, gateway, call, self.rules)
        memo = (
            body if len(body) <= SMALL_BODY else blake2b(body, digest_size=16).digest(),
            call.key.tenant,
            call.dialect.name,
            call.route.targets,
            call.query,
            *[headers.get(name) for name in APART],
        )
        known = self._known.get(memo)
        if known is None:
            known = _know(gateway, call, self.rules)
            size = known.size + min(len(body), SMALL_BODY)
            self._known_size += size
            if self._known_size > REMEMBERED:
                self._known.clear()
                self._known_size = size
            self._known[memo] = known
        return known

    def at_hand(self, name: bytes, form: bytes, now: Nanoseconds) -> Held | None:
        """The reply to that fingerprint which is ready to send in that form."""
        stamp = self.stamp
        if stamp != self._stamp:
            self._stamp = stamp
            self.memory.clear()
        found = self.memory.get(name + form)
        if found is not None and found.until <= now:
            self.memory.drop(name + form)
            return None
        return found

    def stored(self, name: bytes, now: Nanoseconds) -> Stored | None:
        """The answer to that fingerprint in the file."""
        return self.read(lambda store: store.find(name, now))

    def forget(self, name: bytes) -> None:
        """Let go of the replies to a fingerprint, which get a new answer."""
        for form in FORMS:
            self.memory.drop(name + form)

    def close(self) -> None:
        """Let go of the file; the keeper is closed on its own."""
        self._let_go()
        self._marks.close()

    def _let_go(self) -> None:
        self.memory.clear()
        if self._store is not None:
            self._store.close()
            self._store = None


def _know(gateway: Gateway, call: Call, rules: Rules) -> Known:
    if len(call.body) > LARGEST_BODY:
        return UNREADABLE
    apart = [call.key.tenant, *_routes(gateway, call), *_headers(call)]
    try:
        tree = read(call.body)
        asked = fingerprint(call.dialect.name, tree, apart)
    except (Unclear, ValueError, RecursionError):
        return UNREADABLE
    asked = asked._replace(
        prompt=asked.prompt[: PROMPT_LENGTH + 1]
    )  # what is remembered of many must be small
    passes_by, kind = caching.passes_by(tree, rules), caching.kind_of(tree)
    return Known(asked, passes_by, kind, form_of(call), _file(tree.get("context")))


def form_of(call: Call) -> bytes:
    """In which dialect and form a call is to be answered."""
    peek = call.peek
    return FORMS[3 * CALLERS.index(call.dialect.name) + peek.stream * (1 + peek.include_usage)]


def _file(context: object) -> str:
    path = context.get("file_path") if isinstance(context, dict) else None
    return path if isinstance(path, str) else ""


def _routes(gateway: Gateway, call: Call) -> list[object]:
    """The policy that a request meets: which targets in which order, and what each of them is."""
    described: list[object] = []
    for target in call.route.targets:
        upstream = gateway.router.upstreams[target.provider]
        described.append(
            [
                target.name,
                target.tier,
                upstream.provider.name,
                upstream.base_url,
                repr(sorted(upstream.options.items())),
            ]
        )
    return described


def _headers(call: Call) -> list[str]:
    """Headers and query that reach a target; the one version of Anthropic's API there is says nothing."""
    headers = [call.headers.get(name, b"").decode("latin-1") for name in APART]
    if headers[1] == "2023-06-01":
        headers[1] = ""
    return [*headers, call.query.decode("latin-1")]
