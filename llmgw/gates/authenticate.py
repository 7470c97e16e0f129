"""Gate 1: whose key is this? SHA-256 of the token, one dictionary lookup, no database on the way."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from llmgw.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from llmgw.domain.identity import Key
    from llmgw.gates.state import Call, Gateway

OWN_HEADER = b"x-llmgw-key"
"""Takes the key when ``Authorization`` carries a token that is meant for the upstream (Claude Code's own sign-in)."""


class KeyRing:
    """Every key by its hash, read again whenever ``version`` moves, so that a change counts on the next request."""

    def __init__(
        self, load: Callable[[], Mapping[int, Key]], version: Callable[[], int], *, own: Iterable[Key] = ()
    ) -> None:
        """``load`` gives the same object as long as no key has changed; ``own`` keys are in no database."""
        self._load = load
        self._own = tuple(own)
        self._loaded: Mapping[int, Key] | None = None
        self._version = version
        self._seen: int | None = None
        self._by_hash: dict[bytes, Key] = {}
        self.used: dict[int, int] = {}
        """Key id to the moment it was last used; whoever persists it takes and clears it."""

    def forget(self) -> None:
        """Read the keys again on the next request."""
        self._seen = None

    def find(self, token: bytes, now: int) -> Key:
        """The key behind a token; Unauthenticated, never repeating the token, when it opens nothing."""
        version = self._version()
        if version != self._seen:
            loaded = self._load()
            if loaded is not self._loaded:
                self._by_hash = _index((*self._own, *loaded.values()))
                self._loaded = loaded
            self._seen = version
        digest = sha256(token).digest()
        key = self._by_hash.get(digest)
        if key is None:
            raise Unauthenticated(
                "this key is not known to the gateway",
                hint="`llmgw key create NAME` makes one, `llmgw key list` shows what there is",
            )
        if key.revoked_at is not None and key.revoked_at <= now:
            raise Unauthenticated(
                f"key `{key.name}` was revoked", hint="`llmgw key create NAME` makes a new one"
            )
        if key.expires_at is not None and key.expires_at <= now:
            raise Unauthenticated(
                f"key `{key.name}` has expired", hint=f"`llmgw key rotate {key.name}` renews it"
            )
        if digest == key.previous_hash and (key.grace_until is None or key.grace_until <= now):
            raise Unauthenticated(
                f"key `{key.name}` was rotated and its old value no longer counts",
                hint=f"use the value that `llmgw key rotate {key.name}` printed",
            )
        self.used[key.id] = now
        return key


def _index(keys: Iterable[Key]) -> dict[bytes, Key]:
    by_hash: dict[bytes, Key] = {}
    for key in keys:
        by_hash[key.hash] = key
        if key.previous_hash is not None:
            by_hash[key.previous_hash] = key
    return by_hash


def token_of(headers: dict[bytes, bytes]) -> bytes | None:
    """The caller's token: ``x-llmgw-key``, ``Authorization: Bearer``, or ``x-api-key`` as Anthropic's SDKs send it."""
    own = headers.get(OWN_HEADER)
    if own is not None:
        return own
    authorization = headers.get(b"authorization")
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip() or headers.get(b"x-api-key")
    return headers.get(b"x-api-key")


def authenticate(gateway: Gateway, call: Call) -> None:
    """Set ``call.key`` and the tags that the key and the ``x-llmgw-tag`` header give it."""
    token = token_of(call.headers)
    if not token:
        raise Unauthenticated(
            "no key was sent",
            hint="send `Authorization: Bearer KEY` or `x-api-key: KEY`; `llmgw key create NAME` makes a key",
        )
    call.key = key = gateway.keys.find(token, call.started_at)
    header = call.headers.get(b"x-llmgw-tag")
    if header is not None or key.tags:
        call.tags = _tags(key.tags, header or b"")


@lru_cache(1024)
def _tags(own: tuple[str, ...], header: bytes) -> str:
    """The tags of a key and those that a header asks for, in canonical form; what a terminal would obey is left out."""
    asked = header.decode("utf-8", "replace").split(",")
    told = {"".join(filter(str.isprintable, tag)).strip()[:64] for tag in (*own, *asked[:16])}
    return ",".join(sorted(told - {""}))
