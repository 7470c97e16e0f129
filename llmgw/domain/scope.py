"""Whom a rule is about: everybody, or one tenant, user, key, provider, model, tier or tag."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ScopeKind(StrEnum):
    """From the widest to the narrowest, which is the order in which refusals name them."""

    ALL = "all"
    TENANT = "tenant"
    USER = "user"
    KEY = "key"
    TAG = "tag"
    TIER = "tier"
    PROVIDER = "provider"
    MODEL = "model"


class Scope(Struct, frozen=True):
    """``all``, or a kind and a name: ``key:ci``. A model's name may be bare or ``provider/model``."""

    kind: ScopeKind
    name: str = ""

    def __str__(self) -> str:
        return self.kind.value if self.kind is ScopeKind.ALL else f"{self.kind.value}:{self.name}"


ALL = Scope(ScopeKind.ALL)


def parse_scope(text: str) -> Scope:
    """The scope that people write; ValueError when it is none."""
    kind, colon, name = text.partition(":")
    if kind == ScopeKind.ALL and not colon:
        return ALL
    if kind not in ScopeKind.__members__.values() or kind == ScopeKind.ALL or not name:
        raise ValueError(
            f"not a scope: {text!r}; write all, or one of tenant user key tag tier provider model as key:NAME"
        )
    if not name.isprintable():
        raise ValueError(f"not a scope: {text!r}; its name holds a control character")
    return Scope(ScopeKind(kind), name)
