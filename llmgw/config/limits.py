"""The limits that the configuration declares: what holds for everybody where none was set into the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmgw.domain.limit import Limit, Measure
from llmgw.domain.scope import ALL

if TYPE_CHECKING:
    from llmgw.config.model import Config


def default_limits(config: Config) -> tuple[Limit, ...]:
    """The options of ``[limits]`` as limits; those that are 0 are none."""
    declared = {
        Measure.REQUESTS_PER_MINUTE: config.limits.requests_per_minute,
        Measure.TOKENS_PER_MINUTE: config.limits.tokens_per_minute,
    }
    return tuple(
        Limit(scope=ALL, measure=measure, amount=amount) for measure, amount in declared.items() if amount
    )
