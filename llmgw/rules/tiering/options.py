"""What the operator declared of the router."""

from __future__ import annotations

from msgspec import Struct

from llmgw.domain.clock import Nanoseconds
from llmgw.domain.route import Tier
from llmgw.rules.tiering.conditions import Rule
from llmgw.rules.verifying.options import Cascading, Shadowing


class Options(Struct, frozen=True, kw_only=True):
    """``[router]``: ``sticky`` is nanoseconds, 0 for none; ``context`` tokens by tier; ``classifier`` a target's name."""

    quality: float = 0.8
    max_regret: float = 1
    explore: float = 0
    learn: str = "all"
    sticky: Nanoseconds = 0
    clarify: bool = False
    classifier: str = ""
    context: dict[Tier, int] = {}
    rules: tuple[Rule, ...] = ()
    cascade: Cascading | None = None
    shadow: Shadowing | None = None
