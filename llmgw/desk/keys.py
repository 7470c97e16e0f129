"""Keys of callers: what an operator sees of them; the key itself is answered once, by whatever makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.budget_shapes import Amounts
from llmgw.domain.scope import Scope, ScopeKind
from llmgw.domain.spans import NANO, parse_span
from llmgw.errors import BadRequest
from llmgw.storage.budgets import Budgets, check

if TYPE_CHECKING:
    from llmgw.domain.identity import Key

MIN_LENGTH = 16
"""Characters a key that somebody brings along must have."""


class KeyView(Struct, frozen=True, kw_only=True):
    """What is known of a key; ``shown`` is its harmless beginning."""

    name: str
    id: int
    shown: str
    state: Annotated[str, Meta(description="`active`, `expired` or `revoked`")]
    tenant: str
    user: str | None
    plan: str | None
    models: tuple[str, ...]
    tags: tuple[str, ...]
    admin: bool
    cache: Annotated[bool, Meta(description="whether caches answer it and remember its answers")]
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    grace_ends_at: int | None


class NewKey(KeyView, frozen=True, kw_only=True):
    key: Annotated[str, Meta(description="the key, shown only now")]


class Keys(Struct, frozen=True):
    keys: tuple[KeyView, ...]


class ListKeys(Ask[Keys], frozen=True, kw_only=True):
    """List keys."""

    at: ClassVar = Place("GET", "/admin/keys")
    answer: ClassVar = Keys
    all: Annotated[bool, Meta(description="revoked and expired ones too")] = False
    tag: Annotated[str | None, Meta(description="only keys with this tag")] = None

    def do(self, desk: Desk) -> Keys:
        now = desk.clock.now()
        found = (view(key, now) for key in desk.control.load_keys() if self.tag in {None, *key.tags})
        return Keys(tuple(key for key in found if self.all or key.state == "active"))


class ShowKey(Ask[KeyView], frozen=True, kw_only=True):
    """Show what is known of a key."""

    at: ClassVar = Place("GET", "/admin/keys/{name}")
    answer: ClassVar = KeyView
    name: str

    def do(self, desk: Desk) -> KeyView:
        return view(desk.control.show(self.name), desk.clock.now())


class CreateKey(Ask[NewKey], frozen=True, kw_only=True):
    """Create a key and show it once; 409 where there is one of that name."""

    at: ClassVar = Place("POST", "/admin/keys")
    answer: ClassVar = NewKey
    name: str
    tenant: str = "default"
    user: str = ""
    plan: Annotated[str, Meta(description="`enterprise` and `pro` go first where calls stand in line")] = ""
    models: Annotated[
        tuple[str, ...] | UnsetType, Meta(description="patterns; `keys.defaults.models` without it")
    ] = UNSET
    tags: tuple[str, ...] = ()
    expires_at: Annotated[
        int | UnsetType | None,
        Meta(description="null: never; by `keys.defaults.expires` without it"),
    ] = UNSET
    admin: Annotated[bool, Meta(description="it may also use the admin API")] = False
    cache: Annotated[bool, Meta(description="whether caches answer it and remember its answers")] = True
    key: Annotated[str | None, Meta(description="a key of one's own; a random one without it")] = None
    budget: Amounts | None = None

    def do(self, desk: Desk) -> NewKey:
        control, now = desk.control, desk.clock.now()
        budget = None if self.budget is None else self.budget.budget_of(Scope(ScopeKind.KEY, self.name))
        if budget is not None:
            check(budget)
        if self.key is not None:
            check_token(self.key)
        key, token = control.create(
            self.name,
            tenant=self.tenant,
            user=self.user,
            plan=self.plan,
            models=self.models or desk.declared.keys.models,
            tags=self.tags,
            expires_at=self._end(desk, now),
            admin=self.admin,
            cache=self.cache,
            token=self.key,
        )
        if budget is not None:  # nobody has seen the key yet, so no call of it was without
            Budgets(control).set(budget)
        return _shown_once(key, token, now)

    def _end(self, desk: Desk, now: int) -> int | None:
        if self.expires_at is UNSET:
            life = desk.declared.keys.expires
            return now + parse_span(life) if life else None
        if self.expires_at is not None and self.expires_at <= now:
            raise BadRequest("a key cannot have ended already", param="expires_at")
        return self.expires_at


class ChangeKey(Ask[KeyView], frozen=True, kw_only=True):
    """Change what holds for a key, from its next request on."""

    at: ClassVar = Place("PATCH", "/admin/keys/{name}")
    answer: ClassVar = KeyView
    name: str
    cache: Annotated[bool, Meta(description="whether caches answer it and remember its answers")]

    def do(self, desk: Desk) -> KeyView:
        return view(desk.control.allow_cache(self.name, self.cache), desk.clock.now())


class RotateKey(Ask[NewKey], frozen=True, kw_only=True):
    """Give a key a new value and show it once."""

    at: ClassVar = Place("POST", "/admin/keys/{name}/rotate")
    answer: ClassVar = NewKey
    name: str
    grace_seconds: Annotated[
        float, Meta(ge=0, le=10**9, description="how long the old value still works")
    ] = 0

    def do(self, desk: Desk) -> NewKey:
        key, token = desk.control.rotate(self.name, grace=round(self.grace_seconds * NANO))
        return _shown_once(key, token, desk.clock.now())


class RevokeKey(Ask[KeyView], frozen=True, kw_only=True):
    """Close the gateway to a key for good."""

    at: ClassVar = Place("DELETE", "/admin/keys/{name}")
    answer: ClassVar = KeyView
    name: str

    def do(self, desk: Desk) -> KeyView:
        return view(desk.control.revoke(self.name), desk.clock.now())


def view(key: Key, now: int) -> KeyView:
    """A key as operators see it."""
    state = "active"
    if key.revoked_at is not None:
        state = "revoked"
    elif key.expires_at is not None and key.expires_at <= now:
        state = "expired"
    return KeyView(
        name=key.name,
        id=key.id,
        shown=key.shown,
        state=state,
        tenant=key.tenant,
        user=key.user or None,
        plan=key.plan or None,
        models=key.models,
        tags=key.tags,
        admin=key.admin,
        cache=key.cache,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        grace_ends_at=key.grace_until if (key.grace_until or 0) > now else None,
    )


def check_token(token: str) -> None:
    """BadRequest, not repeating it, for a key that could be guessed or does not travel in a header."""
    if len(token) < MIN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise BadRequest(
            f"a key has at least {MIN_LENGTH} printable characters and no blanks",
            hint="`openssl rand -hex 32` makes a good one",
            param="key",
        )


def _shown_once(key: Key, token: str, now: int) -> NewKey:
    return NewKey(**structs.asdict(view(key, now)), key=token)
