"""Which targets fail, and until when others are asked first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from llmgw.domain.breaker import State
from llmgw.storage.headroom import read_failing

if TYPE_CHECKING:
    from llmgw.desk.asking import Desk


class FailingView(Struct, frozen=True, kw_only=True):
    """A target that is left alone because it kept failing."""

    name: Annotated[str, Meta(description="as `provider/model`")]
    breaker: Annotated[State, Meta(description="`half-open`: the next call tries it")]
    failures: Annotated[int, Meta(description="in a row")]
    retry_at: Annotated[int | None, Meta(description="when a call tries it again, where others go first")]


def failing(desk: Desk, provider: str | None = None) -> tuple[FailingView, ...]:
    """The failing targets of one provider or of all."""
    now = desk.clock.now()
    return tuple(
        FailingView(
            name=f"{each.provider}/{each.model}",
            breaker=State.HALF_OPEN if each.state is State.OPEN and each.until <= now else each.state,
            failures=each.failures,
            retry_at=each.until if each.until > now else None,
        )
        for each in read_failing(desk.path)
        if provider in {None, each.provider}
    )
