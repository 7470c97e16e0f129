"""What providers say to leave us of their own rate limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from llmgw.storage.headroom import read_headroom

if TYPE_CHECKING:
    from llmgw.desk.asking import Desk
    from llmgw.domain.headroom import Headroom

RECENT = 3600 * 10**9
"""Nanoseconds after which what was heard says nothing any more."""


class Left(Struct, frozen=True, kw_only=True):
    """The rest of one limit of a provider."""

    kind: Annotated[str, Meta(description="`requests`, `tokens`, `input-tokens` and the like")]
    remaining: int
    limit: int | None
    resets_at: Annotated[int | None, Meta(description="when all of it is there again")]


class HeadroomView(Struct, frozen=True, kw_only=True):
    """What one model of a provider was said to have left."""

    name: Annotated[str, Meta(description="as `provider/model`")]
    heard_at: int
    retry_at: Annotated[int | None, Meta(description="when it may be asked again, where it refuses now")]
    left: tuple[Left, ...]


def headrooms(desk: Desk, provider: str | None = None) -> tuple[HeadroomView, ...]:
    """What was heard within the last hour, of one provider or of all."""
    now = desk.clock.now()
    return tuple(
        _view(each, now)
        for each in read_headroom(desk.path)
        if provider in {None, each.provider} and max(each.at + RECENT, each.until) > now
    )


def _view(heard: Headroom, now: int) -> HeadroomView:
    return HeadroomView(
        name=f"{heard.provider}/{heard.model}",
        heard_at=heard.at,
        retry_at=heard.until if heard.until > now else None,
        left=tuple(
            Left(
                kind=each.kind,
                remaining=each.remaining,
                limit=each.limit,
                resets_at=None if each.reset is None else heard.at + each.reset,
            )
            for each in heard.allowances
        ),
    )
