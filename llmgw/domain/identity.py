"""Who may call: a key is what callers hold; a credential is what we hold for a provider."""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct


class Key(Struct, frozen=True, kw_only=True):
    """A caller's key as the gateway remembers it: its SHA-256, never the key itself.

    ``models`` are glob patterns over what a caller may name (empty: everything); a pattern may also be
    ``tier/*``, as in ``cheap/*``. Times are UTC nanoseconds. ``previous_hash`` still opens the door until
    ``grace_until`` after a rotation. ``cache`` is False where no cache may answer it or remember what it is told. ``shown`` is the harmless beginning that lists may print.
    """

    id: int
    name: str
    hash: bytes
    shown: str = ""
    tenant: str = "default"
    user: str = ""
    plan: str = ""
    models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created_at: int = 0
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None
    previous_hash: bytes | None = None
    grace_until: int | None = None
    admin: bool = False
    cache: bool = True

    def allows(self, *names: str) -> bool:
        """Whether any of these names of one target is open to this key."""
        return not self.models or any(fnmatchcase(name, pattern) for pattern in self.models for name in names)
