"""Idempotency keys (D-12): a request sent twice is answered once, and the second time byte for byte as the first.

The scope of a key is its tenant. Twins at one time wait for each other; another body under a used key is a conflict.
"""

from __future__ import annotations

import asyncio
import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from llmgw.domain.cache import Replay
from llmgw.domain.ledger import CacheVerdict
from llmgw.errors import BadRequest, Conflict
from llmgw.gates.reply import own_headers, send_whole
from llmgw.gates.settle import record
from llmgw.storage.replays import keep_replay, read_replay

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from llmgw.gates.caches import Caches
    from llmgw.gates.state import Call, Gateway

LONGEST = 255
"""Characters of a key."""

LARGEST = 8 << 20
"""Bytes of an answer beyond which it is not kept."""

ABOUT_REQUEST = frozenset({400, 404, 405, 406, 413, 415, 422})
"""Statuses of a target's refusal that would come again."""


class Twin:
    """The first call under a key: what it sends is recorded, ``done`` resolves when it has ended."""

    def __init__(self, call: Call, scope: bytes, body_hash: bytes) -> None:
        self.scope = scope
        self.body_hash = body_hash
        self.done = asyncio.get_running_loop().create_future()
        self._send = call.send
        self._call = call
        self._parts: list[bytes] = []
        self._size = 0
        self._status = 0
        self._content_type = ""
        self._whole = False

    def leave(self) -> None:
        """Let the call, which is over, go on its own: two that hold each other are left to the collector."""
        self._call.send, self._call.twin = self._send, None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Pass on what the call sends and keep it."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._content_type = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            self._size += len(body)
            if self._size <= LARGEST:
                self._parts.append(body)
            self._whole = not message.get("more_body", False)
        await self._send(message)

    def replay(self, ttl: int) -> Replay | None:
        """What is to be kept; None where it was no answer, or not a whole one."""
        call = self._call
        answered = call.status < 300 and not call.error
        refused = call.attempts > 0 and self._status in ABOUT_REQUEST
        if not self._whole or self._size > LARGEST or not (answered or refused):
            return None
        return Replay(
            scope=self.scope,
            body_hash=self.body_hash,
            status=self._status,
            content_type=self._content_type,
            body=b"".join(self._parts),
            created_at=call.started_at,
            expires_at=call.started_at + ttl,
        )


def key_of(call: Call) -> str | None:
    """The idempotency key of a call, from its header or its body."""
    header = call.headers.get(b"idempotency-key")
    key = call.peek.idempotency_key if header is None else header.decode("latin-1").strip()
    if key and len(key) > LONGEST:
        raise BadRequest(f"an idempotency key has at most {LONGEST} characters", param="idempotency_key")
    return key or None


async def repeat(gateway: Gateway, call: Call, caches: Caches, key: str) -> bool:
    """Answer a call under a key that was answered before; otherwise the call is the first, and what it sends is kept."""
    named = json.dumps([call.key.tenant, key]).encode()
    scope = blake2b(named, digest_size=32).digest()
    body_hash = blake2b(call.surface.encode() + b"\n" + call.body, digest_size=32).digest()
    while (twin := caches.twins.get(scope)) is not None:
        _same(twin.body_hash, body_hash, key)
        await asyncio.shield(twin.done)
    kept = caches.replays.get(scope)
    if kept is None:
        kept = caches.read(lambda store: read_replay(store, scope, call.started_at))
    if kept is None:
        call.twin = caches.twins[scope] = Twin(call, scope, body_hash)
        call.send = call.twin.send
        return False
    _same(kept.body_hash, body_hash, key)
    call.cache = CacheVerdict.EXACT
    await record(gateway, call, kept.status, "")
    headers = [*own_headers(call), (b"x-llmgw-idempotent-replay", b"true"), (b"x-llmgw-cost", b"0")]
    age = max(0, call.started_at - kept.created_at) // 1_000_000_000
    headers.append((b"age", b"%d" % age))
    call.replied = call.finished = True
    await send_whole(call.send, kept.status, headers, kept.body, kept.content_type.encode("latin-1"))
    return True


def _same(one: bytes, other: bytes, key: str) -> None:
    if one != other:
        raise Conflict(
            f"the idempotency key `{key[:40]}` was used with another request",
            hint="send a new key with a new request",
        )


def end(caches: Caches, call: Call, loop: asyncio.AbstractEventLoop) -> None:
    """A first call is over: have what it sent kept, and let its twins go on."""
    twin = call.twin
    if twin is None:
        return
    twin.leave()
    kept = twin.replay(caches.idempotency_ttl)
    if kept is not None:
        caches.replays[kept.scope] = kept

        def forget(_: Exception | None) -> None:
            loop.call_soon_threadsafe(caches.replays.pop, kept.scope, None)

        if not caches.keeper.submit(lambda store: keep_replay(store, kept), len(kept.body), forget):
            del caches.replays[kept.scope]
    del caches.twins[twin.scope]
    if not twin.done.done():
        twin.done.set_result(None)
