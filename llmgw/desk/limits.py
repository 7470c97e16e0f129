"""Limits: what an operator sees of them, sets and lifts."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct, structs

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.desk.scopes import ScopeName, read_scope
from llmgw.domain.limit import Limit, Measure
from llmgw.errors import BadRequest, NotFound
from llmgw.storage.limits import Limits as Stored

SET = "limit set"
CONFIGURED = "config"


class LimitView(Struct, frozen=True, kw_only=True):
    scope: str
    measure: Measure
    amount: int
    origin: Annotated[str, Meta(description="`limit set` or `config`")]


class Limits(Struct, frozen=True):
    limits: tuple[LimitView, ...]


class ListLimits(Ask[Limits], frozen=True, kw_only=True):
    """List limits, also those of the configuration."""

    at: ClassVar = Place("GET", "/admin/limits")
    answer: ClassVar = Limits
    scope: Annotated[str | None, Meta(description="only the limits of this scope, as `key:ci`")] = None

    def do(self, desk: Desk) -> Limits:
        wanted = None if self.scope is None else read_scope(self.scope)
        issued = Stored(desk.control).list()
        replaced = {(limit.scope, limit.measure) for limit in issued}
        defaults = (limit for limit in desk.declared.limits if (limit.scope, limit.measure) not in replaced)
        found = [*((limit, CONFIGURED) for limit in defaults), *((limit, SET) for limit in issued)]
        return Limits(tuple(view(limit, origin) for limit, origin in found if wanted in {None, limit.scope}))


class SetLimits(Ask[Limits], frozen=True, kw_only=True):
    """Set limits of a scope; each replaces the one of its measure."""

    at: ClassVar = Place("POST", "/admin/limits")
    answer: ClassVar = Limits
    scope: ScopeName
    rpm: Annotated[int | None, Meta(description="requests a minute")] = None
    rpd: Annotated[int | None, Meta(description="requests a day")] = None
    tpm: Annotated[int | None, Meta(description="tokens a minute")] = None
    tpd: Annotated[int | None, Meta(description="tokens a day")] = None
    concurrency: Annotated[int | None, Meta(description="calls under way")] = None

    def do(self, desk: Desk) -> Limits:
        given = structs.asdict(self)
        scope = read_scope(given.pop("scope"))
        wanted = [
            Limit(scope=scope, measure=Measure(name), amount=amount)
            for name, amount in given.items()
            if amount is not None
        ]
        if not wanted:
            raise BadRequest("which limit?", hint=f"there are {', '.join(Measure)}")
        Stored(desk.control).set(*wanted)
        return Limits(tuple(view(limit, SET) for limit in wanted))


class RemoveLimits(Ask[Limits], frozen=True, kw_only=True):
    """Lift the limits of a scope, or one of them."""

    at: ClassVar = Place("DELETE", "/admin/limits")
    answer: ClassVar = Limits
    scope: ScopeName
    measure: Measure | None = None

    def do(self, desk: Desk) -> Limits:
        scope = read_scope(self.scope)
        try:
            lifted = Stored(desk.control).remove(scope, self.measure)
        except NotFound as error:
            if any(
                limit.scope == scope and self.measure in {None, limit.measure}
                for limit in desk.declared.limits
            ):
                raise NotFound(
                    f"the limits of {scope} come from the configuration",
                    hint="`llmgw config show --origin` shows where; a higher one from `llmgw limit set` goes before",
                ) from error
            raise
        return Limits(tuple(view(limit, SET) for limit in lifted))


def view(limit: Limit, origin: str) -> LimitView:
    """A limit as operators see it."""
    return LimitView(scope=str(limit.scope), measure=limit.measure, amount=limit.amount, origin=origin)
