"""Answers kept under an idempotency key, in the caches' file, each under a checksum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.cache import Replay
from llmgw.storage.answers_schema import troubles
from llmgw.storage.sealing import seal

if TYPE_CHECKING:
    from llmgw.domain.clock import Nanoseconds
    from llmgw.storage.answers import AnswerStore

_SEALED = "scope, body_hash, status, content_type, created_at, expires_at"


def read_replay(store: AnswerStore, scope: bytes, now: Nanoseconds) -> Replay | None:
    """What is kept under a scope; a damaged answer counts as none and is dropped."""
    with troubles(store.path):
        row = store.connection.execute(
            f"SELECT {_SEALED}, body, checksum FROM replays WHERE scope = ? AND expires_at > ?",  # noqa: S608
            (scope, now),
        ).fetchone()
    if row is None:
        return None
    *sealed, body, checksum = row
    if seal(*sealed, body) != checksum:
        with store.change() as connection:
            connection.execute("DELETE FROM replays WHERE scope = ?", (scope,))
        store.count("damaged", 1)
        return None
    scope, body_hash, status, content_type, created_at, expires_at = sealed
    return Replay(
        scope=scope,
        body_hash=body_hash,
        status=status,
        content_type=content_type,
        body=store.unpack(body),
        created_at=created_at,
        expires_at=expires_at,
    )


def keep_replay(store: AnswerStore, kept: Replay) -> None:
    """Keep an answer in place of what was there."""
    body = store.pack(kept.body)
    sealed = [getattr(kept, name) for name in _SEALED.split(", ")]
    with store.change() as connection:
        connection.execute(
            f"INSERT OR REPLACE INTO replays ({_SEALED}, body, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (*sealed, body, seal(*sealed, body)),
        )
