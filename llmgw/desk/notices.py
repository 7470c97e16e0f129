"""What the gateway noticed: budgets that passed a mark, a kill switch that threw itself, paused loops, failing targets."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from llmgw.desk.asking import Ask, Desk, Place
from llmgw.storage.notices import Notices as Stored


class NoticeView(Struct, frozen=True, kw_only=True):
    at: int
    kind: Annotated[str, Meta(description="`budget`, `kill`, `loop` or `breaker`")]
    name: Annotated[str, Meta(description="unique: a thing is noticed once")]
    message: str


class Notices(Struct, frozen=True):
    notices: tuple[NoticeView, ...]


class ListNotices(Ask[Notices], frozen=True, kw_only=True):
    """List what the gateway noticed, newest first."""

    at: ClassVar = Place("GET", "/admin/notices")
    answer: ClassVar = Notices
    limit: Annotated[int, Meta(ge=1, le=10_000, description="at most this many")] = 100

    def do(self, desk: Desk) -> Notices:
        found = Stored(desk.control).list(self.limit)
        return Notices(
            tuple(
                NoticeView(at=each.at, kind=each.kind, name=each.name, message=each.message) for each in found
            )
        )
