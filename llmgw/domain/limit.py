"""How fast: requests and tokens in a stretch of time, and calls at one time."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from llmgw.domain.scope import Scope


class Measure(StrEnum):
    """What a limit counts; ``concurrency`` is calls under way."""

    REQUESTS_PER_MINUTE = "rpm"
    REQUESTS_PER_DAY = "rpd"
    TOKENS_PER_MINUTE = "tpm"
    TOKENS_PER_DAY = "tpd"
    CONCURRENCY = "concurrency"


class Limit(Struct, frozen=True, kw_only=True):
    """One limit; a scope has at most one for each measure."""

    scope: Scope
    measure: Measure
    amount: int
