"""The kill switch: which switches are thrown, by whom and why."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct, structs

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.domain.killswitch import REQUEST, Kill, Mode
from llmgw.errors import BadRequest
from llmgw.storage.kills import Kills as Stored

KillScope = Annotated[
    str,
    Meta(
        description="a scope, `paid`: whatever costs money, or `request:ID`: one call under way",
        examples=["all", "paid", "key:ci"],
    ),
]


class KillView(Struct, frozen=True, kw_only=True):
    scope: str
    mode: Mode
    reason: str
    by: str
    thrown_at: int | None


class Lifted(KillView, frozen=True, kw_only=True):
    lifted: Annotated[bool, Meta(description="whether a switch was on")]


class Kills(Struct, frozen=True):
    kills: tuple[KillView, ...]


class ListKills(Ask[Kills], frozen=True, kw_only=True):
    """Show every switch that is thrown."""

    at: ClassVar = Place("GET", "/admin/kills")
    answer: ClassVar = Kills

    def do(self, desk: Desk) -> Kills:
        return Kills(tuple(map(view, Stored(desk.control).list())))


class ThrowKill(Ask[KillView], frozen=True, kw_only=True):
    """Throw the switch of a scope, in place of the one that is thrown there; with `kill` calls under way end too.

    That of a single call, `request:ID`, ends it and is open again once that is done.
    """

    at: ClassVar = Place("POST", "/admin/kills")
    answer: ClassVar = KillView
    scope: KillScope
    mode: Mode = Mode.KILL
    reason: Annotated[str, Meta(description="whoever is refused reads it")] = ""

    def do(self, desk: Desk) -> KillView:
        kill = Kill(scope=self.scope, mode=self.mode, reason=self.reason, by=desk.by, at=desk.clock.now())
        if not self.scope.startswith(REQUEST):
            Stored(desk.control).set(kill)
        elif self.mode is Mode.KILL:
            from llmgw.desk.requests import EndRequest  # noqa: PLC0415  a switch is thrown without it

            EndRequest(id=self.scope.removeprefix(REQUEST), reason=self.reason).do(desk)
        else:
            raise BadRequest("a call under way can only be ended", hint="`llmgw request stop`", param="mode")
        return view(kill)


class LiftKill(Ask[Lifted], frozen=True, kw_only=True):
    """Open a scope again; one that is open stays so."""

    at: ClassVar = Place("DELETE", "/admin/kills")
    answer: ClassVar = Lifted
    scope: KillScope

    def do(self, desk: Desk) -> Lifted:
        before = Stored(desk.control).remove(self.scope)
        now = view(Kill(scope=self.scope, mode=Mode.OFF))
        return Lifted(**structs.asdict(now), lifted=before is not None)


def view(kill: Kill) -> KillView:
    """A switch as operators see it."""
    return KillView(
        scope=kill.scope, mode=kill.mode, reason=kill.reason, by=kill.by, thrown_at=kill.at or None
    )
