"""What the operator declared of cascades and shadow runs."""

from __future__ import annotations

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds
from llmgw.domain.route import Tier


class Cascading(Struct, frozen=True, kw_only=True):
    """``[router.cascade]``: ``first`` tokens of a stream are checked, 0 for all of it; ``hold`` is nanoseconds.

    ``judge`` is a target's name, empty for none.
    """

    tiers: tuple[Tier, ...] = (Tier.LOCAL,)
    first: int = 0
    hold: Nanoseconds = 30_000_000_000
    samples: int = 1
    judge: str = ""
    max_gain: float = 1
    conversations: bool = False
    tools: bool = False


class Shadowing(Struct, frozen=True, kw_only=True):
    """``[router.shadow]``: the share of calls that are repeated, and the name of the target that compares answers."""

    share: float
    judge: str = ""
