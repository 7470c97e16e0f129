"""Requests from before a feed began, asked of the ledger: a filter as its ask, and what it answers as the tail has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmgw.desk.requests import ListRequests
from llmgw.domain.money import parse_usd
from llmgw.domain.pulse import Seen

if TYPE_CHECKING:
    from llmgw.desk.requests import RequestView
    from llmgw.tui.filter import Filter

MOST = 500


def listed(wanted: Filter) -> ListRequests | None:
    """The ask for what a filter shows; None where it shows all, or the ledger is not asked for less."""
    if not wanted.options:
        return None
    given: dict[str, Any] = dict(zip(wanted.options[::2], wanted.options[1::2], strict=True))
    least = given.pop("--min-cost", None)
    return ListRequests(
        limit=MOST,
        min_cost_nanousd=None if least is None else parse_usd(least),
        **{name.removeprefix("--"): value for name, value in given.items()},
    )


def seen_again(view: RequestView) -> Seen:
    """A request of a list as the tail has it; its tenant and its rule are not in a list."""
    usage = view.usage
    return Seen(
        id=view.id,
        started_at=view.started_at,
        tenant="",
        key=view.key,
        tags=",".join(view.tags),
        surface=view.surface,
        stream=view.stream,
        model_asked=view.model_asked,
        provider=view.provider or "",
        model=view.model or "",
        tier=view.tier or "",
        cache=view.cache,
        status=view.status,
        error=view.error.code if view.error else "",
        attempts=view.attempt_count,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        estimated=usage.estimated,
        cost=view.cost_nanousd,
        saved=view.saved_nanousd,
        ttft_us=view.ttft_us,
        latency_us=view.latency_us,
    )
