"""What the cache gates share: the store, the thread that writes, answers at hand in memory, and calls under way."""

from __future__ import annotations

import logging
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec import Struct, field

from llmgw.domain.cache import PROMPT_LENGTH, Entry, Stored, Wire
from llmgw.domain.chat import ChatAnswer
from llmgw.domain.money import NanoUSD
from llmgw.domain.route import Target, Tier
from llmgw.errors import GatewayError
from llmgw.rules import caching
from llmgw.rules.fingerprint import Asked, Unclear, fingerprint, read

if TYPE_CHECKING:
    from llmgw.domain.cache import Replay
    from llmgw.domain.clock import Nanoseconds
    from llmgw.gates.idempotency import Twin
    from llmgw.gates.joining import Flight
    from llmgw.gates.semantics import Semantics
    from llmgw.gates.state import Call, Gateway
    from llmgw.rules.caching import Rules
    from llmgw.storage.answers import AnswerStore
    from llmgw.storage.keeper import Keeper

log = logging.getLogger("llmgw.cache")

REMEMBERED = 4096
"""Bodies whose fingerprint is kept; past that the memory starts again."""

LARGEST_BODY = 4 << 20
"""Bytes of a request beyond which reading it costs more than a hit may save."""

APART = (b"anthropic-beta", b"anthropic-version", b"openai-beta")
"""Headers that travel on to a target and may change what it answers."""

Memo = tuple[object, ...]


class Known(Struct, frozen=True):
    """What is known of a request: how the caches call it, why they pass it by (empty: they do not), its kind.

    ``file`` is the path of the file it is about, where its ``context`` names one.
    """

    asked: Asked
    passes_by: str
    kind: str
    file: str = ""


UNREADABLE = Known(Asked(b"", b"", "", False), "unclear", "")


class Held(Struct):
    """An answer at hand: its entry and replies ready to send by dialect and form, which take ``size`` bytes."""

    entry: Entry
    answer: ChatAnswer
    wire: Wire | None
    target: Target
    size: int
    replies: dict[object, bytes] = field(default_factory=dict)
    premium_cost: NanoUSD | None = None


def held(stored: Stored) -> Held:
    """An answer at hand, with no reply ready yet."""
    entry = stored.entry
    target = Target(entry.provider, entry.model, Tier(entry.tier))
    return Held(entry, stored.answer, stored.wire, target, stored.bytes)


class Memory:
    """Answers at hand, the least recently used of which go when there are more bytes than allowed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._held: OrderedDict[bytes, Held] = OrderedDict()

    def get(self, name: bytes) -> Held | None:
        held = self._held.get(name)
        if held is not None:
            self._held.move_to_end(name)
        return held

    def put(self, name: bytes, held: Held) -> None:
        """Hold an answer, or count again what one takes."""
        self.drop(name)
        if held.size <= self._most:
            self._held[name] = held
            self._size += held.size
        while self._size > self._most:
            self._size -= self._held.popitem(last=False)[1].size

    def grow(self, name: bytes, held: Held, size: int) -> None:
        """An answer at hand takes more room than before."""
        if self._held.get(name) is held:
            self.drop(name)
            held.size += size
            self.put(name, held)

    def drop(self, name: bytes) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            self._size -= held.size

    def clear(self) -> None:
        self._held.clear()
        self._size = 0


class Caches:
    """Everything the cache gates may ask for."""

    def __init__(
        self,
        store: AnswerStore,
        keeper: Keeper,
        *,
        rules: Rules,
        exact: bool,
        join: bool,
        remembers: bool,
        idempotency_ttl: Nanoseconds,
        memory_bytes: int,
    ) -> None:
        """``store`` is for reading on the event loop; ``idempotency_ttl`` is 0 where keys count for nothing.

        ``exact`` says whether equal requests are answered from memory, ``remembers`` whether answers are kept at all.
        """
        self.store = store
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
        self._stamp = store.stamp.read()
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the caches do not work, in words; empty when they do."""
        return self._trouble or self.keeper.trouble

    def known(self, gateway: Gateway, call: Call) -> Known:
        """What is known of a call's request; a body that came before costs one hash."""
        headers = call.headers
        memo = (
            blake2b(call.body, digest_size=16).digest(),
            call.key.tenant,
            call.dialect.name,
            call.route.targets,
            call.query,
            *[headers.get(name) for name in APART],
        )
        known = self._known.get(memo)
        if known is None:
            known = _know(gateway, call, self.rules)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[memo] = known
        return known

    def find(self, name: bytes, now: Nanoseconds) -> Held | None:
        """The answer of that fingerprint, at hand or from the file."""
        stamp = self.store.stamp.read()
        if stamp != self._stamp:
            self._stamp = stamp
            self.memory.clear()
        found = self.memory.get(name)
        if found is not None:
            if found.entry.expires_at > now or found.entry.pinned:
                return found
            self.memory.drop(name)
        try:
            stored = self.store.find(name, now)
        except GatewayError as error:
            if not self._trouble:
                log.warning("the cache cannot be read: %s", error.message)
            self._trouble = error.message
            return None
        self._trouble = ""
        if stored is None:
            return None
        found = held(stored)
        self.memory.put(name, found)
        return found

    def close(self) -> None:
        self.keeper.close()
        self.store.close()


def _know(gateway: Gateway, call: Call, rules: Rules) -> Known:
    if len(call.body) > LARGEST_BODY:
        return UNREADABLE
    try:
        tree = read(call.body)
    except (Unclear, ValueError, RecursionError):
        return UNREADABLE
    apart = [call.key.tenant, *_routes(gateway, call), *_headers(call)]
    asked = fingerprint(call.dialect.name, tree, apart)
    asked = asked._replace(
        prompt=asked.prompt[: PROMPT_LENGTH + 1]
    )  # what is remembered of many must be small
    return Known(asked, caching.passes_by(tree, rules), caching.kind_of(tree), _file(tree.get("context")))


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
